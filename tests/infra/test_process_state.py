"""What a process needs, on a table of what is seen of it."""

from __future__ import annotations

import pytest

from infra.local.process_state import MOST_CRASHES, Action, Observed, Progress, Status, decide, may_recover, status

OURS, THEIRS = "digest wanted", "digest of an earlier description"


def seen(program: str | None, digest: str = OURS, *, ready: bool = False, intact: bool = True) -> Observed:
    return Observed(program=program, digest=digest, ready=ready, intact=intact)


@pytest.mark.parametrize(
    ("observed", "progress", "action"),
    [
        # Nothing was done yet.
        (seen(None), Progress(), Action.PLACE),
        (seen("ORPHAN"), Progress(), Action.WAIT),
        (seen("RUNNING", ready=True), Progress(), Action.DONE),
        (seen("RUNNING", THEIRS, ready=True), Progress(), Action.PLACE),
        (seen("RUNNING", ready=True, intact=False), Progress(), Action.PLACE),
        (seen("STOPPED"), Progress(), Action.START),
        (seen("STOPPED", THEIRS), Progress(), Action.PLACE),
        (seen("FATAL"), Progress(), Action.START),
        (seen("FATAL", THEIRS), Progress(), Action.PLACE),
        (seen("STOPPING"), Progress(), Action.WAIT),
        (seen("STARTING"), Progress(), Action.WAIT),
        (seen("BACKOFF"), Progress(), Action.WAIT),
        (seen("BACKOFF", THEIRS), Progress(), Action.PLACE),
        (seen("EXITED"), Progress(), Action.WAIT),
        # It ran before and does not answer: it has a while to recover, then it is replaced.
        (seen("RUNNING"), Progress(waited=9.9), Action.WAIT),
        (seen("RUNNING"), Progress(waited=10.1), Action.PLACE),
        (seen("RUNNING"), Progress(waited=2.1, recovers_within=2.0), Action.PLACE),
        (seen("BACKOFF"), Progress(waited=10.1), Action.PLACE),
        # It was placed: it has all the time it may need to start, and no second chance.
        (seen(None), Progress(placed=True), Action.FAIL),
        (seen("STARTING", THEIRS), Progress(placed=True), Action.WAIT),
        (seen("RUNNING", THEIRS), Progress(placed=True, waited=61.0), Action.FAIL),
        (seen("RUNNING"), Progress(placed=True, waited=59.0), Action.WAIT),
        (seen("RUNNING"), Progress(placed=True, waited=61.0), Action.FAIL),
        (seen("RUNNING"), Progress(placed=True, waited=61.0, ready_within=300.0), Action.WAIT),
        (seen("RUNNING", ready=True), Progress(placed=True, waited=61.0), Action.DONE),
        (seen("FATAL"), Progress(placed=True), Action.FAIL),
        (seen("BACKOFF"), Progress(placed=True, crashes=MOST_CRASHES - 1), Action.WAIT),
        (seen("BACKOFF"), Progress(placed=True, crashes=MOST_CRASHES), Action.FAIL),
        (seen("EXITED"), Progress(placed=True, crashes=MOST_CRASHES), Action.FAIL),
        (seen("RUNNING", ready=True), Progress(placed=True, crashes=MOST_CRASHES), Action.DONE),
        # It was started.
        (seen("STOPPED"), Progress(started=True), Action.FAIL),
        (seen("RUNNING"), Progress(started=True, waited=30.0), Action.WAIT),
        (seen("RUNNING"), Progress(started=True, waited=61.0), Action.FAIL),
        (seen("STOPPING"), Progress(waited=61.0), Action.FAIL),
    ],
)
def test_the_next_step(observed: Observed, progress: Progress, action: Action) -> None:
    assert decide(observed, OURS, progress) is action


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (seen("RUNNING", ready=True), Status.RUNNING),
        (seen("RUNNING"), Status.UNHEALTHY),
        (seen("STARTING"), Status.UNHEALTHY),
        (seen("RUNNING", THEIRS, ready=True), Status.CHANGED),
        (seen("RUNNING", ready=True, intact=False), Status.CHANGED),
        (seen("ORPHAN", ready=True), Status.RUNNING),  # the supervisor is what needs mending
        (seen("ORPHAN"), Status.RUNNING),
        (seen("ORPHAN", THEIRS), Status.CHANGED),
        (seen(None), Status.DEAD),
        (seen("STOPPED"), Status.DEAD),
        (seen("BACKOFF"), Status.DEAD),
        (seen("EXITED"), Status.DEAD),
        (seen("FATAL"), Status.DEAD),
    ],
)
def test_what_refresh_reports(observed: Observed, expected: Status) -> None:
    assert status(observed, OURS) is expected


def test_only_what_supervisord_may_mend_is_waited_for() -> None:
    assert {p for p in (None, "STOPPED", "STARTING", "RUNNING", "BACKOFF", "EXITED", "FATAL") if may_recover(seen(p))} == {
        "STARTING",
        "RUNNING",
        "BACKOFF",
        "EXITED",
    }
