"""Turns and quotas, of one process and of all of them in a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.pipeline.pacing import MemoryPacer, MemoryQuotas, RedisPacer, RedisQuotas
from app.pipeline.redis_client import RedisClient, connect
from app.pipeline.redis_queue import PREFIX
from app.settings import RedisSettings

INTERVAL = 1000.0  # so long that the time a test takes does not matter


def client_of(server: Any, **more: Any) -> RedisClient:
    return connect(RedisSettings(redis_url=server.url, redis_password=server.password, redis_timeout_seconds=10, **more))


@pytest.fixture
async def client(redis_server: Any, redis: Any) -> AsyncIterator[RedisClient]:
    found = client_of(redis_server)
    yield found
    await found.close()


@pytest.fixture(params=["memory", "redis"])
def pacer(request: pytest.FixtureRequest) -> MemoryPacer | RedisPacer:
    if request.param == "memory":
        return MemoryPacer(clock=lambda: 0.0)
    return RedisPacer(request.getfixturevalue("client"))


@pytest.fixture(params=["memory", "redis"])
def quotas(request: pytest.FixtureRequest) -> MemoryQuotas | RedisQuotas:
    if request.param == "memory":
        return MemoryQuotas(clock=lambda: 0.0)
    return RedisQuotas(request.getfixturevalue("client"))


async def test_the_first_turn_is_at_once(pacer: Any) -> None:
    assert await pacer.reserve("slack:T1:C1", INTERVAL) == 0


async def test_turns_of_one_key_are_an_interval_apart(pacer: Any) -> None:
    waits = [await pacer.reserve("C1", INTERVAL) for _ in range(4)]
    assert waits == pytest.approx([0, INTERVAL, 2 * INTERVAL, 3 * INTERVAL], abs=INTERVAL / 2)


async def test_another_key_waits_for_nobody(pacer: Any) -> None:
    await pacer.reserve("C1", INTERVAL)
    assert await pacer.reserve("C2", INTERVAL) == 0


async def test_after_a_penalty_every_turn_is_later_than_it(pacer: Any) -> None:
    await pacer.penalise("C1", INTERVAL)
    waits = [await pacer.reserve("C1", 100.0) for _ in range(2)]
    assert waits == pytest.approx([INTERVAL, INTERVAL + 100], abs=50)


async def test_a_turn_further_off_than_the_caller_waits_is_left_to_others(pacer: Any) -> None:
    await pacer.reserve("C1", INTERVAL)
    for _ in range(3):
        assert await pacer.reserve("C1", INTERVAL, longest=10.0) > 10
    assert await pacer.reserve("C1", INTERVAL) == pytest.approx(INTERVAL, abs=INTERVAL / 2)


async def test_a_penalty_shortens_no_queue(pacer: Any) -> None:
    for _ in range(3):
        await pacer.reserve("C1", INTERVAL)
    await pacer.penalise("C1", 1.0)
    assert await pacer.reserve("C1", INTERVAL) == pytest.approx(3 * INTERVAL, abs=INTERVAL / 2)


async def test_processes_that_reserve_at_once_get_different_turns(redis_server: Any, redis: Any) -> None:
    clients = [client_of(redis_server) for _ in range(4)]
    waits = await asyncio.gather(*(RedisPacer(client).reserve("C1", INTERVAL) for client in clients for _ in range(5)))
    assert sorted(waits) == pytest.approx([INTERVAL * turn for turn in range(20)], abs=INTERVAL / 2)
    for client in clients:
        await client.close()


async def test_a_quota_admits_as_many_as_it_says_and_tells_when_there_is_room(quotas: Any) -> None:
    assert [await quotas.allow("a", 3) for _ in range(3)] == [None, None, None]
    wait = await quotas.allow("a", 3)
    assert wait is not None and 0 < wait <= 60


async def test_what_was_refused_does_not_count(quotas: Any) -> None:
    await quotas.allow("a", 1)
    for _ in range(5):
        assert await quotas.allow("a", 1) is not None
    assert await quotas.allow("a", 2) is None


async def test_tenants_have_quotas_of_their_own(quotas: Any) -> None:
    await quotas.allow("a", 1)
    assert await quotas.allow("b", 1) is None


async def test_a_lowered_quota_holds_from_then_on(quotas: Any) -> None:
    for _ in range(3):
        await quotas.allow("a", 5)
    assert await quotas.allow("a", 2) is not None


async def test_there_is_room_again_when_the_minute_of_the_first_has_passed() -> None:
    now = 0.0
    quotas = MemoryQuotas(clock=lambda: now)
    await quotas.allow("a", 2)
    now = 20.0
    await quotas.allow("a", 2)
    assert await quotas.allow("a", 2) == 40.0
    now = 60.0
    assert await quotas.allow("a", 2) is None
    assert await quotas.allow("a", 2) == 20.0


async def test_redis_forgets_an_admission_after_its_minute(client: RedisClient, redis: Any) -> None:
    quotas, key = RedisQuotas(client), f"{PREFIX}:quota:a"
    for _ in range(3):
        await quotas.allow("a", 3)
    seconds, _ = await redis.execute_command("TIME")
    await redis.lset(key, 0, (int(seconds) - 61) * 1000)
    assert await quotas.allow("a", 3) is None
    assert await redis.llen(key) == 3


async def test_what_is_idle_leaves_nothing_behind(client: RedisClient, redis: Any) -> None:
    await RedisPacer(client).reserve("C1", INTERVAL)
    await RedisPacer(client).penalise("C2", INTERVAL)
    await RedisQuotas(client).allow("a", 3)
    keys = sorted(await redis.keys("*"))
    assert keys == [f"{PREFIX}:pace:C1", f"{PREFIX}:pace:C2", f"{PREFIX}:quota:a"]
    assert all([0 < await redis.pttl(key) <= INTERVAL * 1000 for key in keys])


async def test_without_redis_messages_go_on_and_it_is_heard_of(private_redis: Any) -> None:
    client = client_of(private_redis)
    heard: list[str] = []
    pacer = RedisPacer(client, away=lambda: heard.append("pace"))
    quotas = RedisQuotas(client, away=lambda: heard.append("quota"))
    private_redis.kill()
    assert await pacer.reserve("C1", INTERVAL) == 0
    await pacer.penalise("C1", INTERVAL)
    assert await quotas.allow("a", 1) is None
    assert heard == ["pace", "pace", "quota"]
    await client.close()


async def test_a_redis_without_memory_stops_neither(client: RedisClient, redis: Any) -> None:
    heard: list[str] = []
    await redis.config_set("maxmemory", 1)
    try:
        assert await RedisPacer(client, away=lambda: heard.append("pace")).reserve("C1", INTERVAL) == 0
        assert await RedisQuotas(client, away=lambda: heard.append("quota")).allow("a", 1) is None
    finally:
        await redis.config_set("maxmemory", 0)
    assert heard == ["pace", "quota"]


async def test_both_work_in_cluster_mode(cluster_redis: Any) -> None:
    client = client_of(cluster_redis, redis_cluster=True)
    pacer, quotas = RedisPacer(client), RedisQuotas(client)
    await pacer.reserve("C1", INTERVAL)
    assert await pacer.reserve("C1", INTERVAL) > 0
    assert await quotas.allow("a", 1) is None
    assert await quotas.allow("a", 1) is not None
    await client.close()
