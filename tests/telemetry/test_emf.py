"""The documents are what CloudWatch extracts metrics from, no count is lost or told twice, and nothing of it ends a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from statistics import mean
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.gateway.metrics import GENERATING_ROUTES, GatewayMetrics
from app.http.health import LIVE_PATHS, READY_PATHS
from app.inference.metrics import InferenceMetrics
from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.metrics import MessageMetrics, QueueMetrics
from app.pipeline.queue import QueueUnavailable, Stats
from app.settings import GatewaySettings, SettingsError, load
from app.telemetry.emf import Emf, Reservoir, emf_for, emitting
from app.telemetry.emf_catalogue import METRICS, PROBES, SERVICES, metrics_of
from infra.alarms import GENERATING_ROUTES as GENERATING_ROUTES_OF_ALARMS

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html, those without a prefix or a rate
UNITS = {"Seconds", "Microseconds", "Milliseconds", "Bytes", "Bits", "Percent", "Count", "None"}


def check(line: str) -> dict[str, Any]:
    """The rules of the specification's JSON schema ("Embedded metric format document structure" and "… schema"):
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html"""
    assert "\n" not in line
    assert len(line.encode()) <= 256 * 1024  # an event of CloudWatch Logs (today 1 MB)
    document: dict[str, Any] = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    metadata = document["_aws"]
    assert set(metadata) == {"Timestamp", "CloudWatchMetrics"}
    assert isinstance(metadata["Timestamp"], int)
    assert abs(metadata["Timestamp"] / 1000 - time.time()) < 60  # milliseconds; no more than 14 days ago, 2 hours ahead
    for directive in metadata["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert 1 <= len(directive["Namespace"]) <= 1024
        assert directive["Dimensions"]
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= 30
            for name in dimensions:
                assert 1 <= len(name) <= 250
                assert isinstance(document[name], str)
        assert 1 <= len(directive["Metrics"]) <= 100
        for definition in directive["Metrics"]:
            assert set(definition) <= {"Name", "Unit", "StorageResolution"}
            assert 1 <= len(definition["Name"]) <= 1024
            assert definition["Unit"] in UNITS
            values = document[definition["Name"]]
            for value in values if isinstance(values, list) else [values]:
                assert isinstance(value, int | float)
                assert not isinstance(value, bool)
            assert not isinstance(values, list) or 1 <= len(values) <= 100
    return document


def told(emf: Emf, **how: bool) -> list[dict[str, Any]]:
    return [check(line) for line in emf.documents(**how)]


def test_a_worker_tells_what_ended_since_the_last_document() -> None:
    registry = CollectorRegistry()
    messages = MessageMetrics(registry, ["generic"])
    emf = Emf("worker", "Assistant/prod", registry)
    for ending in ("done", "done", "dead", "unknown", "retrying"):
        messages.settled("generic", ending)
    (document,) = told(emf)
    assert document["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Assistant/prod"
    assert document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Service"]]
    assert (document["Service"], document["MessagesDone"], document["MessagesFailed"]) == ("worker", 2, 2)
    messages.settled("a platform that is gone", "done")
    (document,) = told(emf)
    assert (document["MessagesDone"], document["MessagesFailed"]) == (1, 0)


async def test_the_queues_gauges_are_absent_while_it_is_away_and_queue_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.pipeline.metrics.REMEMBERED_SECONDS", 0)

    class Changing(MemoryQueue):
        away = False

        async def stats(self) -> Stats:
            if self.away:
                raise QueueUnavailable("Redis is not reachable")
            return await super().stats()

    registry, queue = CollectorRegistry(), Changing()
    measured = QueueMetrics(registry, queue)
    emf = Emf("gateway", "A", registry)
    await measured.refresh()
    (document,) = told(emf)
    gauges = {"QueueBacklog", "QueueOldestSeconds", "DeadLetters", "UnknownOutcomes"}
    assert document["QueueUp"] == 1
    assert gauges <= set(document)
    queue.away = True
    await measured.refresh()
    (document,) = told(emf)
    assert document["QueueUp"] == 0
    assert not gauges & set(document)


def test_the_api_s_seconds_are_those_of_neither_probes_nor_generation_nor_unknown_paths() -> None:
    registry = CollectorRegistry()
    emf = Emf("gateway", "A", registry)
    metrics = GatewayMetrics(registry, emf.observer("ApiSeconds"))
    metrics.answered("/events", "POST", 200, 0.25)
    metrics.answered("/events", "POST", 503, 0.5)
    for route in (*GENERATING_ROUTES, *LIVE_PATHS, *READY_PATHS, None):
        metrics.answered(route, "GET", 200, 9.0)
    (document,) = told(emf)
    assert document["ApiSeconds"] == [0.25, 0.5]
    assert document["HttpServerErrors"] == 1


def test_a_probe_that_says_no_is_no_server_error() -> None:
    registry = CollectorRegistry()
    emf = Emf("gateway", "A", registry)
    metrics = GatewayMetrics(registry)
    for path in READY_PATHS:
        metrics.answered(path, "GET", 503, 0.1)
    metrics.answered("/api/v1/answer", "POST", 502, 0.1)
    assert told(emf)[0]["HttpServerErrors"] == 1
    assert set(PROBES) == {*LIVE_PATHS, *READY_PATHS}


def test_alarms_and_metrics_agree_on_what_generates() -> None:
    assert set(GENERATING_ROUTES) == set(GENERATING_ROUTES_OF_ALARMS)


def test_observations_fill_as_many_documents_as_they_need_and_counts_stand_in_one() -> None:
    registry = CollectorRegistry()
    emf = Emf("gateway", "A", registry)
    metrics = GatewayMetrics(registry, emf.observer("ApiSeconds"))
    for number in range(250):
        metrics.answered("/events", "POST", 500, number / 1000)
    documents = told(emf)
    assert [len(document["ApiSeconds"]) for document in documents] == [100, 100, 50]
    assert [document.get("HttpServerErrors") for document in documents] == [250, None, None]
    assert sorted(value for document in documents for value in document["ApiSeconds"]) == [n / 1000 for n in range(250)]
    (quiet,) = told(emf)
    assert "ApiSeconds" not in quiet
    assert quiet["HttpServerErrors"] == 0


def test_of_very_many_observations_a_uniform_sample_is_kept() -> None:
    reservoir = Reservoir(1000)
    for number in range(100_000):
        reservoir.observe(number)
    kept = reservoir.drain()
    assert len(kept) == len(set(kept)) == 1000
    assert abs(mean(kept) - 50_000) < 5_000  # five standard errors
    assert reservoir.drain() == []


def test_observations_of_several_threads_are_all_there() -> None:
    reservoir = Reservoir(100_000)
    threads = [threading.Thread(target=lambda: [reservoir.observe(1.0) for _ in range(5000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    kept = 0
    while any(thread.is_alive() for thread in threads):
        kept += len(reservoir.drain())
    assert kept + len(reservoir.drain()) == 20_000


def test_inference_tells_queue_and_running_sequences_and_the_first_tokens_times() -> None:
    registry = CollectorRegistry()
    emf = Emf("inference", "A", registry)
    InferenceMetrics(registry, emf.observer("TimeToFirstTokenSeconds")).follow(lambda: None, 4)
    emf.observer("TimeToFirstTokenSeconds")(0.3)
    (document,) = told(emf)
    assert {name: document[name] for name in document if name != "_aws"} == {
        "Service": "inference",
        "TimeToFirstTokenSeconds": [0.3],
        "InferenceQueueLength": 0,
        "InferenceRunning": 0,
    }


@pytest.mark.parametrize("service", SERVICES)
async def test_every_metric_of_the_catalogue_is_made_from_one_that_the_service_has(service: str) -> None:
    """The registries as the processes build them: a renamed Prometheus metric would leave an alarm without data."""
    registry = CollectorRegistry()
    emf = Emf(service, "A", registry)
    if service != "inference":
        await QueueMetrics(registry, MemoryQueue()).refresh()
    if service == "gateway":
        GatewayMetrics(registry, emf.observer("ApiSeconds")).answered("/events", "POST", 500, 0.1)
    if service == "worker":
        MessageMetrics(registry, ["generic"]).settled("generic", "dead")
    if service == "inference":
        InferenceMetrics(registry).follow(lambda: None, 1)
        emf.observer("TimeToFirstTokenSeconds")(0.1)
    samples = {sample.name for family in registry.collect() for sample in family.samples}
    (document,) = told(emf)
    for metric in metrics_of(service):
        assert metric.name in document
        assert any(name.startswith(metric.sample) for name in samples), metric.sample
    assert {metric.name for metric in metrics_of(service)} == set(document) - {"_aws", "Service"}


def test_names_are_one_each_and_services_known() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(set(metric.services) <= set(SERVICES) for metric in METRICS)


def test_the_catalogue_brings_nothing_along() -> None:
    """The Pulumi program reads it."""
    code = "import sys, app.telemetry.emf_catalogue; print({'fastapi', 'prometheus_client', 'structlog'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


async def test_documents_come_by_themselves_and_the_last_holds_what_was_counted_since() -> None:
    registry, lines, asked = CollectorRegistry(), [], []
    messages = MessageMetrics(registry, ["generic"])
    emf = Emf("worker", "A", registry)

    async def refresh() -> None:
        asked.append(len(lines))
        raise RuntimeError("whatever it is")

    async with emitting(emf, refresh, interval_seconds=0.02, write=lines.append):
        messages.settled("generic", "done")
        while len(lines) < 3:  # noqa: ASYNC110 what is waited for is written by the code under test
            await asyncio.sleep(0.01)
        asked_before = len(asked)
        messages.settled("generic", "done")
    documents = [check(line) for line in lines]
    assert sum(document["MessagesDone"] for document in documents) == 2
    assert len(asked) >= asked_before >= 3


async def test_the_last_document_has_no_gauges_of_what_may_be_closed() -> None:
    registry, lines = CollectorRegistry(), []
    measured = QueueMetrics(registry, MemoryQueue())
    await measured.refresh()
    async with emitting(Emf("worker", "A", registry), interval_seconds=60, write=lines.append):
        pass
    (document,) = [check(line) for line in lines]
    assert set(document) == {"_aws", "Service", "MessagesDone", "MessagesFailed"}


async def test_standard_output_that_is_gone_ends_nothing() -> None:
    def closed(_line: str) -> None:
        raise BrokenPipeError

    written = []
    async with emitting(Emf("worker", "A", CollectorRegistry()), interval_seconds=0.01, write=closed):
        await asyncio.sleep(0.05)
        written.append("the block goes on")
    assert written


async def test_without_a_namespace_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    async with emitting(emf_for("worker", None, CollectorRegistry()), interval_seconds=0.01):
        await asyncio.sleep(0.03)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("namespace", ["Assistant prod", "", "a\nb", "x" * 256])
def test_a_namespace_that_cloudwatch_would_refuse_is_refused_at_the_start(namespace: str) -> None:
    with pytest.raises(SettingsError, match="EMF_NAMESPACE"):
        load(GatewaySettings, {"API_KEY": "k" * 32, "INFERENCE_API_KEY": "k" * 32, "EMF_NAMESPACE": namespace})


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def run_until_ready(module: str, port: int, environment: dict[str, str], act: Callable[[], None]) -> tuple[str, str]:
    """Standard output and error of a real process from its start to a clean end."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env={"PATH": os.environ["PATH"], "PORT": str(port), "DRAIN_SECONDS": "5", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                    break
            except urllib.error.URLError:
                assert time.monotonic() < deadline
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.05)
        act()
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, error
    return out, error


def test_a_gateway_writes_its_last_document_to_standard_output_and_its_logs_elsewhere(
    free_port: int, redis_server: Any
) -> None:
    environment = {
        "API_KEY": "k" * 32,
        "INFERENCE_API_KEY": "k" * 32,
        "REDIS_URL": redis_server.url,
        "REDIS_PASSWORD": redis_server.password,
        "EMF_NAMESPACE": "Assistant/test",
    }

    def ask() -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{free_port}/api/v1/events/canary")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, timeout=5)  # noqa: S310

    out, error = run_until_ready("app.gateway", free_port, environment, ask)
    (document,) = [check(line) for line in out.splitlines() if "_aws" in line]
    assert document["Service"] == "gateway"
    assert len(document["ApiSeconds"]) == 1
    assert document["HttpServerErrors"] == 0
    assert "_aws" not in error
    assert "canary" not in out


def test_a_worker_writes_its_last_document_too(free_port: int, redis_server: Any) -> None:
    redis_server.command("FLUSHALL")  # another suite's events would be worked off
    environment = {
        "INFERENCE_API_KEY": "k" * 32,
        "REDIS_URL": redis_server.url,
        "REDIS_PASSWORD": redis_server.password,
        "EMF_NAMESPACE": "Assistant/test",
    }
    out, _ = run_until_ready("app.pipeline", free_port, environment, lambda: None)
    (document,) = [check(line) for line in out.splitlines() if "_aws" in line]
    assert (document["Service"], document["MessagesDone"], document["MessagesFailed"]) == ("worker", 0, 0)
