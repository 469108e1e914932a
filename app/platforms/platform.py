"""What the pipeline asks of a collaboration platform, and how a platform says what became of it.

A platform's module implements :class:`Platform`. Each method either returns, which means *done, and known to be done*, or
raises one of three outcomes; any other exception counts as a fault of ours and is retried like :class:`Retryable`.

=====================  ======================================================  =========================================
raised                 meaning                                                 what the worker does
=====================  ======================================================  =========================================
``Retryable``          it did not happen, or repeating is harmless             waits, calls again with the same key
``GivenUp``            it did not happen and never will                        dead letter
``OutcomeUnknown``     it may have happened, and repeating could double it     parks the event, never repeats by itself
=====================  ======================================================  =========================================

``key`` is the idempotency key: equal on every attempt at one step of one event, different for any other. It consists of ASCII
letters, digits and ``_`` (37 characters), so that it fits a header, a query string or an opaque id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from app.pipeline.event import Event
from app.pipeline.responses import Response


class Retryable(Exception):
    """Not now. The message says why, for logs and the trace: no message text, no secret.

    ``retry_after``: seconds the other side asked to wait; None leaves it to the worker's backoff.
    ``counted``: whether this attempt counts towards the event's limit. False where the other side was plainly unavailable or
    overloaded (refused connection, 429, 503): that is not the event's fault, and an outage must not kill what waits. True
    where the event itself may be the cause (a time-out, a 500).
    """

    def __init__(self, reason: str, retry_after: float | None = None, *, counted: bool = True) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.counted = counted


class GivenUp(Exception):
    """Refused for good (a 4xx that repeating cannot mend); the message says why."""


class OutcomeUnknown(Exception):
    """The request left, no answer came, and the platform takes no idempotency key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """What to put into the calendar. A ``date`` is a whole day; a ``datetime`` is aware and in UTC."""

    summary: str
    start: date | datetime
    attendees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEvent:
    """What the platform made of a :class:`CalendarEntry`; ``url`` is empty where it names no page."""

    id: str
    url: str = ""


class Platform(Protocol):
    @property
    def name(self) -> str:
        """As in :attr:`Event.platform`."""

    @property
    def idempotent(self) -> bool:
        """Whether a repeated ``key`` has no second effect. Where not, the worker records its intent before each call."""

    async def send(self, event: Event, response: Response, key: str) -> None:
        """Deliver ``response`` where ``event`` came from."""

    async def create_calendar_event(self, event: Event, entry: CalendarEntry, key: str) -> CalendarEvent: ...
