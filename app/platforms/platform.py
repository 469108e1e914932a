"""What the pipeline asks of a collaboration platform, and how a platform says what became of it.

A platform's module implements :class:`Platform`. Each method either returns, which means *done, and known to be done*, or
raises one of these outcomes; any other exception counts as a fault of ours and is retried like :class:`Retryable`.

=====================  ======================================================  =========================================
raised                 meaning                                                 what the worker does
=====================  ======================================================  =========================================
``Retryable``          it did not happen, or repeating is harmless             waits, calls again with the same key
``GivenUp``            it did not happen and never will                        dead letter
``OutcomeUnknown``     it may have happened, and repeating could double it     parks the event, never repeats by itself
``TaskFailed``         a task cannot be carried out here; nothing of it stays  tells the sender
=====================  ======================================================  =========================================

``key`` is the idempotency key: equal on every attempt at one step of one event, different for any other. It consists of ASCII
letters, digits and ``_`` (37 characters), so that it fits a header, a query string or an opaque id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol, runtime_checkable

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


class TaskFailed(Exception):
    """What a task asked for is not to be had, and nothing of it remains: what had been done is undone. ``reason``: the
    platform has no such thing ("unsupported"), or it refused ("refused"). The message is for the trace."""

    def __init__(self, reason: Literal["unsupported", "refused"], message: str) -> None:
        super().__init__(message)
        self.reason: Literal["unsupported", "refused"] = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What is sent under one ``key`` (a channel, a chat) goes at least ``seconds`` apart."""

    key: str
    seconds: float


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

    def render(self, response: Response) -> tuple[str, ...]:
        """The messages, in order, in which the platform shows ``response``: each an opaque text that :meth:`send` takes. Pure.
        They are journalled before the first one goes, so a later attempt sends the same words under the same keys."""

    def pace(self, event: Event) -> Pace | None:
        """How quickly answers may follow each other where ``event`` came from. Pure."""

    async def send(self, event: Event, part: str, key: str) -> str:
        """Deliver ``part`` where ``event`` came from. The platform's id of the message, "" where it tells none."""

    async def update(self, event: Event, sent: str, part: str, key: str) -> None:
        """Put ``part`` in the place of the message that :meth:`send` called ``sent``."""

    async def create_calendar_event(self, event: Event, entry: CalendarEntry, key: str) -> CalendarEvent:
        """Raises :class:`TaskFailed` too."""

    async def aclose(self) -> None: ...


@runtime_checkable
class Askable(Protocol):
    """A :class:`Platform` that takes no idempotency key, but can be asked afterwards what became of a message."""

    def findable(self, part: str) -> bool:
        """Whether :meth:`find` can tell anything of such a message. Pure."""

    async def find(self, event: Event, key: str) -> bool:
        """Whether what :meth:`Platform.send` sent for ``event`` under ``key`` has arrived. True is certain; False means that it
        is not there *now*. Raises the outcomes above where it cannot be told."""
