"""A state lies in Redis once, sealed, for ten minutes; alone and in cluster mode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.auth.installation import STARTS_A_MINUTE, InstallationStates, Pending
from app.auth.vault import Vault
from app.pipeline.redis_client import RedisClient, connect
from app.platforms.secret_set import SecretSet
from app.settings import RedisSettings

PENDING = Pending("slack", "digest-of-the-browser", "verifier")


@pytest.fixture(params=["single", "cluster"])
async def redis_client(request: pytest.FixtureRequest) -> AsyncIterator[RedisClient]:
    server: Any = request.getfixturevalue("redis_server" if request.param == "single" else "cluster_redis")
    server.command("FLUSHALL")
    settings = RedisSettings(
        redis_url=server.url,
        redis_password=server.password,
        redis_timeout_seconds=10,
        redis_cluster=request.param == "cluster",
    )
    client = connect(settings)
    yield client
    await client.close()


async def test_a_state_is_taken_once(redis_client: RedisClient) -> None:
    states = InstallationStates(redis_client, Vault(SecretSet(bytes(32))))
    assert await states.keep("state", PENDING)
    assert await states.take("another") is None
    assert await states.take("state") == PENDING
    assert await states.take("state") is None


async def test_beginnings_are_counted_within_a_minute(redis_client: RedisClient) -> None:
    states = InstallationStates(redis_client, Vault(SecretSet(bytes(32))))
    assert [await states.keep(f"state-{number}", PENDING) for number in range(STARTS_A_MINUTE)] == [True] * STARTS_A_MINUTE
    assert not await states.keep("one-more", PENDING)
    assert await states.take("one-more") is None
    assert 0 < int(await redis_client.command("PTTL", "{assistant}:oauth:starts")) <= 60_000


async def test_a_state_that_another_key_sealed_is_unknown(redis_client: RedisClient) -> None:
    await InstallationStates(redis_client, Vault(SecretSet(bytes(32)))).keep("state", PENDING)
    assert await InstallationStates(redis_client, Vault(SecretSet(b"\x01" * 32))).take("state") is None


async def test_the_repr_of_what_lies_under_a_state_shows_no_verifier() -> None:
    assert "verifier'" not in repr(PENDING)
