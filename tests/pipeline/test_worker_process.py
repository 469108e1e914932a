"""Real worker processes, a real Redis and a real HTTP platform (the emulator, which honours idempotency keys).

The inference service is a stand-in in the test's own process: what is tested is that nothing is lost or doubled, not what is
said.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis_async
from generic.emulator import Emulator
from prometheus_client.parser import text_string_to_metric_families

from app.pipeline.queue import QueuePolicy, State, Trace
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.settings import RedisSettings

CLIENT_SECRET = "canary-client-secret"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"canary-webhook-secret-0123456789").decode()
MESSAGES = "assistant_messages_total"
ENDS = (State.DONE, State.DEAD, State.UNKNOWN)
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(client_secret=CLIENT_SECRET, webhook_secret=WEBHOOK_SECRET) as found:
        yield found


@pytest.fixture
def start(emulator: Emulator, http_server: Any, redis_server: Any, tmp_path: Path) -> Iterator[Start]:
    """``start(**environment)`` a worker process; all are killed at the end. ``process.port`` is its health port."""
    running: list[subprocess.Popen[bytes]] = []
    http_server.answer("/predict", 200, {"prediction": "an answer"}, delay=0.02)

    def launch(**more: str) -> subprocess.Popen[bytes]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "REDIS_URL": redis_server.url,
            "REDIS_PASSWORD": redis_server.password,
            "INFERENCE_URL": http_server.url,
            "INFERENCE_API_KEY": "canary-api-key",
            "GENERIC_URL": emulator.url,
            "GENERIC_CLIENT_SECRET": CLIENT_SECRET,
            "GENERIC_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "LEASE_SECONDS": "1",
            "PORT": str(port),
            **more,
        }
        log = (tmp_path / f"worker-{len(running)}.log").open("wb")
        process = subprocess.Popen([sys.executable, "-m", "app.pipeline"], env=environment, stderr=log, stdout=log)
        process.port = port  # type: ignore[attr-defined]
        process.log = Path(log.name)  # type: ignore[attr-defined]
        running.append(process)
        return process

    yield launch
    for process in running:
        process.kill()
        process.wait()


def health(process: Any, path: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.port}{path}", timeout=5) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 (another process tells nobody)
            await asyncio.sleep(0.02)


def is_ready(process: Any) -> bool:
    try:
        return health(process, "/readyz")[0] == 200
    except OSError:
        return False


def answers(process: Any, path: str, status: int) -> bool:
    try:
        return health(process, path)[0] == status
    except OSError:
        return False


def scrape(port: int, name: str, **labels: str) -> float | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            families = text_string_to_metric_families(response.read().decode())
    except OSError:
        return None
    samples = [sample for family in families for sample in family.samples]
    return next((sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)), None)


@pytest.fixture
async def queue(redis: redis_async.Redis, redis_server: Any) -> Any:
    client = connect(RedisSettings(redis_url=redis_server.url, redis_password=redis_server.password, redis_timeout_seconds=10))
    yield RedisQueue(client, QueuePolicy(lease_seconds=1))
    await client.close()


async def finished(queue: RedisQueue, key: str) -> Trace:
    async with asyncio.timeout(30):
        while (trace := await queue.trace(key)) is None or trace.state not in ENDS:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return trace


async def test_workers_killed_again_and_again_lose_nothing_double_nothing_and_keep_the_order(
    start: Start, queue: RedisQueue, emulator: Emulator, make_event: Any
) -> None:
    """100 events of 10 conversations, every tenth one a task; two workers in different time zones, one of them killed with
    SIGKILL after every 12 answers; the platform also loses some answers after the effect."""
    zones = ("Asia/Shanghai", "America/New_York")
    workers = [start(TZ=zone) for zone in zones]
    emulator.fail("/messages", "reset", times=5, after_effect=True)
    emulator.fail("/calendar/events", "reset", times=2, after_effect=True)
    day = datetime.now(UTC)
    events = [
        make_event(
            f"{number:03}",
            conversation=f"c{number % 10}",
            text=f"创建一个会{number:03}的日程" if number // 10 == number % 10 else f"Question {number:03}?",
            received_at=day,
        )
        for number in range(100)
    ]

    async def deliver() -> None:
        for event in events:
            await queue.deliver(event)
            await queue.deliver(event)  # as a platform does that got no answer in time
            await asyncio.sleep(0.005)

    delivering = asyncio.create_task(deliver())
    kills = 0
    for count in range(12, 85, 12):
        assert await asyncio.to_thread(emulator.wait_for, lambda emulator, count=count: len(emulator.messages) >= count, 60.0)
        victim = kills % 2
        workers[victim].kill()
        workers[victim].wait()
        workers[victim] = start(TZ=zones[victim])
        kills += 1
    await delivering
    traces = [await finished(queue, event.key) for event in events]

    assert {trace.state for trace in traces} == {State.DONE}
    assert Counter(message["event"] for message in emulator.messages) == Counter(event.id for event in events)
    for conversation in {event.conversation for event in events}:
        arrived = [message["event"] for message in emulator.messages if message["conversation"] == conversation]
        assert arrived == sorted(arrived)
    assert sorted(entry["summary"] for entry in emulator.calendar) == [f"会{number:03}" for number in range(0, 100, 11)]
    assert {entry["start"] for entry in emulator.calendar} == {day.date().isoformat()}
    # The test would prove nothing had no kill met work in progress, or had no effect been asked for twice.
    assert kills == 7
    assert sum(any("lease expired" in entry.detail for entry in trace.timeline) for trace in traces) >= 1
    assert len(emulator.repeated) >= 5


async def test_a_worker_that_was_stopped_and_wakes_late_is_fenced_off(
    start: Start, queue: RedisQueue, emulator: Emulator, http_server: Any, make_event: Any
) -> None:
    http_server.answer("/predict", 200, {"prediction": "late"}, delay=0.5)
    sleeper = start()
    event = make_event(text="Question?")
    await queue.deliver(event)
    await until(lambda: len(http_server.requests) == 1)
    sleeper.send_signal(signal.SIGSTOP)
    http_server.answer("/predict", 200, {"prediction": "in time"})
    start()
    assert (await finished(queue, event.key)).attempts == 2
    sleeper.send_signal(signal.SIGCONT)
    await until(lambda: b"lease" in sleeper.log.read_bytes())  # type: ignore[attr-defined]
    assert [message["text"] for message in emulator.messages] == ["in time"]
    assert emulator.repeated == []
    trace = await queue.trace(event.key)
    assert trace is not None
    assert trace.state == State.DONE


async def test_sigterm_finishes_what_runs_and_exits_0(
    start: Start, queue: RedisQueue, emulator: Emulator, http_server: Any, make_event: Any
) -> None:
    http_server.answer("/predict", 200, {"prediction": "an answer"}, delay=0.5)
    worker = start()
    event = make_event(text="Question?")
    await queue.deliver(event)
    await until(lambda: len(http_server.requests) == 1)
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 10) == 0
    trace = await queue.trace(event.key)
    assert trace is not None
    assert (trace.state, trace.attempts) == (State.DONE, 1)
    assert len(emulator.messages) == 1


async def test_readiness_follows_redis_and_liveness_does_not(start: Start, private_redis: Any, emulator: Emulator) -> None:
    worker = start(REDIS_URL=private_redis.url, REDIS_PASSWORD=private_redis.password)
    await until(lambda: is_ready(worker))
    assert health(worker, "/readyz")[1]["backlog"] == 0
    private_redis.kill()
    begin = time.monotonic()
    status, body = await asyncio.to_thread(health, worker, "/readyz")
    assert (status, "queue is away" in body["reason"]) == (503, True)
    assert time.monotonic() - begin < 2
    assert (await asyncio.to_thread(health, worker, "/healthz"))[0] == 200
    private_redis.start()
    await until(lambda: is_ready(worker))
    assert worker.poll() is None


async def test_a_worker_starts_without_redis_and_inference_and_works_once_they_are_there(
    start: Start, private_redis: Any, emulator: Emulator, http_server: Any, make_event: Any, free_port: int
) -> None:
    private_redis.kill()
    http_server.close()
    settings = RedisSettings(redis_url=private_redis.url, redis_password=private_redis.password, redis_timeout_seconds=10)
    worker = start(REDIS_URL=private_redis.url, REDIS_PASSWORD=private_redis.password, METRICS_PORT=str(free_port))
    await until(lambda: answers(worker, "/healthz", 200))
    assert health(worker, "/readyz")[0] == 503
    assert await asyncio.to_thread(scrape, free_port, "assistant_queue_up") == 0
    private_redis.start()
    await until(lambda: is_ready(worker))
    client = connect(settings)
    event = make_event(text="Question?")
    await RedisQueue(client, QueuePolicy(lease_seconds=1)).deliver(event)
    await until(lambda: scrape(free_port, MESSAGES, platform="generic", outcome="retried") == 1)
    assert worker.poll() is None
    await client.close()


async def test_outcomes_and_the_backlog_are_scraped(
    start: Start, queue: RedisQueue, emulator: Emulator, http_server: Any, make_event: Any, free_port: int
) -> None:
    http_server.answer("/predict", 400, {"error": {"code": "invalid_value"}})
    start(METRICS_PORT=str(free_port))
    question, task = make_event("1", text="Question?"), make_event("2", text="创建一个会议的日程", conversation="other")
    for event in (question, task):
        await queue.deliver(event)
    assert [(await finished(queue, event.key)).state for event in (question, task)] == [State.DEAD, State.DONE]
    await until(lambda: scrape(free_port, "assistant_queue_dead") == 1)
    assert scrape(free_port, "assistant_queue_backlog") == 0
    counted = {outcome: scrape(free_port, MESSAGES, platform="generic", outcome=outcome) for outcome in ("done", "dead")}
    assert counted == {"done": 1, "dead": 1}


async def test_in_its_notice_a_worker_takes_nothing_more_and_finishes_what_it_holds(
    start: Start, queue: RedisQueue, emulator: Emulator, http_server: Any, make_event: Any
) -> None:
    http_server.answer("/predict", 200, {"prediction": "an answer"}, delay=1.0)
    worker = start(NOTICE_SECONDS="3")
    held, later = make_event("1", text="Question?"), make_event("2", text="Question?", conversation="other")
    await queue.deliver(held)
    await until(lambda: len(http_server.requests) == 1)
    worker.send_signal(signal.SIGTERM)
    await until(lambda: answers(worker, "/readyz", 503))
    await queue.deliver(later)
    assert (await finished(queue, held.key)).state == State.DONE
    await asyncio.sleep(1.5)
    trace = await queue.trace(later.key)
    assert worker.poll() is None  # still in its notice
    assert len(http_server.requests) == 1
    assert trace is not None
    assert trace.state in (State.QUEUED, State.RETRYING)  # the wait that was under way may bring it: it is given back at once
    start()
    assert (await finished(queue, later.key)).state == State.DONE
    assert await asyncio.to_thread(worker.wait, 10) == 0


async def test_no_secret_and_no_text_is_logged(start: Start, queue: RedisQueue, emulator: Emulator, make_event: Any) -> None:
    worker = start(LOG_LEVEL="debug")
    emulator.fail("/oauth/token", status=500)
    for number, text in enumerate(["canary-question?", "创建一个canary-title的日程", "创建一个canary-title的日程在2026-02-30"]):
        event = make_event(str(number), text=text)
        await queue.deliver(event)
        assert (await finished(queue, event.key)).state == State.DONE
    log = worker.log.read_text()  # type: ignore[attr-defined]
    assert "attempt ended" in log
    assert "canary" not in log
    assert all(isinstance(json.loads(line), dict) for line in log.splitlines())


@pytest.mark.parametrize(
    ("environment", "code", "message"),
    [
        ({"INFERENCE_API_KEY": " "}, 2, "INFERENCE_API_KEY is empty"),
        ({"WORKER_CONCURRENCY": "0"}, 2, "WORKER_CONCURRENCY=0"),
        ({"TASKS_DIRECTORY": "/nonexistent"}, 2, "/nonexistent: no such directory"),
        ({"GENERIC_CLIENT_SECRET_FILE": "/nonexistent"}, 2, "GENERIC_CLIENT_SECRET"),
        ({"GENERIC_WEBHOOK_SECRET": "canary"}, 2, "GENERIC_WEBHOOK_SECRET"),
    ],
)
async def test_a_wrong_setting_is_named_and_ends_the_start(
    start: Start, environment: dict[str, str], code: int, message: str
) -> None:
    worker = start(**environment)
    assert await asyncio.to_thread(worker.wait, 20) == code
    log = worker.log.read_text()  # type: ignore[attr-defined]
    assert message in log
    assert "Traceback" not in log
    assert "canary" not in log


async def test_a_taken_port_is_named(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        worker = start(PORT=str(taken.getsockname()[1]))
        assert await asyncio.to_thread(worker.wait, 20) == 1
    assert "cannot listen on 127.0.0.1" in worker.log.read_text()  # type: ignore[attr-defined]
