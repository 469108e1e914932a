"""The queue in Redis. What it promises stands in :mod:`app.pipeline.queue`; here is how.

Each method is one Lua script (``scripts/``), so every step is atomic, and times are the server's. All keys begin with one hash
tag and so live on one shard, also where Redis is a cluster (MemoryDB). Redis runs with ``noeviction`` and ``appendfsync
always``: an answer means that the event is on disk.

==================================  ======  =============================================================================
key (after ``{assistant}:``)        type    holds
==================================  ======  =============================================================================
``event:<event key>``               hash    payload, conversation, state, attempts, excused, begun, token, intent, reason,
                                            ``step:<name>`` (recorded outcomes). Its existence is the deduplication mark
``timeline:<event key>``            list    the trace: "<ms> <stage> <detail>", the last 64
``conversation:<conversation key>`` list    its unfinished event keys in order; the head is leased or waits
``ready``                           zset    conversations with nothing in flight, by the time their head is due
``leases``                          zset    leased event keys, by deadline
``backlog``                         zset    accepted, unfinished event keys, by time of acceptance
``dead``, ``unknown``               zset    event keys set aside, by the time of it
``token``                           string  the last fencing token
``wake``                            list    a grain for each offer; idle workers wait on it (BLPOP)
==================================  ======  =============================================================================

A conversation with unfinished events is either in ``ready``, or its head is in ``leases``; never both. That is the whole of
"one in flight". A grain in ``wake`` is a hint: one too many costs a look, one too few costs :data:`LONGEST_WAIT_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from app.pipeline.event import Event
from app.pipeline.group_commit import GroupCommit
from app.pipeline.queue import (
    Delivery,
    Entry,
    Lease,
    LeaseLost,
    Position,
    QueuePolicy,
    QueueUnavailable,
    SetAside,
    State,
    Stats,
    Trace,
    Unsettled,
)
from app.pipeline.redis_client import RedisClient, RedisUnavailable, Script

PREFIX = "{assistant}"
LONGEST_WAIT_SECONDS = 1.0  # of one BLPOP: bounds what a lost grain costs, and lets the caller's loop turn
# Every other call may simply be repeated. A lease whose answer is lost is held by nobody until it expires, an attempt is gone:
# so the worker, for whom nobody waits, waits out a slow disk here.
LEASE_EXTRA_SECONDS = 2.0
SCRIPTS = (
    "deliver",
    "lease",
    "renew",
    "progress",
    "acknowledge",
    "retry",
    "set_aside",
    "replay",
    "unsettled",
    "resolve",
    "discard",
    "trace",
    "aside",
    "show",
    "stats",
)


class RedisQueue:
    """:class:`app.pipeline.queue.Queue` over one :class:`RedisClient`."""

    def __init__(self, client: RedisClient, policy: QueuePolicy | None = None, prefix: str = PREFIX) -> None:
        self._client = client
        self._policy = policy or QueuePolicy()
        self._prefix = prefix
        self._scripts = load_scripts()
        self._deliveries = GroupCommit(self._deliver)

    async def deliver(self, event: Event) -> Delivery:
        return await self._deliveries.submit(event)

    async def _deliver(self, events: Sequence[Event]) -> list[Delivery]:
        words = [word for event in events for word in (event.key, event.conversation_key, event.to_json())]
        return [Delivery(found) for found in await self._run("deliver", self._policy.limit, *words)]

    async def lease(self, worker: str, wait_seconds: float = 0.0) -> Lease | None:
        policy = self._policy
        deadline = time.monotonic() + wait_seconds
        while True:
            arguments = (worker, _milliseconds(policy.lease_seconds), policy.max_attempts)
            found = await self._run("lease", *arguments, extra_seconds=LEASE_EXTRA_SECONDS)
            if isinstance(found, list):
                return _lease(found)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            due = found / 1000 if found >= 0 else left
            await self._wait(min(left, due, LONGEST_WAIT_SECONDS))

    async def renew(self, lease: Lease) -> None:
        await self._held("renew", lease, _milliseconds(self._policy.lease_seconds))

    async def note(self, lease: Lease, stage: str, detail: str = "") -> None:
        await self._held("progress", lease, "note", stage, detail)

    async def record_intent(self, lease: Lease, step: str) -> None:
        await self._held("progress", lease, "intent", step, "")

    async def record_outcome(self, lease: Lease, step: str, value: str = "") -> None:
        await self._held("progress", lease, "outcome", step, value)

    async def acknowledge(self, lease: Lease) -> None:
        await self._held("acknowledge", lease, _milliseconds(self._policy.finished_seconds))

    async def retry(self, lease: Lease, delay_seconds: float, reason: str, *, counted: bool = True) -> State:
        delay = _milliseconds(delay_seconds)
        return State(await self._held("retry", lease, delay, int(counted), self._policy.max_attempts, reason))

    async def dead_letter(self, lease: Lease, reason: str) -> None:
        await self._held("set_aside", lease, State.DEAD, reason)

    async def park(self, lease: Lease, reason: str) -> None:
        await self._held("set_aside", lease, State.UNKNOWN, reason)

    async def trace(self, key: str) -> Trace | None:
        found = await self._run("trace", key)
        if found is None:
            return None
        state, attempts, *entries = found
        timeline = tuple(_entry(entry) for entry in entries)
        return Trace(event=key, state=State(state), attempts=int(attempts), timeline=timeline)

    async def set_aside(
        self, limit: int = 100, *, state: State | None = None, after: Position | None = None
    ) -> Sequence[SetAside]:
        behind = (_stamp(after.at), after.key) if after else (0, "")
        values = await self._run("aside", limit, state or "", *behind)
        return [_aside(row) for row in zip(*(values[column::5] for column in range(5)), strict=True)]

    async def show(self, key: str) -> SetAside | None:
        found = await self._run("show", key)
        return _aside(found) if found else None

    async def replay(self, key: str) -> bool:
        return bool(await self._run("replay", key))

    async def unsettled(self, key: str) -> Unsettled | None:
        found = await self._run("unsettled", key)
        return Unsettled(event=Event.from_json(found[0]), steps=_steps(found[1:])) if found else None

    async def resolve(self, key: str, step: str, value: str = "") -> bool:
        return bool(await self._run("resolve", key, step, value))

    async def discard(self, key: str) -> bool:
        return bool(await self._run("discard", key, _milliseconds(self._policy.finished_seconds)))

    async def stats(self) -> Stats:
        backlog, leased, dead, unknown, oldest = await self._run("stats")
        return Stats(backlog=backlog, leased=leased, dead=dead, unknown=unknown, oldest_seconds=oldest / 1000)

    async def _wait(self, seconds: float) -> None:
        # At least a millisecond: zero would block for ever.
        seconds = max(seconds, 0.001)
        try:
            await self._client.command("BLPOP", f"{self._prefix}:wake", f"{seconds:.3f}", extra_seconds=seconds)
        except RedisUnavailable as error:
            raise QueueUnavailable(str(error)) from None

    async def _held(self, script: str, lease: Lease, *arguments: str | int) -> str:
        found = await self._run(script, lease.event.key, lease.token, *arguments)
        if found == "lost":
            raise LeaseLost(f"lease {lease.token} of {lease.event.key} is no longer held")
        return str(found)

    # Lua's answers are as the head of each script says.
    async def _run(self, script: str, *arguments: str | int, extra_seconds: float = 0.0) -> Any:
        try:
            return await self._client.run(self._scripts[script], [self._prefix], arguments, extra_seconds)
        except RedisUnavailable as error:
            raise QueueUnavailable(str(error)) from None


def load_scripts() -> dict[str, Script]:
    folder = Path(__file__).parent / "scripts"
    common = (folder / "common.lua").read_text(encoding="utf-8")
    return {name: Script(common + (folder / f"{name}.lua").read_text(encoding="utf-8")) for name in SCRIPTS}


def _lease(found: list[str]) -> Lease:
    payload, token, attempt, deadline, tried, *steps = found
    return Lease(
        event=Event.from_json(payload),
        token=int(token),
        attempt=int(attempt),
        deadline=_time(deadline),
        tried_seconds=int(tried) / 1000,
        steps=_steps(steps),
    )


def _steps(flat: Sequence[str]) -> Mapping[str, str]:
    """Of name, value, name, value …"""
    return MappingProxyType(dict(zip(flat[::2], flat[1::2], strict=True)))


def _entry(line: str) -> Entry:
    at, stage, detail = line.split(" ", 2)
    return Entry(at=_time(at), stage=stage, detail=detail)


def _aside(row: Sequence[str]) -> SetAside:
    key, state, reason, at, attempts = row
    return SetAside(key=key, state=State(state), reason=reason, at=_time(at), attempts=int(attempts))


def _time(milliseconds: str | int) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, tz=UTC)


def _stamp(moment: datetime) -> int:
    return _milliseconds(moment.timestamp())


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
