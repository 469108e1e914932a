"""A Redis that may be away, for what can do without: after a call that took long to fail, none is made for a moment.

A Redis that hangs costs each call its time-out. Who only wanted to be quicker, or to know more, must not pay it every time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from app.pipeline.redis_client import RedisUnavailable, Script

OPEN_SECONDS = 1.0
SLOW_SECONDS = 0.05  # who fails sooner (a connection refused, memory full) costs nothing and may be asked again at once


class Scripts(Protocol):
    """As :class:`app.pipeline.redis_client.RedisClient`."""

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any: ...


class Breaker:
    """Open after a slow failure; then one call each :data:`OPEN_SECONDS` tries, until one succeeds."""

    def __init__(self, client: Scripts, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._open_until: float | None = None

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Raises :class:`RedisUnavailable`, at once while open."""
        started = self._clock()
        if self._open_until is not None:
            if started < self._open_until:
                raise RedisUnavailable("Redis did not answer a moment ago")
            self._open_until = started + OPEN_SECONDS  # whoever comes meanwhile is turned away
        try:
            found = await self._client.run(script, keys, arguments)
        except RedisUnavailable:
            if self._clock() - started >= SLOW_SECONDS:
                self._open_until = self._clock() + OPEN_SECONDS
            raise
        self._open_until = None
        return found
