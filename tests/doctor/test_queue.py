"""What waits, for how long, and whether anybody works on it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from app.doctor.checks.queue import Work, judge
from app.doctor.finding import Severity
from app.pipeline.event import Event
from app.pipeline.queue import QueuePolicy, Stats
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.settings import RedisSettings

FLOWING = Stats(backlog=0, leased=0, dead=0, unknown=0, oldest_seconds=0.0)


def test_tells_a_backlog_without_workers(doctor: Any, private_redis: Any, redis_environment: Any) -> None:
    asyncio.run(_deliver(private_redis, 3))
    found = doctor.only("gateway", "queue", **redis_environment(private_redis))
    assert found.what == "3 events wait, and no worker takes them"
    assert found.severity is Severity.ERROR


async def test_is_content_while_a_worker_waits(doctor: Any, private_redis: Any, redis_environment: Any) -> None:
    async with _queue(private_redis) as queue:
        waiting = asyncio.create_task(queue.lease("a-worker", wait_seconds=30))
        try:
            found = await doctor.examination("gateway", "queue", **redis_environment(private_redis))
        finally:
            waiting.cancel()
    assert [finding.what for finding in found.findings] == ["The queue flows"]


async def test_tells_dead_letters_and_unknown_outcomes(doctor: Any, private_redis: Any, redis_environment: Any) -> None:
    async with _queue(private_redis) as queue:
        for number in range(3):
            await queue.deliver(_event(number))
            lease = await queue.lease("a-worker")
            assert lease is not None
            await (queue.dead_letter(lease, "poison") if number < 2 else queue.park(lease, "it may be there"))
        found = await doctor.examination("worker", "queue", **redis_environment(private_redis))
    told = {finding.what for finding in found.findings}
    assert {"2 dead letters wait for a person", "1 event of unknown outcome waits for a person"} <= told


async def test_tells_a_lease_that_nobody_takes_back(doctor: Any, private_redis: Any, redis_environment: Any) -> None:
    async with _queue(private_redis, lease_seconds=0.01) as queue:
        await queue.deliver(_event(1))
        assert await queue.lease("a-worker-that-was-killed") is not None
        await asyncio.sleep(0.1)
        found = await doctor.examination("gateway", "queue", **redis_environment(private_redis))
    (one,) = found.findings
    assert one.what == "1 event waits, and no worker takes it"
    assert "(1 expired)" in one.evidence


@pytest.mark.parametrize(
    ("stats", "work", "severity"),
    [
        ({}, Work(expired=0, waiting=1), Severity.OK),
        ({}, Work(expired=0, waiting=None), Severity.OK),
        ({}, Work(expired=0, waiting=0), Severity.WARNING),
        ({"backlog": 5, "leased": 2}, Work(expired=0, waiting=0), Severity.OK),
        ({"backlog": 5, "leased": 2}, Work(expired=1, waiting=0), Severity.WARNING),
        ({"backlog": 5, "leased": 2}, Work(expired=2, waiting=0), Severity.ERROR),
        ({"backlog": 5, "leased": 2, "oldest_seconds": 60.0}, Work(expired=0, waiting=1), Severity.OK),
        ({"backlog": 5, "leased": 2, "oldest_seconds": 61.0}, Work(expired=0, waiting=1), Severity.WARNING),
        ({"backlog": 5, "leased": 2, "oldest_seconds": 601.0}, Work(expired=0, waiting=1), Severity.ERROR),
    ],
)
def test_judges_the_flow(stats: dict[str, Any], work: Work, severity: Severity) -> None:
    values = {name: getattr(FLOWING, name) for name in ("backlog", "leased", "dead", "unknown", "oldest_seconds")}
    (found,) = judge(Stats(**(values | stats)), work)
    assert found.severity is severity


class _queue:  # noqa: N801 reads as what it opens
    def __init__(self, server: Any, **policy: Any) -> None:
        settings = RedisSettings(redis_url=server.url, redis_password=server.password)
        self._client = connect(settings)
        self._policy = QueuePolicy(**policy)

    async def __aenter__(self) -> RedisQueue:
        return RedisQueue(self._client, self._policy)

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


async def _deliver(server: Any, count: int) -> None:
    async with _queue(server) as queue:
        for number in range(count):
            await queue.deliver(_event(number))


def _event(number: int) -> Event:
    return Event(
        id=f"event-{number}",
        platform="generic",
        tenant="default",
        conversation=f"conversation-{number}",
        sender="ada",
        text="what nobody else may read",
        received_at=datetime.now(UTC),
        reply_to={},
    )
