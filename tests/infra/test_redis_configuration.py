"""Redis as the local stack runs it: a real server under a real supervisord."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from infra.local.health import Check
from infra.local.layout import SUPERVISOR
from infra.local.process import ProcessProvider
from infra.local.processes import owned_by
from infra.local.supervisor import SupervisorProvider
from infra.redis_configuration import ACCESS_FILE, CONFIGURATION_FILE, access_text, configuration_text
from tools.redis import MissingRedisError, find_redis_server

PASSWORD = "canary-password"
process, supervisor = ProcessProvider(), SupervisorProvider()


@pytest.fixture
def properties(stack: Any, free_port: Callable[[], int], tmp_path: Path) -> dict[str, Any]:
    try:
        server = find_redis_server()
    except MissingRedisError as error:
        pytest.skip(str(error))
    (tmp_path / "password").write_text(PASSWORD)
    port, directory = free_port(), stack.layout.data("redis")
    return {
        "stateDirectory": str(stack.root),
        "process": "redis",
        "command": [str(server), str(directory / CONFIGURATION_FILE)],
        "environment": {"PATH": "/usr/bin:/bin"},
        "check": Check(kind="redis", port=port, file=str(tmp_path / "password")).as_input(),
        "configurationFiles": {
            CONFIGURATION_FILE: configuration_text(port=port, directory=directory),
            ACCESS_FILE: access_text(hashlib.sha256(PASSWORD.encode()).hexdigest()),
        },
        "digests": {},
        "stopSeconds": 10,
    }


@pytest.fixture
def created(stack: Any, properties: dict[str, Any]) -> dict[str, Any]:
    supervisor.create({"stateDirectory": str(stack.root), "version": "any"})
    return process.create(properties).outs or {}


def client(properties: dict[str, Any], password: str | None = PASSWORD) -> redis.Redis:
    once = Retry(NoBackoff(), 0)
    return redis.Redis(port=int(properties["check"]["port"]), password=password, decode_responses=True, retry=once)


def test_it_keeps_every_write_evicts_nothing_and_listens_on_loopback_alone(
    created: dict[str, Any], properties: dict[str, Any]
) -> None:
    with client(properties) as connection:
        for name, value in (
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("maxmemory-policy", "noeviction"),
            ("maxmemory", str(2**30)),
        ):
            assert connection.config_get(name) == {name: value}
        (own,) = [int(connection.info("server")["process_id"])]
    listening = {c.laddr.ip for c in psutil.Process(own).net_connections() if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("password", [None, "wrong"])
def test_without_the_password_nothing_is_answered(
    created: dict[str, Any], properties: dict[str, Any], password: str | None
) -> None:
    with client(properties, password) as connection, pytest.raises(redis.AuthenticationError):
        connection.ping()


def test_the_password_stands_in_no_file_of_its_directory_in_no_argument_and_not_in_the_state(
    created: dict[str, Any], properties: dict[str, Any], stack: Any
) -> None:
    for file in stack.root.rglob("*"):
        if file.is_file():
            assert PASSWORD.encode() not in file.read_bytes(), file
    (owned,) = owned_by(stack.root, "redis")  # found by its marker, which Redis would overwrite with its title
    assert PASSWORD not in " ".join(psutil.Process(owned.pid).cmdline())
    assert PASSWORD not in json.dumps(created)


def test_a_killed_server_comes_back_with_its_data_and_delete_removes_it(
    created: dict[str, Any], properties: dict[str, Any], stack: Any
) -> None:
    with client(properties) as connection:
        connection.set("event", "acknowledged")
    (owned,) = owned_by(stack.root, "redis")
    psutil.Process(owned.pid).kill()
    assert (process.read("redis", created).outs or {})["status"] == "running"
    with client(properties) as connection:
        assert connection.get("event") == "acknowledged"
    process.delete("redis", created)
    assert not stack.layout.data("redis").exists()
    supervisor.delete(SUPERVISOR, {"stateDirectory": str(stack.root), "version": "any"})
    assert not stack.root.exists()


def test_a_path_with_blanks_and_quotes_is_written_as_one_word() -> None:
    assert r'dir "/a b/\"c\""' in configuration_text(port=1, directory=Path('/a b/"c"'))
