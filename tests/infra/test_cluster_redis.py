"""Redis as a pod runs it: the real server with the rendered configuration and access file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from infra.generated.values import digest
from infra.kubernetes.redis import PROBE_ACCESS, PROBE_USER, configuration
from infra.redis_configuration import access_text
from tools.redis import MissingRedisError, find_redis_server

PASSWORD = "canary-password"


@pytest.fixture
def server(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[int]:
    """Its port. Only port and paths are other ones than in the pod."""
    try:
        binary = find_redis_server()
    except MissingRedisError as error:
        pytest.skip(str(error))
    port = free_port()
    (tmp_path / "users.acl").write_text(access_text(digest(PASSWORD)) + PROBE_ACCESS)
    text = configuration("256Mi").replace("port 6379", f"port {port}").replace("/data", str(tmp_path))
    (tmp_path / "redis.conf").write_text(text.replace("/run/secrets/assistant", str(tmp_path)))
    process = subprocess.Popen([binary, tmp_path / "redis.conf"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "Ready to accept connections" in line:
            break
    else:
        pytest.fail("redis-server did not start")
    yield port
    process.terminate()
    assert process.wait(timeout=10) == 0


def client(port: int, **given: Any) -> redis.Redis:
    return redis.Redis(port=port, retry=Retry(NoBackoff(), 0), decode_responses=True, **given)


def test_the_password_opens_it_and_nothing_else_does(server: int) -> None:
    assert client(server, password=PASSWORD).config_get("maxmemory") == {"maxmemory": str(128 * 2**20)}
    with pytest.raises(redis.AuthenticationError):
        client(server).ping()


def test_the_probe_may_ask_whether_it_lives_and_nothing_more(server: int) -> None:
    probe = client(server, username=PROBE_USER, password="none")
    assert probe.ping() is True
    for forbidden in (lambda: probe.get("x"), lambda: probe.config_get("*"), lambda: probe.publish("c", "m")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            forbidden()
