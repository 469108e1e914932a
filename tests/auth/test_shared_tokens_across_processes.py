"""One request of the platform, whoever asks: two real processes, a real Redis (alone, and in cluster mode)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.auth.token_store import TokenStore
from app.auth.vault import Vault
from app.pipeline.redis_client import connect
from app.platforms.secret_set import SecretSet
from app.settings import RedisSettings
from tests.auth.token_processes import FIRST, KEY, PATIENT_SECONDS, SLOTS
from tests.auth.token_server import FEISHU_PATH, SLACK_PATH, TokenServer

Ask = Callable[..., list[str]]


@pytest.fixture
def ask(server: TokenServer) -> Ask:
    def run(platform: str, redis: Any, *, cluster: bool) -> list[str]:
        """The different tokens that two processes got, which asked at the same time."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "REDIS_URL": redis.url,
            "REDIS_PASSWORD": redis.password,
            "REDIS_CLUSTER": str(cluster).lower(),
            "REDIS_TIMEOUT_SECONDS": "5",
        }
        url = server.url + (FEISHU_PATH if platform == "feishu" else SLACK_PATH)
        command = [sys.executable, str(Path(__file__).with_name("token_process.py")), platform, url]
        started = [
            subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for process in started:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [token for process in started for token in json.loads(process.communicate(timeout=60)[0].splitlines()[-1])]

    return run


async def install_expired(redis: Any, *, cluster: bool) -> None:
    settings = RedisSettings(
        redis_url=redis.url, redis_password=redis.password, redis_timeout_seconds=PATIENT_SECONDS, redis_cluster=cluster
    )
    client = connect(settings)
    await TokenStore(client, Vault(SecretSet(KEY))).install("slack", "T1", FIRST, 7200)
    await client.close()
    for name in ("renew_at", "expires_at"):
        redis.command("HSET", SLOTS["slack"], name, "1")


@pytest.mark.parametrize("mode", ["single", "cluster"])
async def test_an_expired_token_is_refreshed_once_across_two_processes(
    request: pytest.FixtureRequest, server: TokenServer, ask: Ask, mode: str
) -> None:
    redis = request.getfixturevalue("private_redis" if mode == "single" else "cluster_redis")
    await install_expired(redis, cluster=mode == "cluster")
    server.delay = 0.5
    assert await asyncio.to_thread(ask, "slack", redis, cluster=mode == "cluster") == ["xoxe.xoxb-1"] * 2
    assert server.requests == 1


async def test_a_first_token_is_fetched_once_across_two_processes(private_redis: Any, server: TokenServer, ask: Ask) -> None:
    server.delay = 0.5
    assert await asyncio.to_thread(ask, "feishu", private_redis, cluster=False) == ["t-1"] * 2
    assert server.requests == 1
