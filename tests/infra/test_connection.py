"""Which cluster a stack goes to, and what a person is told where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rendering import settings_of

from infra.errors import DeploymentError
from infra.kubernetes.connection import connection_of, current_context
from tools.kubernetes import cluster
from tools.kubernetes.layout import Layout


@pytest.fixture
def no_cluster_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "current", lambda: None)


@pytest.fixture
def our_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> cluster.Cluster:
    ours = cluster.Cluster(
        kind="own",
        context="assistant",
        kubeconfig=tmp_path / "ours",
        kubectl=tmp_path / "kubectl",
        made=True,
        layout=Layout(tmp_path),
    )
    monkeypatch.setattr(cluster, "current", lambda: ours)
    return ours


def environment(tmp_path: Path, *contexts: str | None) -> dict[str, str]:
    """A KUBECONFIG of one file each, with that current context."""
    files = []
    for number, context in enumerate(contexts):
        file = tmp_path / f"config-{number}"
        file.write_text(json.dumps({"apiVersion": "v1", **({"current-context": context} if context else {})}))
        files.append(str(file))
    return {"KUBECONFIG": ":".join([*files, str(tmp_path / "missing")])}


def test_the_current_context_is_taken_and_said_so_that_a_later_switch_moves_nothing(
    tmp_path: Path, no_cluster_of_ours: None
) -> None:
    found = connection_of(settings_of(), environment(tmp_path, None, "team", "other"))
    assert (found.context, found.kubeconfig) == ("team", None)


def test_the_configured_context_goes_before_the_current_one(tmp_path: Path, no_cluster_of_ours: None) -> None:
    assert connection_of(settings_of({"cluster": {"context": "mine"}}), environment(tmp_path, "team")).context == "mine"


def test_the_cluster_of_this_checkout_serves_where_no_other_is_named(tmp_path: Path, our_cluster: cluster.Cluster) -> None:
    found = connection_of(settings_of(), environment(tmp_path))
    assert (found.context, found.kubeconfig) == ("assistant", str(our_cluster.kubeconfig))
    assert connection_of(settings_of(), environment(tmp_path, "team")).context == "team"


def test_its_context_is_found_in_its_own_kubeconfig(tmp_path: Path, our_cluster: cluster.Cluster) -> None:
    found = connection_of(settings_of({"cluster": {"context": "assistant"}}), environment(tmp_path, "team"))
    assert found.kubeconfig == str(our_cluster.kubeconfig)


def test_without_any_cluster_a_person_is_told_how_to_get_to_one(tmp_path: Path, no_cluster_of_ours: None) -> None:
    with pytest.raises(DeploymentError, match="no Kubernetes cluster to deploy to") as raised:
        connection_of(settings_of(), environment(tmp_path))
    assert "make cluster" in str(raised.value)


def test_a_broken_kubeconfig_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("{")
    with pytest.raises(DeploymentError, match=r"broken is no valid kubeconfig"):
        current_context({"KUBECONFIG": str(tmp_path / "broken")})
