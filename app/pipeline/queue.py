"""The queue of events: durable, in order within a conversation, one holder at a time.

It keeps the promise of the design: an accepted event is processed at least once, and never silently lost. There are two
implementations of :class:`Queue` with the same tests: :class:`app.pipeline.redis_queue.RedisQueue`, and
:class:`app.pipeline.memory_queue.MemoryQueue` for tests of what stands on a queue.

States of an event::

    deliver ──> queued ──lease──> leased ──acknowledge──> done     (forgotten 24 h later)
                  ^                 │ │ └─dead_letter────> dead     (until replayed or discarded)
                  │                 │ └───park───────────> unknown  (until replayed or discarded)
                  │                 ├─retry──> retrying ──lease──> leased …
                  │                 └─lease expired──┬─ intent recorded ───────────> unknown
                  │                                  ├─ attempts used up ──────────> dead
                  │                                  └─ else ──> retrying
                  ├───────────replay─────────── dead, unknown
                  └───────────resolve────────── unknown, once it is known that the effect took place

* **Duplicates.** An event's record is its deduplication mark: while it exists, in whatever state, the same key is a duplicate.
  Only finished records expire, and later than the last retry of any platform (Feishu: 7.1 h).
* **Order.** At most one event of a conversation is leased. Its successors wait until it is done, dead or unknown; an event that
  waits for its retry holds its conversation back, and no other. A replayed event goes to the end of its conversation.
* **Fencing.** Each lease has a token, larger than any before. Whatever a holder does with a lease is refused with
  :class:`LeaseLost` once the event was leased again, finished or moved by somebody else. Doing the same thing twice with the
  lease that did it (an answer lost on the network) is not an error.
* **Attempts** are counted when the lease is given, so that a crash counts. ``retry(counted=False)`` excuses one.
* **Intents.** Where a platform takes no idempotency key, :meth:`Queue.record_intent` comes before the effect and
  :meth:`Queue.record_outcome` after it. A lease that expires in between leaves the event *unknown*: repeating the effect could
  double it, so a person decides.
* **Steps.** The value of a recorded outcome is given back with every later lease, so that a step already done is not repeated
  and a repeated send says the same words under its idempotency key.
* **Overload.** An event is refused while ``limit`` unfinished events (dead and unknown ones included) are stored. Redis never
  evicts, so the limit is what keeps it from filling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from app.pipeline.event import Event

TIMELINE_LIMIT = 64  # entries; ten attempts of six stages fit


class QueueUnavailable(Exception):
    """The store does not take or give anything now: unreachable, too slow, full or read-only. Whether the call took effect is
    not known; repeating it is safe. The message holds no address and no secret."""


class LeaseLost(Exception):
    """The event is somebody else's by now, or finished: drop the work, touch nothing."""


class Delivery(StrEnum):
    """What became of an event that was delivered to the queue."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REFUSED = "refused"  # the backlog limit is reached: the platform shall try again (503)


class State(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"
    RETRYING = "retrying"
    DONE = "done"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePolicy:
    """Numbers that every process working on the same queue shares."""

    limit: int = 100_000  # unfinished events
    lease_seconds: float = 8.0
    max_attempts: int = 5
    finished_seconds: float = 24 * 3600.0  # how long a finished event is remembered as a duplicate


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on one event until ``deadline``, extended by :meth:`Queue.renew`."""

    event: Event
    token: int
    attempt: int  # 1 for the first
    deadline: datetime  # aware, UTC, by the store's clock
    tried_seconds: float  # since its first lease (after acceptance or replay), when this one was given
    steps: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # outcomes recorded by earlier attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of an event's timeline."""

    at: datetime  # aware, UTC
    stage: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What became of an event; ``timeline`` holds the last :data:`TIMELINE_LIMIT` entries, oldest first."""

    event: str  # Event.key
    state: State
    attempts: int
    timeline: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the list of what is set aside, which is by time and then by key."""

    at: datetime  # aware, UTC, whole milliseconds
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """An event that waits for a person: dead or of unknown outcome. Whoever decides needs no word of what was said."""

    key: str  # Event.key
    state: State
    reason: str
    at: datetime
    attempts: int

    @property
    def position(self) -> Position:
        return Position(self.at, self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """An event of unknown outcome as a platform is asked about it. It holds what was said: for no log and no page."""

    event: Event
    steps: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    backlog: int  # accepted and not finished: queued, retrying and leased
    leased: int
    dead: int
    unknown: int
    oldest_seconds: float  # age of the oldest event in the backlog, 0 where there is none


class Queue(Protocol):
    """Every method may raise :class:`QueueUnavailable`; those that take a lease also :class:`LeaseLost`."""

    async def deliver(self, event: Event) -> Delivery:
        """Deduplicate and enqueue, in one atomic step. Safe to repeat: then it answers DUPLICATE."""

    async def lease(self, worker: str, wait_seconds: float = 0.0) -> Lease | None:
        """The next event whose conversation has none in flight; expired leases are reclaimed first. Waits
        up to ``wait_seconds`` for one, without polling."""

    async def renew(self, lease: Lease) -> None:
        """Hold the lease ``lease_seconds`` from now."""

    async def note(self, lease: Lease, stage: str, detail: str = "") -> None:
        """Add a line to the timeline. No message text: the trace is shown and kept."""

    async def record_intent(self, lease: Lease, step: str) -> None: ...

    async def record_outcome(self, lease: Lease, step: str, value: str = "") -> None: ...

    async def acknowledge(self, lease: Lease) -> None: ...

    async def retry(self, lease: Lease, delay_seconds: float, reason: str, *, counted: bool = True) -> State:
        """RETRYING, or DEAD where the attempts are used up. An intent is taken back: the caller knows that nothing happened."""

    async def dead_letter(self, lease: Lease, reason: str) -> None: ...

    async def park(self, lease: Lease, reason: str) -> None:
        """Set aside as *unknown*: the effect may have happened and cannot be repeated safely."""

    async def trace(self, key: str) -> Trace | None: ...

    async def set_aside(
        self, limit: int = 100, *, state: State | None = None, after: Position | None = None
    ) -> Sequence[SetAside]:
        """Dead and unknown events (``state``: only these), oldest first, from behind ``after`` on."""

    async def show(self, key: str) -> SetAside | None:
        """One of them; None where there is no such event set aside."""

    async def replay(self, key: str) -> bool:
        """Queue a dead or unknown event again with fresh attempts; False where there is no such event set aside."""

    async def unsettled(self, key: str) -> Unsettled | None:
        """What an event of unknown outcome is about; None where there is no such event."""

    async def resolve(self, key: str, step: str, value: str = "") -> bool:
        """``step`` of an event of unknown outcome is known to have taken place: record it, and queue the event to go on
        behind it, as :meth:`replay` does. True for good once it was true, so a late caller does no harm. False where there is
        no such event of unknown outcome."""

    async def discard(self, key: str) -> bool:
        """Forget a dead or unknown event after ``finished_seconds``; its state stays."""

    async def stats(self) -> Stats: ...
