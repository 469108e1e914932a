"""Phases come one after the other, and a failed one is the last."""

from __future__ import annotations

from tools.rehearsal import phases
from tools.rehearsal.errors import RehearsalError
from tools.rehearsal.phases import Outcome, Phase


def fails() -> Outcome:
    raise RehearsalError("no such thing\nthe log says why")


def test_after_a_failure_nothing_is_done_but_what_always_is() -> None:
    acted: list[str] = []

    def act(name: str) -> Outcome:
        acted.append(name)
        return Outcome(said=name)

    said: list[str] = []
    done = phases.perform(
        [
            Phase(name="first", act=lambda: act("first")),
            Phase(name="second", act=fails),
            Phase(name="third", act=lambda: act("third")),
            Phase(name="last", act=lambda: act("last"), always=True),
        ],
        said.append,
    )
    assert acted == ["first", "last"]
    assert [one.verdict for one in done] == ["passed", "failed", "not reached", "passed"]
    assert (done[1].said, list(done[1].details)) == ("no such thing", ["the log says why"])
    assert len(said) == 3
    assert "FAILED" in said[1]
    assert "the log says why" in said[1]


def test_each_phase_has_its_own_time() -> None:
    moments = iter([0.0, 2.0, 2.0, 5.5])
    act = Phase(name="one", act=lambda: Outcome(said="done"))
    done = phases.perform([act, act], lambda line: None, clock=lambda: next(moments))
    assert [one.seconds for one in done] == [2.0, 3.5]
