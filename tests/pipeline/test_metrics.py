from __future__ import annotations

import asyncio
from typing import Any

from prometheus_client import CollectorRegistry

from app.pipeline import metrics
from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.metrics import MessageMetrics, QueueMetrics
from app.pipeline.queue import Queue, QueueUnavailable, Stats

GAUGES = ("backlog", "leased", "oldest_seconds", "dead", "unknown")


class CountingQueue(MemoryQueue):
    """Counts how often it is asked; ``away`` makes it answer nothing."""

    asked, away = 0, False

    async def stats(self) -> Stats:
        self.asked += 1
        if self.away:
            raise QueueUnavailable("Redis is not reachable")
        return await super().stats()


def gauge(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(f"assistant_queue_{name}")


async def test_the_gauges_follow_the_queue(queue: Queue, make_event: Any, monkeypatch: Any) -> None:
    """Against both queues, each event in another of the states that are counted."""
    monkeypatch.setattr(metrics, "REMEMBERED_SECONDS", 0)
    registry = CollectorRegistry()
    measured = QueueMetrics(registry, queue)
    for number in range(4):
        await queue.deliver(make_event(str(number), conversation=f"room {number}"))
    for settle in (queue.dead_letter, queue.park):
        lease = await queue.lease("worker")
        assert lease is not None
        await settle(lease, "for the test")
    await queue.lease("worker")
    await asyncio.sleep(0.01)
    await measured.refresh()
    assert {name: gauge(registry, name) for name in ("up", "backlog", "leased", "dead", "unknown")} == {
        "up": 1,
        "backlog": 2,
        "leased": 1,
        "dead": 1,
        "unknown": 1,
    }
    assert (gauge(registry, "oldest_seconds") or 0) > 0


async def test_the_queue_is_asked_once_a_second_however_many_scrape() -> None:
    queue = CountingQueue()
    measured = QueueMetrics(CollectorRegistry(), queue)
    await asyncio.gather(*(measured.refresh() for _ in range(50)))
    assert queue.asked == 1


async def test_while_the_queue_is_away_the_gauges_are_absent_rather_than_zero(monkeypatch: Any) -> None:
    monkeypatch.setattr(metrics, "REMEMBERED_SECONDS", 0)
    queue, registry = CountingQueue(), CollectorRegistry()
    measured = QueueMetrics(registry, queue)
    assert gauge(registry, "up") == 0  # not asked yet
    for away in (False, True, False):
        queue.away = away
        await measured.refresh()
        assert gauge(registry, "up") == int(not away)
        assert all((gauge(registry, name) is None) is away for name in GAUGES)


def test_outcomes_are_counted_by_platform_from_zero_on() -> None:
    registry = CollectorRegistry()
    measured = MessageMetrics(registry, ["generic"])

    def count(platform: str, outcome: str) -> float | None:
        return registry.get_sample_value("assistant_messages_total", {"platform": platform, "outcome": outcome})

    assert [count("generic", outcome) for outcome in ("done", "dead", "unknown", "retried")] == [0, 0, 0, 0]
    for ending in ("done", "done", "retrying", "dead", "unknown", "dropped", "not settled: lease 7 is no longer held"):
        measured.settled("generic", ending)
    assert [count("generic", outcome) for outcome in ("done", "dead", "unknown", "retried")] == [2, 1, 1, 1]
    measured.settled("a platform that was taken out of the configuration", "dead")
    assert count("other", "dead") == 1


def test_what_was_denied_is_counted_by_permission() -> None:
    registry = CollectorRegistry()
    MessageMetrics(registry, ["generic"]).denied("generic", "run:calendar.create")
    MessageMetrics(CollectorRegistry(), []).denied("one that went", "ask")
    labels = {"platform": "generic", "permission": "run:calendar.create"}
    assert registry.get_sample_value("assistant_denied_total", labels) == 1
