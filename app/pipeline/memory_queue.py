"""The queue in a process's memory: the same promises as Redis's, less durability. For tests of what stands on a queue.

Its clock can be given, so that a test moves time instead of waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from app.pipeline.event import Event
from app.pipeline.queue import (
    TIMELINE_LIMIT,
    Delivery,
    Entry,
    Lease,
    LeaseLost,
    Position,
    QueuePolicy,
    SetAside,
    State,
    Stats,
    Trace,
    Unsettled,
)


@dataclass(slots=True)
class _Record:
    event: Event
    accepted_at: float
    begun_at: float | None = None  # its first lease
    state: State = State.QUEUED
    attempts: int = 0
    excused: int = 0
    token: int = 0  # 0: nobody's
    deadline: float = 0.0
    intent: str | None = None
    reason: str = ""
    aside_at: float = 0.0
    forgotten_at: float | None = None
    steps: dict[str, str] = field(default_factory=dict)
    timeline: deque[Entry] = field(default_factory=lambda: deque(maxlen=TIMELINE_LIMIT))


class MemoryQueue:
    """:class:`app.pipeline.queue.Queue` without a store. ``clock``: seconds since 1970."""

    def __init__(self, policy: QueuePolicy | None = None, clock: Callable[[], float] = time.time) -> None:
        self._policy = policy or QueuePolicy()
        self._clock = clock
        self._records: dict[str, _Record] = {}
        self._conversations: dict[str, deque[str]] = {}
        self._ready: dict[str, float] = {}  # conversation -> when its head is due
        self._token = 0
        self._offered = asyncio.Event()

    async def deliver(self, event: Event) -> Delivery:
        now = self._clock()
        for key in [
            key for key, record in self._records.items() if record.forgotten_at is not None and record.forgotten_at <= now
        ]:
            del self._records[key]
        if event.key in self._records:
            return Delivery.DUPLICATE
        if sum(record.forgotten_at is None for record in self._records.values()) >= self._policy.limit:
            return Delivery.REFUSED
        self._records[event.key] = record = _Record(event, accepted_at=now)
        self._note(record, "accepted")
        self._enter(record)
        return Delivery.ACCEPTED

    async def lease(self, worker: str, wait_seconds: float = 0.0) -> Lease | None:
        deadline = time.monotonic() + wait_seconds
        while True:
            self._offered.clear()
            if found := self._next(worker):
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            due = [*self._ready.values(), *(record.deadline for record in self._leased())]
            left = min([left, *(max(moment - self._clock(), 0.001) for moment in due)])
            try:
                async with asyncio.timeout(left):
                    await self._offered.wait()
            except TimeoutError:
                continue

    async def renew(self, lease: Lease) -> None:
        self._held(lease).deadline = self._clock() + self._policy.lease_seconds

    async def note(self, lease: Lease, stage: str, detail: str = "") -> None:
        self._note(self._held(lease), stage, detail)

    async def record_intent(self, lease: Lease, step: str) -> None:
        record = self._held(lease)
        record.intent = step
        self._note(record, "intent", step)

    async def record_outcome(self, lease: Lease, step: str, value: str = "") -> None:
        record = self._held(lease)
        record.intent = None
        record.steps[step] = value
        self._note(record, step)

    async def acknowledge(self, lease: Lease) -> None:
        if self._repeated(lease, State.DONE):
            return
        record = self._held(lease)
        self._leave(record)
        record.state, record.intent = State.DONE, None
        self._note(record, "done")
        self._forget(record)

    async def retry(self, lease: Lease, delay_seconds: float, reason: str, *, counted: bool = True) -> State:
        for state in (State.RETRYING, State.DEAD):
            if self._repeated(lease, state):
                return state
        record = self._held(lease)
        record.intent = None
        record.excused += not counted
        if self._spent(record):
            self._set_aside(record, State.DEAD, reason)
        else:
            record.state = State.RETRYING
            self._note(record, "retry", f"in {delay_seconds:.1f} s: {reason}")
            self._offer(record.event.conversation_key, self._clock() + delay_seconds)
        return record.state

    async def dead_letter(self, lease: Lease, reason: str) -> None:
        if not self._repeated(lease, State.DEAD):
            self._set_aside(self._held(lease), State.DEAD, reason)

    async def park(self, lease: Lease, reason: str) -> None:
        if not self._repeated(lease, State.UNKNOWN):
            self._set_aside(self._held(lease), State.UNKNOWN, reason)

    async def trace(self, key: str) -> Trace | None:
        record = self._records.get(key)
        if record is None:
            return None
        return Trace(event=key, state=record.state, attempts=record.attempts, timeline=tuple(record.timeline))

    async def set_aside(
        self, limit: int = 100, *, state: State | None = None, after: Position | None = None
    ) -> Sequence[SetAside]:
        found = [
            _shown(record) for record in self._records.values() if self._is_aside(record) and state in (None, record.state)
        ]
        rest = [aside for aside in found if after is None or aside.position > after]
        return sorted(rest, key=lambda aside: aside.position)[:limit]

    async def show(self, key: str) -> SetAside | None:
        record = self._records.get(key)
        return _shown(record) if record is not None and self._is_aside(record) else None

    async def replay(self, key: str) -> bool:
        record = self._records.get(key)
        if record is None or not self._is_aside(record):
            return False
        self._note(record, "replayed")
        self._requeue(record)
        return True

    async def unsettled(self, key: str) -> Unsettled | None:
        record = self._records.get(key)
        if record is None or not self._is_aside(record) or record.state != State.UNKNOWN:
            return None
        return Unsettled(event=record.event, steps=MappingProxyType(dict(record.steps)))

    async def resolve(self, key: str, step: str, value: str = "") -> bool:
        record = self._records.get(key)
        if record is None or not self._is_aside(record) or record.state != State.UNKNOWN:
            return False
        record.steps.setdefault(step, value)
        self._note(record, step, "found on the platform")
        self._requeue(record)
        return True

    async def discard(self, key: str) -> bool:
        record = self._records.get(key)
        if record is None or not self._is_aside(record):
            return False
        self._note(record, "discarded")
        self._forget(record)
        return True

    async def stats(self) -> Stats:
        open_ = [record for record in self._records.values() if record.state in (State.QUEUED, State.LEASED, State.RETRYING)]
        aside = [record.state for record in self._records.values() if self._is_aside(record)]
        now = self._clock()
        return Stats(
            backlog=len(open_),
            leased=len(self._leased()),
            dead=aside.count(State.DEAD),
            unknown=aside.count(State.UNKNOWN),
            oldest_seconds=now - min((record.accepted_at for record in open_), default=now),
        )

    def _next(self, worker: str) -> Lease | None:
        for record in self._leased():
            if record.deadline <= self._clock():
                self._reclaim(record)
        now = self._clock()
        due = [(moment, conversation) for conversation, moment in self._ready.items() if moment <= now]
        if not due:
            return None
        _, conversation = min(due)
        del self._ready[conversation]
        record = self._records[self._conversations[conversation][0]]
        self._token += 1
        record.token, record.state, record.deadline = self._token, State.LEASED, now + self._policy.lease_seconds
        record.attempts += 1
        record.begun_at = now if record.begun_at is None else record.begun_at
        self._note(record, "leased", f"attempt {record.attempts} by {worker}")
        return Lease(
            event=record.event,
            token=record.token,
            attempt=record.attempts,
            deadline=_time(record.deadline),
            tried_seconds=now - record.begun_at,
            steps=MappingProxyType(dict(record.steps)),
        )

    def _reclaim(self, record: _Record) -> None:
        record.token = 0
        if record.intent is not None:
            reason = f"the worker was lost between intent and outcome of: {record.intent}"
            self._set_aside(record, State.UNKNOWN, reason)
        elif self._spent(record):
            self._set_aside(record, State.DEAD, "the worker was lost, and no attempt is left")
        else:
            record.state = State.RETRYING
            self._note(record, "retry", "the lease expired")
            self._offer(record.event.conversation_key, self._clock())

    def _held(self, lease: Lease) -> _Record:
        record = self._records.get(lease.event.key)
        if record is None or record.token != lease.token or record.state != State.LEASED:
            raise LeaseLost(f"lease {lease.token} of {lease.event.key} is no longer held")
        return record

    def _repeated(self, lease: Lease, state: State) -> bool:
        record = self._records.get(lease.event.key)
        return record is not None and record.token == lease.token and record.state == state

    def _requeue(self, record: _Record) -> None:
        record.state, record.attempts, record.excused, record.token, record.reason = State.QUEUED, 0, 0, 0, ""
        record.accepted_at, record.begun_at = self._clock(), None
        self._enter(record)

    def _enter(self, record: _Record) -> None:
        conversation = self._conversations.setdefault(record.event.conversation_key, deque())
        conversation.append(record.event.key)
        if len(conversation) == 1:
            self._offer(record.event.conversation_key, self._clock())

    def _leave(self, record: _Record) -> None:
        name = record.event.conversation_key
        self._conversations[name].remove(record.event.key)
        if self._conversations[name]:
            self._offer(name, self._clock())
        else:
            del self._conversations[name]

    def _offer(self, conversation: str, due: float) -> None:
        self._ready[conversation] = due
        self._offered.set()

    def _set_aside(self, record: _Record, state: State, reason: str) -> None:
        self._leave(record)
        record.state, record.reason, record.intent, record.aside_at = state, reason, None, self._clock()
        self._note(record, state, reason)

    def _forget(self, record: _Record) -> None:
        record.forgotten_at = self._clock() + self._policy.finished_seconds
        record.steps.clear()

    def _leased(self) -> list[_Record]:
        return [record for record in self._records.values() if record.state == State.LEASED]

    def _is_aside(self, record: _Record) -> bool:
        return record.state in (State.DEAD, State.UNKNOWN) and record.forgotten_at is None

    def _spent(self, record: _Record) -> bool:
        return record.attempts - record.excused >= self._policy.max_attempts

    def _note(self, record: _Record, stage: str, detail: str = "") -> None:
        record.timeline.append(Entry(at=_time(self._clock()), stage=stage, detail=detail))


def _shown(record: _Record) -> SetAside:
    return SetAside(
        key=record.event.key,
        state=record.state,
        reason=record.reason,
        at=_time(round(record.aside_at, 3)),
        attempts=record.attempts,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
