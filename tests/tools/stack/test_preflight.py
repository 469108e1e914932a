"""What is refused before the engine changes a cluster, and what is said where it is not."""

from __future__ import annotations

import json

import pytest

from tools.stack import preflight
from tools.stack.cluster import Cluster
from tools.stack.engine import EngineError

PLUGIN = "pulumi-resource-kubernetes"
NOWHERE = "https://127.0.0.1:1"


@pytest.fixture
def engine(kubectl, make_engine, kubeconfig, program, tmp_path):
    """A stack whose cluster is away; the plugin is there."""
    path = program(PLUGIN, "exit 0")
    (tmp_path / "bin" / "kubectl").symlink_to(kubectl)
    return make_engine({"KUBECONFIG": str(kubeconfig(away=NOWHERE)), "PATH": path})


def test_a_missing_plugin_stops_it_before_the_engine_runs(engine, program, tmp_path):
    (tmp_path / "bin" / PLUGIN).unlink()
    program("pulumi", "echo 'error: no way out'; exit 1")
    with pytest.raises(EngineError, match=r"(?s)no way out.*pulumi plugin install resource kubernetes"):
        preflight.ready(engine, "Deploying to")


def test_a_cluster_that_does_not_answer_is_named_with_what_to_do(engine):
    with pytest.raises(EngineError) as refused:
        preflight.ready(engine, "Deploying to")
    for words in ("context away", NOWHERE, "make cluster", "kubectl config use-context", "Nothing was changed"):
        assert words in str(refused.value)


def test_a_preview_goes_on_without_the_cluster_and_says_so(engine, capsys):
    preflight.ready(engine, "Preview for", reachable=False)
    shown = capsys.readouterr()
    assert "does not answer" in shown.err
    assert f"Preview for: context away, {NOWHERE}, namespace assistant" in shown.out


def test_a_cluster_that_is_gone_for_good_can_be_given_up(engine):
    gone = dict(engine.environment) | {preflight.DELETE_UNREACHABLE: "true"}
    assert preflight.ready(type(engine)(checkout=engine.checkout, stack="trial", environment=gone), "Removing from")


def test_a_stack_does_not_follow_a_switched_context(engine, kubeconfig):
    preflight.remember(engine)
    kubeconfig(production="https://production:6443", away=NOWHERE)
    with pytest.raises(EngineError) as refused:
        preflight.ready(engine, "Deploying to")
    for words in ("context away", NOWHERE, "production", "https://production:6443", "Nothing was changed"):
        assert words in str(refused.value)
    preflight.forget(engine)
    with pytest.raises(EngineError, match="does not answer"):
        preflight.ready(engine, "Deploying to")


def test_what_the_commands_keep_goes_and_nothing_else(engine):
    folder = engine.state_directory()
    preflight.remember(engine)
    preflight.forget(engine)
    assert not folder.exists()
    preflight.remember(engine)
    (folder / preflight.AUTHORITY).touch()
    (folder / "thesis.tex").touch()
    preflight.forget(engine)
    assert [file.name for file in folder.iterdir()] == ["thesis.tex"]


def test_another_name_for_the_same_cluster_is_the_same_cluster(engine, tmp_path):
    record = tmp_path / "cluster.json"
    record.write_text(json.dumps({"context": "old-name", "server": NOWHERE}))
    cluster = Cluster(context="new-name", server=NOWHERE, namespace="assistant", environment={})
    assert preflight.elsewhere(record, cluster, engine) is None


def test_a_local_stack_needs_none_of_it(make_engine):
    engine = make_engine({"PATH": "/none"}, target="local")
    assert preflight.ready(engine, "Deploying to") is engine
