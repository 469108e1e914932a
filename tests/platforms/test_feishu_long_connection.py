"""The long connection, as the process that it is: the vendor's client against the emulated Feishu, a real Redis behind it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from feishu.emulator import Emulator
from feishu.wire import message_event

from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.queue import QueuePolicy, QueueUnavailable
from app.platforms.feishu.long_connection import Inbox, NotStored

SECRET = "app-secret-canary"
STARTING_SECONDS = 60.0  # the vendor's package takes seconds to import, and more while others work


class Process:
    def __init__(self, emulator: Emulator, redis: Any, secret: str = SECRET) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.platforms.feishu.long_connection"],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "FEISHU_APP_ID": emulator.app_id,
                "FEISHU_APP_SECRET": secret,
                "FEISHU_URL": emulator.url,
                "REDIS_URL": redis.url,
                "REDIS_PASSWORD": redis.password,
                "PORT": str(self.port),
                "LOG_LEVEL": "debug",
            },
        )

    def readiness(self) -> int:
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}/readyz").status_code
        except httpx2.HTTPError:
            return 0

    def wait_ready(self) -> None:
        deadline = time.monotonic() + STARTING_SECONDS
        while self.readiness() != 200:
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)

    def output(self) -> str:
        out, errors = self.process.communicate(timeout=30)
        return out + errors


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(app_secret=SECRET) as running:
        yield running


def test_what_feishu_delivers_is_stored_before_it_is_acknowledged(emulator: Emulator, private_redis: Any) -> None:
    process = Process(emulator, private_redis)
    connections = emulator.connected()
    try:
        assert connections.wait_connected(STARTING_SECONDS)
        process.wait_ready()
        event = emulator.event("今天天气如何？", message_id="om_1")
        assert connections.deliver(event, parts=3) == 200
        assert connections.deliver(event) == 200  # a duplicate
        assert connections.deliver({"schema": "2.0", "header": {"event_id": "e", "event_type": "im.chat.updated_v1"}}) == 200
        assert connections.deliver(emulator.event("x", message_id="om/../2")) == 500

        private_redis.kill()
        assert connections.deliver(emulator.event("lost?", message_id="om_3")) == 500
        assert process.readiness() == 503
        private_redis.start()
        process.wait_ready()
        assert connections.deliver(emulator.event("not lost", message_id="om_3")) == 200

        connections.cut()
        deadline = time.monotonic() + 20
        while connections.accepted < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert connections.wait_connected(20)
        assert connections.deliver(emulator.event("again", message_id="om_4")) == 200
    finally:
        process.process.send_signal(signal.SIGTERM)
        output = process.output()
    assert process.process.returncode == 0, output
    assert [key in output for key in ("tenant1:om_1", "tenant1:om_3", "tenant1:om_4")] == [True] * 3
    for secret in (SECRET, "secret-in-the-url", "天气", "not lost"):
        assert secret not in output


def test_wrong_credentials_end_the_process_with_a_sentence(emulator: Emulator, redis_server: Any) -> None:
    process = Process(emulator, redis_server, secret="wrong-canary")
    try:
        assert process.process.wait(STARTING_SECONDS) == 1
    finally:
        process.process.kill()
    output = process.output()
    assert "check FEISHU_APP_ID, FEISHU_APP_SECRET" in output
    assert "Traceback" not in output and "canary" not in output


def test_missing_settings_are_one_sentence() -> None:
    command = [sys.executable, "-m", "app.platforms.feishu.long_connection"]
    ended = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, timeout=60)
    assert ended.returncode == 2
    assert "FEISHU_APP_ID and FEISHU_APP_SECRET are required" in ended.stderr and "Traceback" not in ended.stderr


# --- the inbox alone ---------------------------------------------------------------------------------------------------------


def payload(text: str = "hi", **fields: Any) -> bytes:
    import json

    return json.dumps(message_event(text, **fields)).encode()


async def test_a_full_queue_is_told_to_feishu() -> None:
    inbox = Inbox(MemoryQueue(QueuePolicy(limit=1)), asyncio.get_running_loop(), None)
    await asyncio.to_thread(inbox.take, payload(message_id="om_1"))
    with pytest.raises(NotStored, match="too many events"):
        await asyncio.to_thread(inbox.take, payload(message_id="om_2"))


async def test_a_queue_that_is_away_is_told_to_feishu() -> None:
    class Away(MemoryQueue):
        async def deliver(self, event: Any, *more: Any) -> Any:
            raise QueueUnavailable("away")

    inbox = Inbox(Away(QueuePolicy()), asyncio.get_running_loop(), None)
    with pytest.raises(NotStored, match="away"):
        await asyncio.to_thread(inbox.take, payload())


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{}", b'{"schema": "2.0"}'])
async def test_what_cannot_be_read_is_an_error_without_its_text(body: bytes) -> None:
    inbox = Inbox(MemoryQueue(QueuePolicy()), asyncio.get_running_loop(), None)
    with pytest.raises(NotStored, match="malformed"):
        inbox.take(body)
