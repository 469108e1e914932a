"""What a running inference service tells a scraper."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

GEN_AI = "gen_ai_server_"


@pytest.fixture
def metrics_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def scrape(port: int) -> Callable[..., float | None]:
    """``value(name, **labels)`` of one scrape."""
    families = text_string_to_metric_families(httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text)
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}
    return lambda name, **labels: found.get((name, frozenset(labels.items())))


def test_answers_and_refusals_are_measured(start, tiny_int8: Path, metrics_port: int) -> None:
    service = start(tiny_int8, METRICS_PORT=metrics_port)
    value = scrape(metrics_port)
    assert value(GEN_AI + "time_to_first_token_seconds_count") == 0  # the warm-up is no request
    for _ in range(3):
        service.text("canary", max_tokens=8)
    service.text("canary", max_tokens=1)  # has a first token and none after it
    service.predict("canary", max_tokens=-1)
    assert httpx2.post(service.url + "/predict", json={"prompt": "canary"}).status_code == 401
    value = scrape(metrics_port)
    assert value(GEN_AI + "request_duration_seconds_count", error_type="") == 4
    assert value(GEN_AI + "request_duration_seconds_count", error_type="invalid_value") == 1
    assert value(GEN_AI + "request_duration_seconds_count", error_type="invalid_api_key") == 1
    assert value(GEN_AI + "time_to_first_token_seconds_count") == 4
    assert value(GEN_AI + "time_per_output_token_seconds_count") == 3
    whole = value(GEN_AI + "request_duration_seconds_sum", error_type="") or 0
    first = value(GEN_AI + "time_to_first_token_seconds_sum") or 0
    per_token = value(GEN_AI + "time_per_output_token_seconds_sum") or 0
    assert 0 < first + 7 * per_token <= whole
    assert "canary" not in httpx2.get(f"http://127.0.0.1:{metrics_port}/metrics").text


def test_queue_and_running_sequences_are_shown_while_they_last(start, tiny_int8: Path, metrics_port: int) -> None:
    """A scrape while the engine computes: the event loop is free for it."""
    service = start(
        tiny_int8,
        METRICS_PORT=metrics_port,
        INFERENCE_SLOTS=2,
        INFERENCE_CONTEXT=16384,
        INFERENCE_MAX_TOKENS=16384,
    )
    assert scrape(metrics_port)("assistant_inference_slots") == 2
    connections = [service.begin(max_tokens=15_000) for _ in range(5)]

    def figures() -> tuple[float | None, float | None]:
        value = scrape(metrics_port)
        return value("assistant_inference_running_sequences"), value("assistant_inference_queue_length")

    await_figures(figures, (2, 3))
    for connection in connections:
        connection.close()
    await_figures(figures, (0, 0))
    value = scrape(metrics_port)
    assert value(GEN_AI + "request_duration_seconds_count", error_type="cancelled") == 5
    assert value(GEN_AI + "time_to_first_token_seconds_count") == 0


def await_figures(figures: Callable[[], tuple[float | None, float | None]], wanted: tuple[int, int]) -> None:
    deadline = time.monotonic() + 15
    while (seen := figures()) != wanted:
        assert time.monotonic() < deadline, seen
        time.sleep(0.02)


def test_metrics_are_served_while_the_model_loads_and_the_model_once_loaded_is_one(
    start, make_model: Callable[..., Path], tmp_path: Path, metrics_port: int
) -> None:
    """MODEL_PATH may be a link that is pointed elsewhere while the files are read: no mixture of two models comes of it."""
    first, second = make_model("int8"), make_model("fp32")
    manifest = first / "manifest.json"
    content = manifest.read_bytes()
    manifest.unlink()
    os.mkfifo(manifest)  # loading opens it, and waits here for what the test writes
    link = tmp_path / "current"
    link.symlink_to(first.name)
    service = start(link, await_ready=False, METRICS_PORT=metrics_port)
    service.await_status("/readyz", 503)
    assert scrape(metrics_port)("assistant_inference_running_sequences") == 0
    with manifest.open("wb") as pipe:  # once the service reads
        (tmp_path / "new").symlink_to(second.name)
        (tmp_path / "new").replace(link)
        pipe.write(content)
    body = service.await_status("/readyz", 200).json()
    assert body["precision"] == "int8"
