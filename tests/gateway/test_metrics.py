"""A running gateway, scraped."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(port: int) -> Samples:
    answer = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    assert answer.status_code == 200
    found: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


@pytest.fixture
def metrics_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def scraped(start_gateway: Any, private_redis: Any, metrics_port: int, inference: Any) -> Iterator[Any]:
    gateway = start_gateway(private_redis, METRICS_PORT=str(metrics_port), REDIS_TIMEOUT_SECONDS="0.5")
    yield gateway
    if gateway.process.poll() is None:
        gateway.stop()


def await_value(port: int, name: str, wanted: float | None) -> Samples:
    deadline = time.monotonic() + 15
    while value(samples := scrape(port), name) != wanted:
        assert time.monotonic() < deadline, f"{name} is {value(samples, name)}, not {wanted}"
        time.sleep(0.1)
    return samples


def test_requests_are_counted_by_route_template_and_unknown_paths_share_a_label(scraped: Any, metrics_port: int) -> None:
    def count(route: str, method: str, status: int) -> float | None:
        name = "assistant_http_request_duration_seconds_count"
        return value(scrape(metrics_port), name, route=route, method=method, status=str(status))

    for number in range(3):
        scraped.client.get(f"/api/v1/events/generic:default:{number}", headers=scraped.authorization)
        scraped.client.get(f"/canary-{number}")
    scraped.client.post("/api/v1/answer", json={"question": "canary?"})
    scraped.client.post("/api/v1/answer", json={"question": "canary?"}, headers=scraped.authorization)
    scraped.raw(b"PROPFIND /canary HTTP/1.1\r\nHost: canary\r\n\r\n")
    assert count("/api/v1/events/{key:path}", "GET", 404) == 3
    assert count("other", "GET", 404) == 3
    assert count("other", "other", 404) == 1
    assert count("/api/v1/answer", "POST", 401) == 1
    assert count("/api/v1/answer", "POST", 200) == 1
    assert "canary" not in httpx2.get(f"http://127.0.0.1:{metrics_port}/metrics").text


def test_the_backlog_follows_deliveries_and_an_outage_of_redis_takes_the_gauges_away(
    scraped: Any, metrics_port: int, private_redis: Any
) -> None:
    assert value(scrape(metrics_port), "assistant_queue_backlog") == 0
    for _ in range(3):
        assert scraped.send().status_code == 200
    await_value(metrics_port, "assistant_queue_backlog", 3)
    private_redis.pause()
    samples = await_value(metrics_port, "assistant_queue_up", 0)
    assert value(samples, "assistant_queue_backlog") is None
    begin = time.monotonic()
    scrape(metrics_port)
    assert time.monotonic() - begin < 2  # a Redis that hangs holds up no scrape
    private_redis.resume()
    assert value(await_value(metrics_port, "assistant_queue_up", 1), "assistant_queue_backlog") == 3


def test_the_main_port_has_no_metrics(scraped: Any) -> None:
    assert scraped.client.get("/metrics").status_code == 404


def test_in_its_notice_a_gateway_is_not_ready_and_still_works_and_is_scraped(
    start_gateway: Any, redis_server: Any, metrics_port: int, inference: Any
) -> None:
    gateway = start_gateway(redis_server, METRICS_PORT=str(metrics_port), NOTICE_SECONDS="3")
    gateway.process.terminate()
    begin = time.monotonic()
    while gateway.client.get("/readyz").status_code != 503:
        assert time.monotonic() - begin < 2
    assert gateway.client.post("/api/v1/answer", json={"question": "?!a"}, headers=gateway.authorization).status_code == 200
    assert gateway.send().status_code == 200
    assert value(scrape(metrics_port), "assistant_queue_up") == 1
    assert gateway.process.wait(20) == 0
    assert time.monotonic() - begin > 2.9


def test_a_gateway_starts_without_redis_and_inference_and_is_ready_when_redis_comes(
    start_gateway: Any, private_redis: Any, metrics_port: int
) -> None:
    private_redis.kill()
    gateway = start_gateway(private_redis, METRICS_PORT=str(metrics_port), INFERENCE_URL="http://127.0.0.1:9")
    assert gateway.client.get("/readyz").status_code == 503
    assert gateway.client.get("/healthz").status_code == 200
    assert value(scrape(metrics_port), "assistant_queue_up") == 0
    assert gateway.send().status_code == 503
    private_redis.start()
    deadline = time.monotonic() + 15
    while (answer := gateway.client.get("/readyz")).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert answer.json()["inference"] == "unreachable"
    assert gateway.send().status_code == 200
    assert gateway.stop() == 0
