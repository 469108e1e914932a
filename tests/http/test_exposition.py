"""The port of the metrics: the real server on a real socket, beside a main one that drains."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from prometheus_client import CollectorRegistry, Counter

from app.http.exposition import LIMITS, exposing
from app.http.serve import ServeError


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    return found


@pytest.fixture
def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("things", "Things.", registry=made).inc(3)
    return made


@asynccontextmanager
async def client(port: int) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as found:
        yield found


async def test_the_registry_is_shown_in_prometheus_text_form(port: int, registry: CollectorRegistry) -> None:
    async with exposing(registry, "127.0.0.1", port), client(port) as asking:
        answer = await asking.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\nthings_total 3.0\n" in answer.text


async def test_nothing_else_is_there(port: int, registry: CollectorRegistry) -> None:
    async with exposing(registry, "127.0.0.1", port), client(port) as asking:
        assert (await asking.get("/healthz")).status_code == 404
        assert (await asking.get("/metrics/")).status_code == 404
        refused = await asking.post("/metrics", content=b"x")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET")
    assert refused.json()["error"]["code"] == "method_not_allowed"


async def test_it_is_refreshed_before_each_answer_and_a_slow_refresh_blocks_nobody(
    port: int, registry: CollectorRegistry
) -> None:
    turns, slow = 0, asyncio.Event()

    async def refresh() -> None:
        nonlocal turns
        turns += 1
        await slow.wait()

    async with exposing(registry, "127.0.0.1", port, refresh), client(port) as asking:
        scrapes = [asyncio.create_task(asking.get("/metrics")) for _ in range(3)]
        while turns < 3:  # noqa: ASYNC110 (the event loop turns while scrapes wait: that is what is tested)
            await asyncio.sleep(0.01)
        assert (await asking.get("/other")).status_code == 404
        slow.set()
        assert [answer.status_code for answer in await asyncio.gather(*scrapes)] == [200, 200, 200]


async def test_it_has_limits_of_its_own(port: int, registry: CollectorRegistry) -> None:
    async with exposing(registry, "127.0.0.1", port), client(port) as asking:
        answer = await asking.get("/metrics", headers={"X-Large": "x" * (LIMITS.head_bytes + 1)})
    assert answer.status_code == 431


async def test_an_open_connection_does_not_hold_up_the_end(port: int, registry: CollectorRegistry) -> None:
    async with client(port) as asking:
        async with exposing(registry, "127.0.0.1", port):
            await asking.get("/metrics")
            begin = time.monotonic()
        assert time.monotonic() - begin < 1
        with pytest.raises(httpx2.TransportError):
            await asking.get("/metrics")


async def test_without_a_port_nothing_listens(registry: CollectorRegistry) -> None:
    async with exposing(registry, "127.0.0.1", None):
        pass


async def test_a_taken_port_is_named(registry: CollectorRegistry) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            async with exposing(registry, "127.0.0.1", port):
                pass
