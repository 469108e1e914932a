"""Metrics in Prometheus' form: one registry a process, made at its start and handed to what counts.

The metrics themselves stand beside what they measure (``metrics.py`` in gateway, pipeline and inference); docs/metrics.md
lists them. Labels are bounded: route templates, statuses, our own words; nothing that a caller chooses.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, disable_created_metrics


def new_registry() -> CollectorRegistry:
    """A registry with what every process tells of itself: memory, CPU, open files, garbage collection, Python's version."""
    # A switch of the library for the whole process: a time stamp beside each histogram and counter would double the series.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
