"""Events through Socket Mode: the vendor's client in our process, the emulated workspace at the other end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_workspace.emulator import APP_TOKEN, BOT_TOKEN, Emulator

from app.pipeline.event import Event
from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.queue import Delivery, QueuePolicy, QueueUnavailable
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.platforms.slack.socket_mode import Connection, Receiver, readiness
from app.settings import RedisSettings

DIRECT = {"type": "message", "channel": "D0ADA", "channel_type": "im", "user": "U0ADA", "ts": "1.1", "text": "x"}


class Queue(MemoryQueue):
    """``away``: how many deliveries find it so. ``slow``: how long each takes, in seconds."""

    def __init__(self, policy: QueuePolicy | None = None, away: int = 0, slow: float = 0.0) -> None:
        super().__init__(policy or QueuePolicy())
        self.away, self.slow = away, slow
        self.delivered: list[tuple[str, str]] = []
        self.begun = asyncio.Event()

    async def deliver(self, event: Event) -> Delivery:
        self.begun.set()
        await asyncio.sleep(self.slow)
        if self.away > 0:
            self.away -= 1
            raise QueueUnavailable("Redis is not reachable")
        delivery = await super().deliver(event)
        self.delivered.append((event.text, delivery.value))
        return delivery


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    # Half a second for an acknowledgement, and retries at once: what Slack does, in less time.
    with Emulator(pace=0.001, acknowledge_seconds=0.5) as running:
        yield running


@pytest.fixture
async def queue() -> Queue:
    return Queue()


@pytest.fixture
async def connection(emulator: Emulator, queue: Queue) -> AsyncIterator[Connection]:
    made = Connection(Receiver(queue), APP_TOKEN, emulator.api_url)
    await made.open()
    yield made
    await made.close()


async def until(emulator: Emulator, condition: Any) -> bool:
    return await asyncio.to_thread(emulator.wait_for, condition)


def taken(count: int) -> Any:
    return lambda emulator: sum(attempt.taken for attempt in emulator.attempts) >= count


async def test_an_event_is_stored_and_then_acknowledged(emulator: Emulator, connection: Connection, queue: Queue) -> None:
    emulator.write("巴黎 🗼?")
    emulator.write("@assistant and here", channel="C0GENERAL")
    assert await until(emulator, taken(2))
    assert queue.delivered == [("巴黎 🗼?", "accepted"), ("and here", "accepted")]
    assert [attempt.retry for attempt in emulator.attempts] == [0, 0]


async def test_what_could_not_be_stored_is_not_acknowledged_and_comes_again(
    emulator: Emulator, connection: Connection, queue: Queue
) -> None:
    queue.away = 2
    emulator.write("hello")
    assert await until(emulator, taken(1))
    assert [(attempt.retry, attempt.taken) for attempt in emulator.attempts] == [(0, False), (1, False), (2, True)]
    assert queue.delivered == [("hello", "accepted")]


async def test_a_full_queue_acknowledges_nothing(emulator: Emulator) -> None:
    queue = Queue(QueuePolicy(limit=1))
    connection = Connection(Receiver(queue), APP_TOKEN, emulator.api_url)
    await connection.open()
    emulator.write("one")
    assert await until(emulator, taken(1))
    emulator.write("two", channel="D0BEN")
    assert await until(emulator, lambda it: bool(it.undelivered))
    assert queue.delivered[0] == ("one", "accepted")
    assert {delivery for text, delivery in queue.delivered if text == "two"} == {"refused"}
    await connection.close()


async def test_a_repeated_event_is_acknowledged_and_not_stored_again(
    emulator: Emulator, connection: Connection, queue: Queue
) -> None:
    emulator.write("hello")
    assert await until(emulator, taken(1))
    await asyncio.to_thread(emulator.send, {**emulator.record()["messages"][0], "channel_type": "im"})
    assert await until(emulator, taken(2))
    assert [delivery for _, delivery in queue.delivered] == ["accepted", "duplicate"]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "reaction_added", "user": "U1"},
        {
            "type": "message",
            "channel": "D0ADA",
            "channel_type": "im",
            "user": "U0BOT",
            "bot_id": "B1",
            "ts": "1.1",
            "text": "own",
        },
        {"type": "message", "channel": "D0ADA", "channel_type": "im", "user": "U1", "ts": "not a time", "text": "x"},
        {"type": "message", "channel": "D0ADA", "channel_type": "im", "user": "U1", "ts": "1.1", "text": "\ud800"},
    ],
)
async def test_what_is_no_event_of_ours_is_acknowledged_so_that_it_does_not_come_for_ever(
    emulator: Emulator, connection: Connection, queue: Queue, event: dict[str, Any]
) -> None:
    await asyncio.to_thread(emulator.send, event)
    assert await until(emulator, taken(1))
    assert queue.delivered == []


@pytest.mark.parametrize("how", ["disconnect_sockets", "cut_sockets"])
async def test_a_connection_that_ends_is_opened_again(
    emulator: Emulator, connection: Connection, queue: Queue, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(getattr(emulator, how))
    assert await until(emulator, lambda it: bool(it.delivery.sockets.open))
    emulator.write("again")
    assert await until(emulator, taken(1))
    assert ("again", "accepted") in queue.delivered


async def test_what_has_arrived_is_stored_and_acknowledged_before_it_stops(emulator: Emulator) -> None:
    queue = Queue(slow=0.2)
    connection = Connection(Receiver(queue), APP_TOKEN, emulator.api_url)
    await connection.open()
    for number in range(5):
        emulator.write(str(number), channel="D0ADA" if number % 2 else "D0BEN")
    async with asyncio.timeout(5):
        await queue.begun.wait()
    await connection.drain()
    stored = len(queue.delivered)
    assert stored >= 1
    assert await until(emulator, taken(stored))
    emulator.write("too late")
    await asyncio.sleep(0.3)
    assert len(queue.delivered) == stored
    await connection.close()


async def test_it_is_ready_while_it_is_connected_and_the_queue_answers(
    emulator: Emulator, connection: Connection, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await readiness(connection, queue)).reason is None

    async def away() -> Any:
        raise QueueUnavailable("Redis is not reachable")

    monkeypatch.setattr(queue, "stats", away)
    assert "the queue is away" in str((await readiness(connection, queue)).reason)
    await connection.close()
    assert "no connection to Slack" in str((await readiness(connection, queue)).reason)


# --- the process ------------------------------------------------------------------------------------------------------------


class Process:
    def __init__(self, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.platforms.slack.socket_mode"],
            env={"PATH": os.environ["PATH"], "PORT": str(self.port), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return bool(json.load(answer)["status"] == "ready")
        except OSError:
            return False

    def wait_ready(self, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not self.ready():
            assert self.process.poll() is None, self.end()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def end(self, number: int | None = None) -> tuple[int, str]:
        if number is not None:
            self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=20)
        return self.process.returncode, output


async def test_the_process_brings_events_to_redis_and_drains_at_sigterm(
    emulator: Emulator, redis_server: Any, redis: Any
) -> None:
    process = Process(
        SLACK_APP_TOKEN=APP_TOKEN,
        SLACK_API_URL=emulator.api_url,
        REDIS_URL=redis_server.url,
        REDIS_PASSWORD=redis_server.password,
    )
    try:
        await asyncio.to_thread(process.wait_ready)
        emulator.write("text-canary")
        assert await until(emulator, taken(1))
        code, output = await asyncio.to_thread(process.end, signal.SIGTERM)
    finally:
        process.process.kill()
    assert code == 0, output
    queue = RedisQueue(
        connect(RedisSettings.model_validate({"redis_url": redis_server.url, "redis_password": redis_server.password})),
        QueuePolicy(),
    )
    lease = await queue.lease("test")
    assert lease is not None and lease.event.text == "text-canary"
    await queue.acknowledge(lease)
    assert "text-canary" not in output and APP_TOKEN not in output
    assert "process.started" in output and "process.stopped" in output


async def test_killed_in_the_middle_it_loses_nothing_and_stores_nothing_twice(private_redis: Any) -> None:
    # Retries after 0, 3 and 15 seconds: as long as another process takes to start.
    with Emulator(pace=0.05, acknowledge_seconds=0.5) as emulator:
        environment = {
            "SLACK_APP_TOKEN": APP_TOKEN,
            "SLACK_API_URL": emulator.api_url,
            "REDIS_URL": private_redis.url,
            "REDIS_PASSWORD": private_redis.password,
        }
        first = Process(**environment)
        second = None
        try:
            await asyncio.to_thread(first.wait_ready)
            for number in range(40):
                emulator.write(str(number), channel="D0ADA" if number % 2 else "D0BEN")
            assert await until(emulator, taken(5))
            first.process.kill()
            second = Process(**environment)
            await asyncio.to_thread(second.wait_ready)
            assert await asyncio.to_thread(emulator.wait_for, taken(40), 60)
            assert emulator.undelivered == []
        finally:
            first.process.kill()
            if second:
                second.process.kill()
    settings = RedisSettings.model_validate({"redis_url": private_redis.url, "redis_password": private_redis.password})
    queue = RedisQueue(connect(settings), QueuePolicy())
    assert (await queue.stats()).backlog == 40
    texts = []
    while lease := await queue.lease("test"):
        texts.append(lease.event.text)
        await queue.acknowledge(lease)
    assert sorted(texts, key=int) == [str(number) for number in range(40)]


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (None, "SLACK_APP_TOKEN is required"),
        (BOT_TOKEN, "SLACK_APP_TOKEN: an app-level token begins with xapp-"),
        ("xapp-wrong-canary", "SLACK_APP_TOKEN: Slack answered invalid_auth"),
    ],
)
def test_a_wrong_token_is_named_and_not_repeated(emulator: Emulator, token: str | None, says: str) -> None:
    process = Process(SLACK_API_URL=emulator.api_url, **({"SLACK_APP_TOKEN": token} if token else {}))
    code, output = process.end()
    assert code == 2
    assert says in output and "Traceback" not in output
    assert "canary" not in output


def test_the_gateway_and_the_worker_do_without_the_vendors_client() -> None:
    code = (
        "import sys, app.platforms.slack.events, app.platforms.slack.client, app.platforms.slack.socket_mode;"
        "print([name for name in sys.modules if name.partition('.')[0] in ('slack_sdk', 'aiohttp')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_the_vendors_client_it_says_what_to_install(emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "slack_sdk").mkdir()
    (tmp_path / "slack_sdk" / "__init__.py").write_text("raise ModuleNotFoundError('No module named slack_sdk')")
    process = Process(
        SLACK_API_URL=emulator.api_url, SLACK_APP_TOKEN=APP_TOKEN, PYTHONPATH=str(tmp_path), REDIS_URL="redis://127.0.0.1:9/0"
    )
    code, output = process.end()
    assert code == 2
    assert "pip install '.[slack]'" in output and "Traceback" not in output
