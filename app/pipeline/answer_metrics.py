"""What is counted of kept answers and of conversations: no text, no tenant, our own words as labels."""

from __future__ import annotations

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter


class Source(StrEnum):
    """Where the answer to a question came from. The hit ratio is (hit + wait) / (hit + wait + miss)."""

    HIT = "hit"  # it was kept
    WAIT = "wait"  # another asked the model at that time
    MISS = "miss"  # the model; whoever comes next finds it
    BYPASS = "bypass"  # the model, because the caller wanted it so
    UNAVAILABLE = "unavailable"  # the model: Redis was away or full
    UNIDENTIFIED = "unidentified"  # the model: which one it is was not known


CACHE_STEPS = ("look", "keep", "settle", "renew")
CONTEXT_STEPS = ("recall", "remember")


class AnswerCacheMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._answers = Counter(
            "assistant_answer_cache", "Questions answered, by where the answer came from.", ("source",), registry=registry
        )
        self._failures = Counter(
            "assistant_answer_cache_failures", "Steps that Redis refused or did not answer.", ("step",), registry=registry
        )
        for source in Source:
            self._answers.labels(source.value)  # from 0 on, so that the first one is seen as an increase
        for step in CACHE_STEPS:
            self._failures.labels(step)

    def answered(self, source: Source) -> None:
        self._answers.labels(source.value).inc()

    def failed(self, step: str) -> None:
        """``step``: one of :data:`CACHE_STEPS`."""
        self._failures.labels(step).inc()


class ConversationMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._failures = Counter(
            "assistant_context_failures", "Turns that Redis did not give or take.", ("step",), registry=registry
        )
        for step in CONTEXT_STEPS:
            self._failures.labels(step)

    def failed(self, step: str) -> None:
        """``step``: one of :data:`CONTEXT_STEPS`."""
        self._failures.labels(step).inc()
