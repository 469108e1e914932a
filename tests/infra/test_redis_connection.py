"""How Redis is reached: the stack's own, the user's, a cloud's."""

from __future__ import annotations

from typing import Any

import pytest
from assistant_rendering import on_aws
from rendering import environment, settings_of

from infra.kubernetes.peers import PRIVATE_NETWORK, PUBLIC, Addresses
from infra.kubernetes.redis_connection import RedisConnection, redis_of


@pytest.mark.parametrize(
    ("redis", "expected"),
    [
        ({}, RedisConnection(url="redis://redis:6379/0")),
        (
            {"url": "redis://10.20.30.40:6380/3"},
            RedisConnection(url="redis://10.20.30.40:6380/3", password=False, peers=(Addresses("10.20.30.40/32"),), port=6380),
        ),
        (
            {"url": "rediss://store.example.com", "passwordSecret": "mine", "cluster": True},
            RedisConnection(url="rediss://store.example.com/0", cluster=True, peers=(*PUBLIC, *PRIVATE_NETWORK)),
        ),
    ],
)
def test_settings_say_how_it_is_reached(redis: dict[str, Any], expected: RedisConnection) -> None:
    assert redis_of(settings_of({"redis": redis})) == expected


async def test_gateway_and_worker_are_told_of_a_clouds_and_no_server_is_run() -> None:
    rendered = await on_aws()
    assert not rendered.kinds("StatefulSet")
    for part in ("gateway", "worker"):
        found = environment(rendered.pods()[part])
        assert found["REDIS_URL"] == "rediss://clustercfg.prod.memorydb.eu-central-1.amazonaws.com:6379/0"
        assert found["REDIS_CLUSTER"] == "true"
        assert found["REDIS_USERNAME"] == "assistant"
        assert found["REDIS_PASSWORD_FILE"].endswith("/redis_password")
    assert not [name for name in environment(rendered.pods()["inference"]) if name.startswith("REDIS")]


async def test_a_redis_without_password_or_user_leaves_them_out() -> None:
    rendered = await on_aws(redis=RedisConnection(url="redis://10.0.0.1:6379/0", password=False))
    for part in ("gateway", "worker"):
        names = {name for name in environment(rendered.pods()[part]) if name.startswith("REDIS")}
        assert names == {"REDIS_URL"}
        assert "redis_password" not in repr(rendered.pods()[part])
