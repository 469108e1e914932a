"""A container on Fargate: what it may write, who it is, how it is asked, how it ends."""

from __future__ import annotations

import asyncio
import http.server
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pulumi
import pytest

from app.gateway.self_signed import self_signed_context
from infra.aws.ecs_container import LONGEST_STOP_SECONDS, STARTS_WITHIN_SECONDS, Check, Container, Mount
from infra.kubernetes.names import SECRETS_DIRECTORY


async def definition(container: Container) -> dict[str, Any]:
    arns = {"api_key": "arn:secret:api_key", "other": "arn:secret:other"}
    described = container.definition("registry/image@sha256:1", "/assistant/prod/x", "eu-central-1", arns)
    text = await pulumi.Output.json_dumps(described).future()
    return dict(json.loads(text or ""))


def container(**changes: Any) -> Container:
    base: dict[str, Any] = {"name": "x", "command": ["python", "-m", "app.x"], "environment": {"A": "1"}, "stop_seconds": 80}
    return Container(**{**base, **changes})


def variables(found: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in found["environment"]}


async def test_it_is_nobody_of_importance_and_writes_to_memory_alone() -> None:
    found = await definition(container())
    assert found["user"] == "10001:10001"
    assert found["readonlyRootFilesystem"] is True
    assert "privileged" not in found
    assert found["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert [(it["containerPath"], it["size"]) for it in found["linuxParameters"]["tmpfs"]] == [("/tmp", 64)]
    assert all({"noexec", "nosuid", "nodev"} == set(it["mountOptions"]) for it in found["linuxParameters"]["tmpfs"])
    assert found["mountPoints"] == []
    assert "entryPoint" not in found


async def test_secrets_are_fetched_into_memory_before_the_command_and_stand_nowhere() -> None:
    found = await definition(container(secrets={"API_KEY": "api_key"}))
    assert found["command"][:3] == ["python", "-m", "app.aws.deliver"]
    assert found["command"][found["command"].index("--") + 1 :] == ["python", "-m", "app.x"]
    assert SECRETS_DIRECTORY in [it["containerPath"] for it in found["linuxParameters"]["tmpfs"]]
    said = variables(found)
    assert json.loads(said["SECRET_IDS"]) == {"api_key": "arn:secret:api_key"}  # of others it does not even know the name
    assert said["API_KEY_FILE"] == f"{SECRETS_DIRECTORY}/api_key"
    assert "API_KEY" not in said
    assert "secrets" not in found  # ECS would put them into the environment


async def test_a_container_without_secrets_fetches_none() -> None:
    found = await definition(container())
    assert found["command"] == ["python", "-m", "app.x"]
    assert set(variables(found)) == {"A", "AWS_REGION"}


def test_secrets_are_waited_for_shorter_than_the_check_waits_for_the_start() -> None:
    words = container(secrets={"API_KEY": "api_key"}).whole_command()
    assert 300 < int(words[words.index("--seconds") + 1]) < STARTS_WITHIN_SECONDS


async def test_logs_are_bounded_and_hold_nobody_up() -> None:
    options = (await definition(container()))["logConfiguration"]["options"]
    assert (options["mode"], options["max-buffer-size"]) == ("non-blocking", "4m")
    assert (options["awslogs-group"], options["awslogs-stream-prefix"]) == ("/assistant/prod/x", "x")


async def test_the_model_lies_on_the_task_s_disk() -> None:
    found = await definition(container(mounts=[Mount(volume="models", path="/models")]))
    assert found["mountPoints"] == [{"sourceVolume": "models", "containerPath": "/models", "readOnly": False}]


@pytest.mark.parametrize("seconds", [1, LONGEST_STOP_SECONDS + 1])
def test_more_time_to_end_than_fargate_gives_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="Fargate kills after 120"):
        container(stop_seconds=seconds)


@contextmanager
def answering(status: int, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def asked(check: Check) -> int:
    command = check.command()
    assert command[:2] == ["CMD", "python"]
    return subprocess.run([sys.executable, *command[2:]], stderr=subprocess.DEVNULL, check=False).returncode


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize(("status", "result"), [(200, 0), (503, 1)])
async def test_the_check_is_a_command_that_tells_well_from_unwell(encrypted: bool, status: int, result: int) -> None:
    with answering(status, self_signed_context() if encrypted else None) as port:
        assert await asyncio.to_thread(asked, Check(port=port, path="/healthz", tls=encrypted)) == result


def test_the_check_of_nobody_fails() -> None:
    assert asked(Check(port=1, path="/healthz")) != 0
