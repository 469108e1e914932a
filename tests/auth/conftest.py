"""A token endpoint and Redis, for what shares tokens."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from app.http.outbound import client_for
from tests.auth.token_processes import Processes
from tests.auth.token_server import TokenServer


@pytest.fixture
def server() -> Iterator[TokenServer]:
    running = TokenServer()
    yield running
    running.stop()


@contextlib.asynccontextmanager
async def processes_over(redis: Any, server: TokenServer) -> AsyncIterator[Processes]:
    async with client_for(server.url) as client:
        made = Processes(redis, server, client)
        yield made
        for connection in made.connections:
            await connection.close()


@pytest.fixture
async def processes(redis_server: Any, server: TokenServer) -> AsyncIterator[Processes]:
    redis_server.command("FLUSHALL")
    async with processes_over(redis_server, server) as made:
        yield made


@pytest.fixture
async def fragile(private_redis: Any, server: TokenServer) -> AsyncIterator[Processes]:
    """Over a Redis that may be paused and killed."""
    async with processes_over(private_redis, server) as made:
        yield made
