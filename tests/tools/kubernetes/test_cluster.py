"""The cluster that is remembered, and how images reach it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tools.kubernetes import cluster as clusters
from tools.kubernetes.cluster import Cluster, Kind, client_minor, current, kind_of, load, load_command, save
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.layout import Layout
from tools.kubernetes.state import enough


@pytest.fixture
def own(tmp_path: Path) -> Cluster:
    layout = Layout.of(tmp_path)
    return Cluster(
        kind="own", context="assistant", kubeconfig=layout.kubeconfig, kubectl=Path("/bin/kubectl"), made=True, layout=layout
    )


def test_what_up_chose_is_found_again(own: Cluster, tmp_path: Path) -> None:
    assert current(tmp_path) is None
    for chosen in (own, replace(own, kind="other", context="theirs", kubeconfig=None, made=False)):
        save(chosen)
        assert current(tmp_path) == chosen


@pytest.mark.parametrize(
    ("kind", "context", "words"),
    [
        ("own", "assistant", ("ctr", "k8s.io", "import")),
        ("kind", "kind-mine", ("kind", "image-archive", "mine")),
        ("kind", "assistant", ("kind", "image-archive", "assistant")),
        ("minikube", "minikube", ("minikube", "image", "minikube")),
    ],
)
def test_an_image_goes_the_way_of_the_clusters_kind(own: Cluster, kind: Kind, context: str, words: tuple[str, ...]) -> None:
    command = load_command(replace(own, kind=kind, context=context), Path("/x/image.tar"))
    assert command[0] == words[0]
    assert {*words, "/x/image.tar"} <= set(command)


def test_a_cluster_whose_nodes_are_out_of_reach_says_what_to_do_instead(own: Cluster) -> None:
    with pytest.raises(ClusterError, match=r"images\.registry"):
        load_command(replace(own, kind="other", context="prod"), Path("/x"))
    with pytest.raises(ClusterError, match="no node"):
        load_command(replace(own, kind="own-api"), Path("/x"))


def test_loading_before_up_and_loading_what_is_not_there_are_explained(own: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="make cluster"):
        load(tmp_path / "image.tar", tmp_path)
    save(own)
    with pytest.raises(ClusterError, match=r"is no file"):
        load(tmp_path / "image.tar", tmp_path)


def test_contexts_are_told_by_the_names_that_kind_and_minikube_give() -> None:
    assert [kind_of(name) for name in ("kind-a", "minikube", "arn:aws:eks:x")] == ["kind", "minikube", "other"]


def test_the_clients_version_is_read_with_a_suffix_too() -> None:
    assert client_minor(json.dumps({"clientVersion": {"minor": "32+"}})) == 32
    assert client_minor("no json") is None


def test_kubectl_is_always_told_which_cluster_is_meant(own: Cluster) -> None:
    assert own.arguments()[1:5] == ["--kubeconfig", str(own.kubeconfig), "--context", "assistant"]
    assert clusters.KIND_NAME == "assistant"


@pytest.mark.parametrize(
    ("kind", "nodes", "well"),
    [
        ("own", {"assistant-1": True, "made-by-hand": False}, True),
        ("own", {"assistant-1": False, "made-by-hand": True}, False),
        ("own", {}, False),
        ("own-api", {}, True),
        ("other", {"a": False, "b": True}, True),
        ("other", {}, False),
    ],
)
def test_a_cluster_is_whole_when_pods_have_a_node_to_run_on(kind: Kind, nodes: dict[str, bool], well: bool) -> None:
    assert enough(kind, nodes) is well
