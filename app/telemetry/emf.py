"""Metrics for CloudWatch, as documents in its embedded metric format, one a line on standard output.

Whatever carries a process's output to CloudWatch Logs delivers them, so that no process needs a right or an agent for metrics.
The format and its limits: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

Of observations (latencies) each is kept, up to ``RESERVOIR`` between two documents; of more, a uniform sample of that size
(Vitter's algorithm R), so that percentiles stay right and the number of samples that CloudWatch shows is then too small.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from app.telemetry.emf_catalogue import DIMENSION, INTERVAL_SECONDS, EmfMetric, metrics_of
from app.telemetry.logs import get_logger

RESERVOIR = 1000  # observations a metric between two documents
MAX_VALUES = 100  # of one metric in one document: the format's limit

Observe = Callable[[float], None]
Values = Mapping[str, float | list[float]]


def ignore(_value: float) -> None:
    """Where nothing is emitted."""


class Reservoir:
    """At most ``limit`` observations of those since the last :meth:`drain`, each with the same chance. Thread-safe."""

    def __init__(self, limit: int = RESERVOIR) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: list[float] = []
        self._seen = 0

    def observe(self, value: float) -> None:
        with self._lock:
            self._seen += 1
            if len(self._kept) < self._limit:
                self._kept.append(value)
            elif (place := random.randrange(self._seen)) < self._limit:  # noqa: S311 a sample, not a secret
                self._kept[place] = value

    def drain(self) -> list[float]:
        with self._lock:
            kept, self._kept, self._seen = self._kept, [], 0
        return kept


class Emf:
    """What one process has to tell since it told last. ``service`` is one of :data:`app.telemetry.emf_catalogue.SERVICES`."""

    def __init__(self, service: str, namespace: str, registry: CollectorRegistry) -> None:
        self.service, self.namespace = service, namespace
        self._registry = registry
        self._metrics = metrics_of(service)
        self._told: dict[str, float] = {}
        self._observed = {metric.name: Reservoir() for metric in self._metrics if metric.kind == "observations"}

    def observer(self, name: str) -> Observe:
        """Where to report each value of the observations ``name``. Raises KeyError for one that the service has not."""
        return self._observed[name].observe

    def documents(self, *, gauges: bool = True) -> Iterator[str]:
        """What was counted and observed since the last call and, with ``gauges``, what is; as many documents as it takes."""
        samples = [sample for family in self._registry.collect() for sample in family.samples]
        found: dict[str, float | list[float]] = {}
        for metric in self._metrics:
            if metric.kind == "observations":
                if observed := self._observed[metric.name].drain():
                    found[metric.name] = observed
                continue
            matching = [sample.value for sample in samples if sample.name == metric.sample and _counts(metric, sample.labels)]
            if metric.kind == "counter":
                total = sum(matching)
                found[metric.name] = total - self._told.get(metric.name, 0.0)
                self._told[metric.name] = total
            elif matching and gauges:  # absent, not zero, while nobody knows
                found[metric.name] = sum(matching)
        while found:
            yield document(self.service, self.namespace, self._metrics, _head(found), int(time.time() * 1000))
            found = _tail(found)


def emf_for(service: str, namespace: str | None, registry: CollectorRegistry) -> Emf | None:
    return Emf(service, namespace, registry) if namespace else None


def document(
    service: str, namespace: str, metrics: tuple[EmfMetric, ...], values: Mapping[str, float | list[float]], milliseconds: int
) -> str:
    """One document, a line of JSON without its end. ``milliseconds``: since 1970, the time of the values."""
    definitions = [{"Name": metric.name, "Unit": metric.unit} for metric in metrics if metric.name in values]
    directive = {"Namespace": namespace, "Dimensions": [[DIMENSION]], "Metrics": definitions}
    content = {"_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [directive]}, DIMENSION: service, **values}
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


@asynccontextmanager
async def emitting(
    emf: Emf | None,
    refresh: Callable[[], Awaitable[None]] | None = None,
    *,
    interval_seconds: float = INTERVAL_SECONDS,
    write: Callable[[str], None] | None = None,
) -> AsyncIterator[None]:
    """Write what ``emf`` has to tell every ``interval_seconds`` while the block runs, and at its end what was counted since.

    ``refresh`` is awaited before each document and must end soon; not before the last, when what it asks may be closed.
    """
    if emf is None:
        yield
        return
    write = write or _print
    task = asyncio.create_task(_emit(emf, refresh, interval_seconds, write))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        _write(emf.documents(gauges=False), write)


async def _emit(
    emf: Emf, refresh: Callable[[], Awaitable[None]] | None, interval_seconds: float, write: Callable[[str], None]
) -> None:
    while True:
        await asyncio.sleep(interval_seconds)
        if refresh is not None:
            try:
                await refresh()
            except Exception as error:  # whatever it is, the other metrics are still told
                get_logger().warning("metrics could not be refreshed", type=type(error).__name__)
        _write(emf.documents(), write)


def _write(documents: Iterator[str], write: Callable[[str], None]) -> None:
    """A reader of standard output that has gone ends no service."""
    try:
        for line in documents:
            write(line)
    except (OSError, ValueError) as error:
        get_logger().warning("metrics could not be written", type=type(error).__name__)


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")  # one call: lines of several threads do not mix
    sys.stdout.flush()


def _counts(metric: EmfMetric, labels: Mapping[str, str]) -> bool:
    return all(re.fullmatch(pattern, labels.get(name, "")) for name, pattern in metric.where.items())


def _head(values: Values) -> dict[str, float | list[float]]:
    return {name: value[:MAX_VALUES] if isinstance(value, list) else value for name, value in values.items()}


def _tail(values: Values) -> dict[str, float | list[float]]:
    """What did not fit into the first document: observations alone, so that nothing is counted twice."""
    return {name: value[MAX_VALUES:] for name, value in values.items() if isinstance(value, list) and len(value) > MAX_VALUES}
