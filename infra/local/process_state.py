"""What a process needs, decided from what is seen of it. Pure: no clock, no socket, no file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# A process that crashes this often while it is awaited will not come up by itself.
MOST_CRASHES = 3


class Action(Enum):
    """The next step."""

    PLACE = "place"  # end what runs under this name, write the description, hand it to supervisord
    START = "start"  # supervisord knows the right description and has stopped or given up
    WAIT = "wait"
    DONE = "done"
    FAIL = "fail"


class Status(Enum):
    """What ``refresh`` reports. Anything but RUNNING is drift."""

    RUNNING = "running"
    UNHEALTHY = "unhealthy"  # alive, but does not say that it is ready
    CHANGED = "changed"  # alive, but started from another description, or its files were altered
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A process as it is.

    ``program``: supervisord's name for its state (http://supervisord.org/subprocess.html#process-states), ``None`` where it
    knows no such program, ``"ORPHAN"`` where supervisord is dead and the process lives on.
    ``digest``: that of the description which the living process was started from, or which it would be started from.
    ``intact``: the files written for it are as they were written.
    """

    program: str | None
    digest: str = ""
    ready: bool = False
    intact: bool = True


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What has been done so far to bring the process up. Times in seconds."""

    placed: bool = False
    started: bool = False
    crashes: int = 0
    waited: float = 0.0  # since the last step that was not a wait
    ready_within: float = 60.0
    recovers_within: float = 10.0


def decide(observed: Observed, wanted: str, progress: Progress) -> Action:
    """The next step towards a process that runs the description with the digest ``wanted`` and is ready."""
    current = observed.digest == wanted and observed.intact
    match observed.program:
        case None:
            return Action.FAIL if progress.placed else Action.PLACE
        case "STOPPING":
            return Action.WAIT if progress.waited < progress.ready_within else Action.FAIL
        case _ if not current:
            return Action.FAIL if progress.placed and progress.waited >= progress.ready_within else _once(progress)
        case "RUNNING" if observed.ready:
            return Action.DONE
        case "STOPPED" | "FATAL" | "UNKNOWN":
            return Action.FAIL if progress.placed or progress.started else Action.START
    # Starting, backing off, or running without being ready.
    if progress.crashes >= MOST_CRASHES:
        return Action.FAIL
    ours = progress.placed or progress.started
    if progress.waited < (progress.ready_within if ours else progress.recovers_within):
        return Action.WAIT
    return Action.FAIL if ours else Action.PLACE


def status(observed: Observed, wanted: str) -> Status:
    """What ``observed`` means to somebody who wants the description with the digest ``wanted``."""
    if observed.program in {"RUNNING", "STARTING", "ORPHAN"}:
        if observed.digest != wanted or not observed.intact:
            return Status.CHANGED
        # An orphan's output goes to a broken pipe, which may well make it fail. Its supervisor is what needs mending.
        return Status.RUNNING if observed.ready or observed.program == "ORPHAN" else Status.UNHEALTHY
    return Status.DEAD


def may_recover(observed: Observed) -> bool:
    """Whether a process that is not ready may become so without anybody's help."""
    return observed.program in {"RUNNING", "STARTING", "BACKOFF", "EXITED"}


def _once(progress: Progress) -> Action:
    # After it was placed, a moment passes until supervisord's child has become the program.
    return Action.WAIT if progress.placed else Action.PLACE
