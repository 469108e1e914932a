"""How fast messages go: out, as a platform allows for one channel; in, as a tenant's quota says.

Every worker counts in the same place, Redis, in one step by its clock. Neither guards anything that must hold: where Redis does
not answer, or has no memory left, a message goes out unpaced (the platform's own limit answers 429, and that is waited for) and
a quota admits. ``away`` hears of each time, for a metric.

Keys (after ``{assistant}:``): ``pace:<key>``, a string; ``quota:<tenant>``, a list of times. Both expire when idle.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from app.pipeline.redis_client import RedisClient, RedisUnavailable, Script
from app.pipeline.redis_queue import PREFIX

WINDOW_SECONDS = 60.0  # of a quota
A_DAY = 86_400.0


class Pacer(Protocol):
    async def reserve(self, key: str, seconds: float, longest: float = A_DAY) -> float:
        """Take the next turn of ``key``, whose turns are ``seconds`` apart: how many seconds from now it is. One that is more
        than ``longest`` seconds off is not taken: ask again then. A turn that is taken and not used is lost, and those behind
        it wait for nothing."""

    async def penalise(self, key: str, seconds: float) -> None:
        """The platform asked to wait so long: turns reserved from now on are later than that, whoever reserves them. Turns
        reserved before stay."""


class Quotas(Protocol):
    async def allow(self, tenant: str, per_minute: int) -> float | None:
        """Count one message of ``tenant``, of which at most ``per_minute`` (1 or more) are allowed within any minute. None: it
        is allowed; else it is not counted, and in so many seconds there is room again."""


class RedisPacer:
    def __init__(self, client: RedisClient, *, prefix: str = PREFIX, away: Callable[[], None] = lambda: None) -> None:
        self._client, self._prefix, self._away = client, prefix, away
        self._reserve, self._penalise = _script("reserve"), _script("penalise")

    async def reserve(self, key: str, seconds: float, longest: float = A_DAY) -> float:
        arguments = [_milliseconds(seconds), _milliseconds(longest)]
        try:
            found: int = await self._client.run(self._reserve, [self._key(key)], arguments)
        except RedisUnavailable:
            self._away()
            return 0.0
        return found / 1000

    async def penalise(self, key: str, seconds: float) -> None:
        try:
            await self._client.run(self._penalise, [self._key(key)], [_milliseconds(seconds)])
        except RedisUnavailable:
            self._away()

    def _key(self, key: str) -> str:
        return f"{self._prefix}:pace:{key}"


class RedisQuotas:
    def __init__(self, client: RedisClient, *, prefix: str = PREFIX, away: Callable[[], None] = lambda: None) -> None:
        self._client, self._prefix, self._away = client, prefix, away
        self._allow = _script("allow")

    async def allow(self, tenant: str, per_minute: int) -> float | None:
        key = f"{self._prefix}:quota:{tenant}"
        try:
            found: int = await self._client.run(self._allow, [key], [per_minute, _milliseconds(WINDOW_SECONDS)])
        except RedisUnavailable:
            self._away()
            return None
        return found / 1000 or None


class MemoryPacer:
    """:class:`Pacer` of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._free_from: dict[str, float] = {}

    async def reserve(self, key: str, seconds: float, longest: float = A_DAY) -> float:
        now = self._clock()
        self._free_from = {other: moment for other, moment in self._free_from.items() if moment > now}
        turn = self._free_from.get(key, now)
        if turn - now <= longest:
            self._free_from[key] = turn + seconds
        return turn - now

    async def penalise(self, key: str, seconds: float) -> None:
        now = self._clock()
        self._free_from[key] = max(self._free_from.get(key, now), now + seconds)


class MemoryQuotas:
    """:class:`Quotas` of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._admitted: dict[str, deque[float]] = {}

    async def allow(self, tenant: str, per_minute: int) -> float | None:
        now = self._clock()
        admitted = self._admitted.setdefault(tenant, deque())
        while admitted and now - admitted[0] >= WINDOW_SECONDS:
            admitted.popleft()
        if len(admitted) >= per_minute:
            return WINDOW_SECONDS - (now - admitted[-per_minute])
        admitted.append(now)
        return None


def _script(name: str) -> Script:
    folder = Path(__file__).parent / "scripts" / "pacing"
    return Script("".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in ("common", name)))


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
