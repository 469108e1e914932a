"""The two queues behind one harness, so that each test of the queue's promises runs against both."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import redis.asyncio as redis_async

from app.pipeline.event import Event
from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.queue import Queue, QueuePolicy
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import PREFIX, RedisQueue
from app.settings import RedisSettings

MakeEvent = Callable[..., Event]


@pytest.fixture
def make_event() -> MakeEvent:
    def make(id: str = "1", conversation: str = "room", text: str = "hello", tenant: str = "default", **more: Any) -> Event:
        values: dict[str, Any] = {
            "platform": "generic",
            "sender": "alice",
            "received_at": datetime(2026, 11, 23, 12, tzinfo=UTC),
        }
        return Event(id=id, conversation=conversation, text=text, tenant=tenant, **(values | more))

    return make


class MemoryHarness:
    """Moves the clock."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def make(self, policy: QueuePolicy) -> Queue:
        return MemoryQueue(policy, clock=lambda: time.time() + self._ahead)

    async def expire_leases(self) -> None:
        self._ahead += 3600

    async def expire_finished(self) -> None:
        self._ahead += 25 * 3600


class RedisHarness:
    """Redis keeps its own time, so deadlines are moved instead: each leased or waiting one into the past."""

    def __init__(self, server: Any, client: redis_async.Redis) -> None:
        self.client = client
        self.connection = connect(RedisSettings(redis_url=server.url, redis_password=server.password))

    def make(self, policy: QueuePolicy) -> Queue:
        return RedisQueue(self.connection, policy)

    async def expire_leases(self) -> None:
        for name in ("leases", "ready"):
            for member in await self.client.zrange(f"{PREFIX}:{name}", 0, -1):
                await self.client.zadd(f"{PREFIX}:{name}", {member: 1})

    async def expire_finished(self) -> None:
        async for key in self.client.scan_iter(f"{PREFIX}:*"):
            if await self.client.ttl(key) > 0:
                await self.client.delete(key)


@pytest.fixture(params=["memory", "redis"])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[MemoryHarness | RedisHarness]:
    """``make(policy)`` a queue; ``expire_leases()`` lets every lease and delay pass; ``expire_finished()`` lets a day pass."""
    if request.param == "memory":
        yield MemoryHarness()
        return
    server = request.getfixturevalue("redis_server")
    client = server.client()
    await client.flushall()
    found = RedisHarness(server, client)
    yield found
    await found.connection.close()
    await client.aclose()


@pytest.fixture
def queue(harness: Any) -> Queue:
    made: Queue = harness.make(QueuePolicy(max_attempts=3))
    return made
