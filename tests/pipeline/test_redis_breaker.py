from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.pipeline.redis_breaker import Breaker
from app.pipeline.redis_client import RedisUnavailable, Script


class Slow:
    """A Redis whose calls take ``seconds`` by ``now`` and fail while ``down``."""

    def __init__(self) -> None:
        self.now, self.seconds, self.down, self.calls = 100.0, 0.25, True, 0

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> str:
        self.calls += 1
        self.now += self.seconds
        if self.down:
            raise RedisUnavailable("Redis did not answer")
        return "done"


async def call(breaker: Breaker) -> str:
    return str(await breaker.run(Script(""), [], []))


async def fails(breaker: Breaker) -> bool:
    with pytest.raises(RedisUnavailable):
        await call(breaker)
    return True


async def test_after_a_slow_failure_nobody_waits_until_one_may_try_again() -> None:
    redis = Slow()
    breaker = Breaker(redis, lambda: redis.now)
    assert await fails(breaker)
    assert await fails(breaker)
    assert redis.calls == 1, "turned away without a call"
    redis.now += 1
    assert await fails(breaker)
    assert redis.calls == 2
    redis.now, redis.down = redis.now + 1, False
    assert await call(breaker) == "done"
    assert await call(breaker) == "done"


async def test_a_quick_refusal_turns_nobody_away() -> None:
    redis = Slow()
    redis.seconds = 0.001
    breaker = Breaker(redis, lambda: redis.now)
    assert await fails(breaker)
    assert await fails(breaker)
    assert redis.calls == 2
