"""The two queues behind one harness, so that each test of the queue's promises runs against both."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import redis.asyncio as redis_async
from generic.faulty_server import Answer, FaultyServer

from app.pipeline.event import Event
from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.queue import Queue, QueuePolicy
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import PREFIX, RedisQueue
from app.settings import RedisSettings

MakeEvent = Callable[..., Event]
PATIENT_SECONDS = 10  # for tests about something else than time: a busy machine is no reason to fail them


@pytest.fixture
def make_event() -> MakeEvent:
    def make(id: str = "1", conversation: str = "room", text: str = "hello", tenant: str = "default", **more: Any) -> Event:
        values: dict[str, Any] = {
            "platform": "generic",
            "sender": "alice",
            "received_at": datetime(2026, 11, 23, 12, tzinfo=UTC),
        }
        return Event(id=id, conversation=conversation, text=text, tenant=tenant, **(values | more))

    return make


class MemoryHarness:
    """Moves the clock."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def make(self, policy: QueuePolicy) -> Queue:
        return MemoryQueue(policy, clock=lambda: time.time() + self._ahead)

    async def expire_leases(self) -> None:
        self._ahead += 3600

    async def expire_finished(self) -> None:
        self._ahead += 25 * 3600


class RedisHarness:
    """Redis keeps its own time, so deadlines are moved instead: each leased or waiting one into the past."""

    def __init__(self, server: Any, client: redis_async.Redis) -> None:
        self.client = client
        self.connection = connect(
            RedisSettings(redis_url=server.url, redis_password=server.password, redis_timeout_seconds=PATIENT_SECONDS)
        )

    def make(self, policy: QueuePolicy) -> Queue:
        return RedisQueue(self.connection, policy)

    async def expire_leases(self) -> None:
        for name in ("leases", "ready"):
            for member in await self.client.zrange(f"{PREFIX}:{name}", 0, -1):
                await self.client.zadd(f"{PREFIX}:{name}", {member: 1})

    async def expire_finished(self) -> None:
        async for key in self.client.scan_iter(f"{PREFIX}:*"):
            if await self.client.ttl(key) > 0:
                await self.client.delete(key)


@pytest.fixture(params=["memory", "redis"])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[MemoryHarness | RedisHarness]:
    """``make(policy)`` a queue; ``expire_leases()`` lets every lease and delay pass; ``expire_finished()`` lets a day pass."""
    if request.param == "memory":
        yield MemoryHarness()
        return
    server = request.getfixturevalue("redis_server")
    client = server.client()
    await client.flushall()
    found = RedisHarness(server, client)
    yield found
    await found.connection.close()
    await client.aclose()


@pytest.fixture
def queue(harness: Any) -> Queue:
    made: Queue = harness.make(QueuePolicy(max_attempts=3))
    return made


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


class HttpServer:
    """A real server on loopback with answers set by the test; records what comes. 404 where nothing was set."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._answers: dict[str, tuple[int, bytes, dict[str, str], float]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.requests.append(Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                status, content, headers, delay = outer._answers.get(self.path, (404, b"{}", {}, 0.0))
                time.sleep(delay)
                with contextlib.suppress(OSError):  # who asked may have gone
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(content)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, path: str, status: int, body: Any, *, headers: dict[str, str] | None = None, delay: float = 0.0) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self._answers[path] = (status, content, headers or {}, delay)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def http_server() -> Iterator[HttpServer]:
    server = HttpServer()
    yield server
    server.close()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ModelServer:
    """The inference service as :mod:`app.pipeline.answer_cache` sees it: ``POST /predict`` and ``GET /readyz``, on loopback.

    ``text`` and ``digest`` may be changed at any time; a digest of None is told by neither. While ``gate`` is closed,
    predictions wait, and ``asked`` tells of one that does.
    """

    def __init__(self) -> None:
        self.text, self.digest = "Paris.", "a" * 64
        self.failure: Answer | None = None
        self.prompts: list[str] = []
        self.probes = 0
        self.gate, self.asked = threading.Event(), threading.Event()
        self.gate.set()
        self._server = FaultyServer("127.0.0.1", 0, self._handle, lambda _path: None)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, method: str, path: str, _headers: dict[str, str], body: bytes) -> Answer:
        if (method, path) == ("GET", "/readyz"):
            self.probes += 1
            return Answer(200, {"status": "ready", "digest": self.digest})
        self.prompts.append(json.loads(body)["prompt"])
        self.asked.set()
        self.gate.wait(60)
        if self.failure is not None:
            return self.failure
        headers = {} if self.digest is None else {"X-Model-Digest": self.digest}
        return Answer(200, {"prediction": self.text}, headers)


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.close()
