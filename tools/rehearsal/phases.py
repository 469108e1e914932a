"""The phases of a life, one after the other: what is timed, what came of each, and what is left undone once one failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tools.rehearsal.errors import RehearsalError

Verdict = Literal["passed", "failed", "not reached"]
Report = Callable[[str], None]
SIGNS: dict[Verdict, str] = {"passed": "ok", "failed": "FAILED", "not reached": "-"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``said``: in one line. ``details``: what the report shows besides."""

    said: str
    details: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Phase:
    """``act`` raises :class:`RehearsalError` where the phase fails. ``always``: also after one that failed."""

    name: str
    act: Callable[[], Outcome]
    always: bool = False


@dataclass(frozen=True, kw_only=True)
class Done:
    name: str
    verdict: Verdict
    seconds: float
    said: str
    details: Sequence[str] = field(default_factory=tuple)


def perform(phases: Sequence[Phase], report: Report, clock: Callable[[], float] = time.monotonic) -> list[Done]:
    """All of them, in order; after a failure only those that are always carried out. A line for each."""
    done: list[Done] = []
    for phase in phases:
        broken = any(one.verdict == "failed" for one in done)
        if broken and not phase.always:
            done.append(Done(name=phase.name, verdict="not reached", seconds=0.0, said="an earlier phase failed"))
            continue
        start = clock()
        try:
            outcome = phase.act()
            done.append(_done(phase, "passed", clock() - start, outcome))
        except RehearsalError as error:
            said, *details = str(error).splitlines() or [""]
            done.append(_done(phase, "failed", clock() - start, Outcome(said=said, details=details)))
        report(line(done[-1]))
    return done


def _done(phase: Phase, verdict: Verdict, seconds: float, outcome: Outcome) -> Done:
    return Done(name=phase.name, verdict=verdict, seconds=seconds, said=outcome.said, details=tuple(outcome.details))


def line(done: Done) -> str:
    """Pure."""
    shown = f"{done.name:<22} {SIGNS[done.verdict]:<7}{done.seconds:6.1f} s  {done.said}"
    return "\n".join([shown, *(f"    {detail}" for detail in done.details)]) if done.verdict == "failed" else shown
