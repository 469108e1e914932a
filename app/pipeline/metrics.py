"""What is counted of the queue, by whoever reaches it, and of the messages, by the worker that ends an attempt at one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.pipeline.queue import Queue, QueueUnavailable, State, Stats

REMEMBERED_SECONDS = 1.0  # however many scrape, the queue is asked once in this time
OTHER = "other"
# By the word with which an attempt ends. A lease that was lost or could not be settled has no outcome yet: the queue decides.
OUTCOMES = {
    State.DONE.value: "done",
    State.DEAD.value: "dead",
    State.UNKNOWN.value: "unknown",
    State.RETRYING.value: "retried",
}
_GAUGES = {
    "backlog": "Events accepted and not finished: queued, retrying and leased.",
    "leased": "Events that a worker holds now.",
    "oldest_seconds": "Age of the oldest unfinished event.",
    "dead": "Events given up, which wait for an operator.",
    "unknown": "Events that may have had their effect, which wait for an operator.",
}


class QueueMetrics(Collector):
    """Gauges of the whole queue. While it is away they are absent, not zero, and ``assistant_queue_up`` is 0."""

    def __init__(self, registry: CollectorRegistry, queue: Queue) -> None:
        self._queue = queue
        self._stats: Stats | None = None
        self._until = 0.0
        self._asking = asyncio.Lock()
        registry.register(self)

    async def refresh(self) -> None:
        """Ask the queue, unless it was asked just now. Takes as long as one command to Redis may."""
        async with self._asking:
            if time.monotonic() < self._until:
                return
            try:
                self._stats = await self._queue.stats()
            except QueueUnavailable:
                self._stats = None
            self._until = time.monotonic() + REMEMBERED_SECONDS

    def collect(self) -> Iterator[Metric]:
        stats = self._stats
        yield GaugeMetricFamily("assistant_queue_up", "1 where the queue answers, else 0.", 0 if stats is None else 1)
        if stats is not None:
            for name, text in _GAUGES.items():
                yield GaugeMetricFamily(f"assistant_queue_{name}", text, getattr(stats, name))


class MessageMetrics:
    """``platforms``: the names that become labels."""

    def __init__(self, registry: CollectorRegistry, platforms: Iterable[str]) -> None:
        self._platforms = frozenset(platforms)
        self._messages = Counter(
            "assistant_messages", "Attempts that ended, by their outcome.", ("platform", "outcome"), registry=registry
        )
        for platform in self._platforms:
            for outcome in OUTCOMES.values():
                self._messages.labels(platform, outcome)  # from 0 on, so that the first one is seen as an increase
        self._denied = Counter(
            "assistant_denied",
            "What a sender wanted and may not.",
            ("platform", "permission"),
            registry=registry,
        )

        self._quota_uncounted = Counter(
            "assistant_quota_uncounted",
            "Messages that were let through without being counted, because Redis was away.",
            registry=registry,
        )

        self._unpaced = Counter(
            "assistant_unpaced",
            "Times that a message's turn in its channel was not kept, because Redis was away or full.",
            registry=registry,
        )
        self._asked = Counter(
            "assistant_outcomes_asked",
            "Questions to a platform about an unknown outcome, by its answer.",
            ("platform", "answer"),
            registry=registry,
        )

    def unpaced(self) -> None:
        self._unpaced.inc()

    def asked(self, platform: str, answer: str) -> None:
        """``answer``: one of :data:`app.pipeline.reconciler.ANSWERS`."""
        self._asked.labels(platform if platform in self._platforms else OTHER, answer).inc()

    def quota_uncounted(self) -> None:
        self._quota_uncounted.inc()

    def denied(self, platform: str, permission: str) -> None:
        """``permission``: one of :func:`app.auth.roles.permissions`."""
        self._denied.labels(platform if platform in self._platforms else OTHER, permission).inc()

    def settled(self, platform: str, ending: str) -> None:
        """An attempt at a message of ``platform`` ended; ``ending`` is a state, or a sentence where it could not be settled."""
        if outcome := OUTCOMES.get(ending):
            self._messages.labels(platform if platform in self._platforms else OTHER, outcome).inc()
