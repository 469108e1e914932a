"""What Redis's own faults do to the queue: each is survived, and none is hidden."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio as redis_async
from redis.exceptions import ResponseError

from app.pipeline.queue import Delivery, QueuePolicy, QueueUnavailable
from app.pipeline.redis_client import RedisClient, Script, connect
from app.pipeline.redis_queue import PREFIX, RedisQueue
from app.settings import RedisSettings

Connect = Callable[..., RedisClient]
TIMEOUT_SECONDS = RedisSettings().redis_timeout_seconds


@pytest.fixture
async def connected() -> AsyncIterator[Connect]:
    """``connected(server)``: a client of it, closed at the end."""
    clients: list[RedisClient] = []

    def make(server: Any, **more: Any) -> RedisClient:
        # Patient unless a test is about time: a busy machine is no reason to fail.
        defaults = {"redis_url": server.url, "redis_password": server.password, "redis_timeout_seconds": 10}
        clients.append(connect(RedisSettings(**(defaults | more))))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def test_an_accepted_event_survives_a_kill_and_the_queue_recovers_by_itself(
    private_redis: Any, connected: Connect, make_event: Any
) -> None:
    queue = RedisQueue(connected(private_redis))
    await queue.deliver(make_event("1"))
    private_redis.kill()
    with pytest.raises(QueueUnavailable, match="not reachable"):
        await queue.deliver(make_event("2"))
    private_redis.start()
    assert await queue.deliver(make_event("1")) == Delivery.DUPLICATE
    assert await queue.deliver(make_event("2")) == Delivery.ACCEPTED
    lease = await queue.lease("w")
    assert lease is not None
    assert lease.event.id == "1"


async def test_a_lease_outlives_a_restart_of_redis(private_redis: Any, connected: Connect, make_event: Any) -> None:
    queue = RedisQueue(connected(private_redis))
    await queue.deliver(make_event())
    lease = await queue.lease("w")
    assert lease is not None
    private_redis.restart()
    await queue.renew(lease)
    await queue.acknowledge(lease)
    assert (await queue.stats()).backlog == 0


async def test_a_hanging_redis_costs_a_caller_its_time_out_and_no_more(
    private_redis: Any, connected: Connect, make_event: Any
) -> None:
    """Also while new connections must be made, and by many at once."""
    queue = RedisQueue(connected(private_redis, redis_timeout_seconds=TIMEOUT_SECONDS))
    await queue.stats()
    private_redis.pause()
    start = time.monotonic()
    found = await asyncio.gather(*(queue.deliver(make_event(str(number))) for number in range(64)), return_exceptions=True)
    assert time.monotonic() - start < 1.0  # 64 in turn would take 16 s
    assert {type(error) for error in found} == {QueueUnavailable}
    private_redis.resume()
    assert await queue.deliver(make_event("later")) == Delivery.ACCEPTED


async def test_a_redis_that_is_slow_for_a_moment_costs_no_attempt(
    private_redis: Any, connected: Connect, make_event: Any
) -> None:
    queue = RedisQueue(connected(private_redis, redis_timeout_seconds=TIMEOUT_SECONDS))
    await queue.deliver(make_event())
    private_redis.pause()
    leasing = asyncio.create_task(queue.lease("w"))
    await asyncio.sleep(0.5)  # twice the time-out
    private_redis.resume()
    lease = await leasing
    assert lease is not None
    assert lease.attempt == 1


async def test_a_worker_that_waits_while_redis_dies_is_told(private_redis: Any, connected: Connect) -> None:
    queue = RedisQueue(connected(private_redis))
    waiting = asyncio.create_task(queue.lease("w", wait_seconds=30))
    await asyncio.sleep(0.1)  # until it waits
    private_redis.kill()
    with pytest.raises(QueueUnavailable):
        await asyncio.wait_for(waiting, 2)


async def test_a_forgotten_script_is_sent_again(
    redis: redis_async.Redis, redis_server: Any, connected: Connect, make_event: Any
) -> None:
    queue = RedisQueue(connected(redis_server))
    await queue.deliver(make_event("1"))
    await redis.script_flush()
    assert await queue.deliver(make_event("2")) == Delivery.ACCEPTED


async def test_a_full_redis_refuses_new_events_and_still_drains(
    private_redis: Any, connected: Connect, make_event: Any
) -> None:
    queue = RedisQueue(connected(private_redis), QueuePolicy(max_attempts=2))
    for id in ("1", "2", "3", "4"):
        await queue.deliver(make_event(id, conversation=id))
    private_redis.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(QueueUnavailable, match="OOM"):
        await queue.deliver(make_event("5"))
    leases = [await queue.lease("w") for _ in range(4)]
    assert None not in leases
    done, retried, dead, parked = leases
    for lease in leases:
        await queue.renew(lease)  # type: ignore[arg-type]
        await queue.note(lease, "routed")  # type: ignore[arg-type]
        await queue.record_intent(lease, "sent")  # type: ignore[arg-type]
        await queue.record_outcome(lease, "sent")  # type: ignore[arg-type]
    await queue.acknowledge(done)  # type: ignore[arg-type]
    await queue.retry(retried, 0, "busy")  # type: ignore[arg-type]
    await queue.dead_letter(dead, "broken")  # type: ignore[arg-type]
    await queue.park(parked, "no answer")  # type: ignore[arg-type]
    stats = await queue.stats()
    assert (stats.backlog, stats.dead, stats.unknown) == (1, 1, 1)


async def test_a_read_only_redis_is_unavailable(private_redis: Any, connected: Connect, make_event: Any) -> None:
    queue = RedisQueue(connected(private_redis))
    private_redis.command("REPLICAOF", "127.0.0.1", "1")  # what a former primary is after a failover
    with pytest.raises(QueueUnavailable, match="READONLY"):
        await queue.deliver(make_event())


async def test_a_wrong_password_is_unavailable_and_not_repeated_in_the_message(redis_server: Any, connected: Connect) -> None:
    queue = RedisQueue(connected(redis_server, redis_password="wrong-canary"))
    with pytest.raises(QueueUnavailable) as caught:
        await queue.stats()
    assert "canary" not in str(caught.value)
    assert "Authentication" in str(caught.value)


async def test_a_mistake_in_a_script_is_not_taken_for_an_outage(redis_server: Any, connected: Connect) -> None:
    with pytest.raises(ResponseError):
        await connected(redis_server).run(Script("return redis.call('NOSUCHCOMMAND')"), ["k"], [])


async def test_the_queue_works_on_a_one_shard_cluster(cluster_redis: Any, connected: Connect, make_event: Any) -> None:
    queue = RedisQueue(connected(cluster_redis, redis_cluster=True))
    for id in ("1", "2"):
        assert await queue.deliver(make_event(id, conversation="}{ odd {name}")) == Delivery.ACCEPTED
    waiting = asyncio.create_task(queue.lease("w", wait_seconds=2))
    lease = await waiting
    assert lease is not None
    await queue.record_outcome(lease, "sent")
    await queue.acknowledge(lease)
    successor = await queue.lease("w", wait_seconds=2)
    assert successor is not None
    assert successor.event.id == "2"
    assert await queue.lease("w", wait_seconds=0.1) is None


async def test_every_key_has_the_one_hash_tag(
    redis: redis_async.Redis, redis_server: Any, connected: Connect, make_event: Any
) -> None:
    queue = RedisQueue(connected(redis_server))
    for id in ("1", "2", "3"):
        await queue.deliver(make_event(id, conversation=id))
    for act in (queue.park, queue.dead_letter):
        lease = await queue.lease("w")
        assert lease is not None
        await act(lease, "reason")
    await queue.lease("w")
    keys = await redis.keys("*")
    assert len(keys) > 8
    assert all(key.startswith(PREFIX + ":") for key in keys)


async def test_what_was_said_is_not_kept_after_it_is_done(
    redis: redis_async.Redis, redis_server: Any, connected: Connect, make_event: Any
) -> None:
    queue = RedisQueue(connected(redis_server))
    await queue.deliver(make_event(text="canary-question"))
    lease = await queue.lease("w")
    assert lease is not None
    await queue.record_outcome(lease, "handled", "canary-answer")
    await queue.acknowledge(lease)
    left = await redis.keys("*event*") + await redis.keys("*timeline*")
    assert len(left) == 2
    for key in left:
        assert 23 * 3600 < await redis.ttl(key) <= 24 * 3600
        content = await (redis.hgetall(key) if ":event:" in key else redis.lrange(key, 0, -1))
        assert "canary" not in str(content)


async def test_nothing_is_left_behind_but_finished_records(
    redis: redis_async.Redis, redis_server: Any, connected: Connect, make_event: Any
) -> None:
    queue = RedisQueue(connected(redis_server))
    for number in range(20):
        await queue.deliver(make_event(str(number), conversation=str(number % 5)))
    while lease := await queue.lease("w"):
        await queue.acknowledge(lease)
    forever = {key for key in await redis.keys("*") if await redis.ttl(key) == -1}
    assert forever <= {f"{PREFIX}:token", f"{PREFIX}:wake"}
    assert await redis.llen(f"{PREFIX}:wake") <= 256


async def test_twenty_workers_never_hold_the_same_conversation(
    redis_server: Any, redis: Any, connected: Connect, make_event: Any
) -> None:
    """Real concurrency: each worker has a client of its own."""
    events = [make_event(str(number), conversation=str(number % 7)) for number in range(200)]
    queues = [RedisQueue(connected(redis_server)) for _ in range(20)]
    held: set[str] = set()
    order: dict[str, list[int]] = {}

    async def work(queue: RedisQueue) -> None:
        while (lease := await queue.lease("w", wait_seconds=0.5)) is not None:
            conversation = lease.event.conversation
            assert conversation not in held
            held.add(conversation)
            order.setdefault(conversation, []).append(int(lease.event.id))
            await asyncio.sleep(0)
            held.remove(conversation)
            await queue.acknowledge(lease)

    async def deliver() -> None:
        for event in events:
            await queues[0].deliver(event)

    await asyncio.gather(deliver(), *(work(queue) for queue in queues))
    assert sorted(id for ids in order.values() for id in ids) == list(range(200))
    assert all(ids == sorted(ids) for ids in order.values())


async def test_an_idle_worker_asks_about_once_a_second(redis_server: Any, redis: redis_async.Redis, connected: Connect) -> None:
    queue = RedisQueue(connected(redis_server))
    await queue.lease("w")
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    await queue.lease("w", wait_seconds=2.5)
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before <= 4


async def test_an_event_is_picked_up_within_50_ms(
    redis_server: Any, redis: redis_async.Redis, connected: Connect, make_event: Any
) -> None:
    giver, taker = RedisQueue(connected(redis_server)), RedisQueue(connected(redis_server))
    await giver.stats()
    waits = []
    for number in range(20):
        waiting = asyncio.create_task(taker.lease("w", wait_seconds=5))
        await asyncio.sleep(0.02)  # until it waits
        start = time.monotonic()
        await giver.deliver(make_event(str(number), conversation=str(number)))
        await waiting
        waits.append(time.monotonic() - start)
    assert sorted(waits)[10] < 0.05  # the median: this machine has other things to do


def test_the_time_out_of_every_process_is_at_most_250_ms() -> None:
    assert TIMEOUT_SECONDS <= 0.25
