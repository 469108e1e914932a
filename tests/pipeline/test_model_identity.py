"""Which model answers, asked of a real HTTP service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from app.pipeline.model_identity import IDLE_SECONDS, KEPT_SECONDS, ModelIdentity

PATIENT_SECONDS = 20


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def identity() -> AsyncIterator[Callable[..., ModelIdentity]]:
    made: list[ModelIdentity] = []
    async with httpx2.AsyncClient() as client:

        def make(url: str, **more: Any) -> ModelIdentity:
            made.append(ModelIdentity(client, url, **({"wait_seconds": PATIENT_SECONDS} | more)))
            return made[-1]

        yield make
        for each in made:
            await each.aclose()


async def until(identity: ModelIdentity, digest: str | None) -> None:
    async with asyncio.timeout(PATIENT_SECONDS):
        while await identity.digest() != digest:  # noqa: ASYNC110 (another server's state)
            await asyncio.sleep(0.01)


async def test_the_first_who_asks_waits_for_the_digest_and_the_service_is_asked_once(identity: Any, model_server: Any) -> None:
    known = identity(model_server.url)
    assert await asyncio.gather(*(known.digest() for _ in range(20))) == ["a" * 64] * 20
    assert model_server.probes == 1


async def test_another_model_is_noticed_while_in_use(identity: Any, model_server: Any) -> None:
    known = identity(model_server.url, refresh_seconds=0.05)
    assert await known.digest() == "a" * 64
    model_server.digest = "b" * 64
    await until(known, "b" * 64)


async def test_an_answers_own_digest_is_news_at_once(identity: Any, model_server: Any) -> None:
    known = identity(model_server.url)
    await known.digest()
    known.learned("b" * 64)
    assert await known.digest() == "b" * 64
    known.learned(None)
    assert await known.digest() == "b" * 64


async def test_a_service_that_answers_without_a_digest_is_an_unknown_model(identity: Any, model_server: Any) -> None:
    known = identity(model_server.url, refresh_seconds=0.05)
    assert await known.digest() == "a" * 64
    model_server.digest = None
    await until(known, None)


@pytest.mark.parametrize("digest", [5, "", "a b", "a" * 129, ["a"]])
async def test_what_cannot_be_a_digest_is_none(identity: Any, model_server: Any, digest: object) -> None:
    model_server.digest = digest
    assert await identity(model_server.url).digest() is None


async def test_a_service_that_is_away_keeps_its_last_digest_for_a_minute(identity: Any, free_port: int) -> None:
    clock = Clock()
    known = identity(f"http://127.0.0.1:{free_port}", clock=clock)
    assert await known.digest() is None
    known.learned("a" * 64)
    clock.now += KEPT_SECONDS
    assert await known.digest() == "a" * 64
    clock.now += 1
    assert await known.digest() is None


async def test_a_service_that_hangs_holds_nobody_up_for_long(identity: Any) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        known = identity(f"http://127.0.0.1:{port}", refresh_seconds=60, wait_seconds=0.05)
        assert await known.digest() is None
        await known.aclose()


async def test_a_service_that_nobody_uses_is_left_alone_until_the_next_use(identity: Any, model_server: Any) -> None:
    clock = Clock()
    known = identity(model_server.url, refresh_seconds=0.01, clock=clock)
    await known.digest()
    clock.now += IDLE_SECONDS + 1
    async with asyncio.timeout(PATIENT_SECONDS):
        await asyncio.wait({known._following})
    model_server.digest, probes = "b" * 64, model_server.probes
    assert await known.digest() == "b" * 64
    assert model_server.probes > probes
