"""How an attempt ended, and what that means for its event. Pure: :func:`decide` has no clock and no dice of its own."""

from __future__ import annotations

from dataclasses import dataclass

from app.pipeline.queue import LeaseLost, QueueUnavailable
from app.platforms.platform import GivenUp, OutcomeUnknown, Retryable

BASE_SECONDS = 2.0
FACTOR = 3.0
LONGEST_SECONDS = 60.0  # so five attempts span 2 + 6 + 18 + 54 = 80 s, less jitter
LONGEST_ASKED_SECONDS = 300.0  # what a Retry-After may hold up a conversation
# An outage excuses attempts, but not for ever: whoever asked has gone away, and the conversation's next message waits.
GIVE_UP_SECONDS = 15 * 60.0


@dataclass(frozen=True, slots=True)
class Acknowledge:
    pass


@dataclass(frozen=True, slots=True)
class Retry:
    delay_seconds: float
    reason: str
    counted: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    reason: str


@dataclass(frozen=True, slots=True)
class Park:
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Do nothing: the lease is somebody else's, or the queue is away and the lease will expire."""

    reason: str


Decision = Acknowledge | Retry | DeadLetter | Park | Drop


def decide(error: BaseException | None, attempt: int, tried_seconds: float, dice: float) -> Decision:
    """``error``: what the attempt raised, None for success. ``dice``: uniform in [0, 1)."""
    match error:
        case None:
            return Acknowledge()
        case LeaseLost() | QueueUnavailable():
            return Drop(str(error))
        case OutcomeUnknown():
            return Park(str(error))
        case GivenUp():
            return DeadLetter(str(error))
        case Retryable(counted=False) if tried_seconds > GIVE_UP_SECONDS:
            return DeadLetter(f"given up {tried_seconds / 60:.0f} minutes after the first attempt: {error}")
        case Retryable():
            asked = min(error.retry_after or 0.0, LONGEST_ASKED_SECONDS)
            delay = max(backoff_seconds(attempt, dice), asked)
            return Retry(delay, str(error), error.counted)
        case _:
            # A fault of ours. Its message may quote what somebody said, so its type has to do.
            return Retry(backoff_seconds(attempt, dice), f"fault: {type(error).__name__}", counted=True)


def backoff_seconds(attempt: int, dice: float) -> float:
    """Exponential, with the upper half at random, so that what failed together does not come back together."""
    full = min(BASE_SECONDS * FACTOR ** min(attempt - 1, 10), LONGEST_SECONDS)
    return full * (0.5 + dice / 2)
