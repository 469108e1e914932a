"""`make logs` of a cluster's stack."""

from __future__ import annotations

import json

import pytest

from tools.stack import logs
from tools.stack.assistant import AssistantError


@pytest.fixture
def engine(make_engine, program, tmp_path):
    """A cluster that kubectl tells of; `pods` decides which it has."""
    view = {"contexts": [{"name": "c"}], "clusters": [{"cluster": {"server": "https://s"}}]}
    (tmp_path / "view.json").write_text(json.dumps(view))
    (tmp_path / "pods").write_text("pod/gateway-1\n")
    path = program(
        "kubectl",
        f"""case "$*" in
        *"config view"*) cat {tmp_path}/view.json;;
        *"get pods"*) cat {tmp_path}/pods;;
        *) echo "$@" > {tmp_path}/asked;;
        esac""",
    )
    return make_engine({"PATH": path})


def test_all_pods_of_the_stack_tell_their_last_lines(engine, tmp_path):
    assert logs.show(engine, lines=7, follow=False) == 0
    asked = (tmp_path / "asked").read_text().split()
    assert {"--tail=7", "--prefix", "--all-containers", "--selector=app.kubernetes.io/part-of=assistant"} <= set(asked)
    assert "--follow" not in asked
    logs.show(engine, lines=7, follow=True)
    assert "--follow" in (tmp_path / "asked").read_text().split()


def test_no_pods_is_told_with_what_to_do(engine, tmp_path):
    (tmp_path / "pods").write_text("")
    with pytest.raises(AssistantError, match=r"No pods in context c.*make up STACK=trial"):
        logs.show(engine, lines=7, follow=False)
