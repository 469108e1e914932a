from __future__ import annotations

from prometheus_client import Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry.metrics import new_registry


def test_registries_share_nothing() -> None:
    """A process that made two, as a test does, would otherwise count into both or fail on the second name."""
    one, other = new_registry(), new_registry()
    Counter("assistant_things", "Things.", registry=one).inc()
    assert one.get_sample_value("assistant_things_total") == 1
    assert other.get_sample_value("assistant_things_total") is None
    Counter("assistant_things", "Things.", registry=other)


def test_every_process_tells_of_its_own_memory_and_python() -> None:
    names = {family.name for family in text_string_to_metric_families(generate_latest(new_registry()).decode())}
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info"} <= names


def test_no_time_stamps_double_the_series() -> None:
    registry = new_registry()
    Counter("assistant_things", "Things.", registry=registry).inc()
    assert b"_created" not in generate_latest(registry)
