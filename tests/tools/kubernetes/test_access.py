"""Which cluster is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.kubernetes.access import Surroundings, choose, look_around
from tools.kubernetes.address import API_PORT, CONTEXT, HOST_ADDRESS
from tools.kubernetes.errors import ClusterError

NOTHING = Surroundings(contexts=(), current="", reachable=False, kind=False)
REACHABLE = Surroundings(contexts=("a", "b"), current="a", reachable=True, kind=True)
DEAD = Surroundings(contexts=("a",), current="a", reachable=False, kind=False)


@pytest.mark.parametrize(
    ("there", "context", "tier", "way"),
    [
        (REACHABLE, "b", None, ("context", "b")),
        (REACHABLE, None, None, ("context", "a")),
        (REACHABLE, None, "api", ("own", "")),
        (Surroundings(contexts=("a",), current="a", reachable=False, kind=True), None, None, ("kind", "")),
        (DEAD, None, None, ("own", "")),
        (NOTHING, None, None, ("own", "")),
    ],
)
def test_what_is_asked_for_comes_first_then_what_answers_then_kind_then_our_own(
    there: Surroundings, context: str | None, tier: str | None, way: tuple[str, str]
) -> None:
    assert choose(there, context, tier)[:2] == way  # type: ignore[arg-type]


def test_a_context_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ClusterError, match=r"'c'.*a, b"):
        choose(REACHABLE, "c", None)


def test_the_reason_says_that_a_context_does_not_answer() -> None:
    assert "'a' does not answer" in choose(DEAD, None, None)[2]


@pytest.fixture
def kubectl(tmp_path: Path) -> dict[str, str]:
    """A kubectl whose configuration holds a cluster of ours and another one; of these the other one answers."""
    clusters = {CONTEXT: f"https://{HOST_ADDRESS}:{API_PORT}", "theirs": "https://192.0.2.9:6443"}
    configuration = {
        "current-context": CONTEXT,
        "clusters": [{"name": name, "cluster": {"server": server}} for name, server in clusters.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "u"}} for name in clusters],
    }
    (tmp_path / "configuration.json").write_text(json.dumps(configuration))
    program = tmp_path / "kubectl"
    program.write_text(f'#!/bin/sh\n[ "$1" = config ] && exec cat {tmp_path}/configuration.json\n[ "$2" = theirs ]\n')
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:/bin:/usr/bin"}


def test_a_cluster_of_our_own_is_not_taken_for_somebody_elses(kubectl: dict[str, str]) -> None:
    there = look_around(kubectl)
    assert there.contexts == ("theirs",)
    assert there.current == ""
    assert not there.reachable
