"""The operator's command, as it is run beside a worker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis_async

from app.pipeline.event import Event
from app.pipeline.queue import QueuePolicy, State
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.settings import RedisSettings


class Operator:
    def __init__(self, server: Any, folder: Path) -> None:
        secret = folder / "password"
        secret.write_text(server.password)
        self._environment = {
            "PATH": os.environ["PATH"],
            "REDIS_URL": server.url,
            "REDIS_PASSWORD_FILE": str(secret),
            "REDIS_TIMEOUT_SECONDS": "5",
            "AUDIT_DIRECTORY": str(folder / "audit"),
        }
        self._audit = folder / "audit"

    @property
    def audited(self) -> list[tuple[str, str, str]]:
        """Action, subject and outcome of what was done, without the processes' own records."""
        lines = [line for file in self._audit.iterdir() for line in file.read_text().splitlines()]
        records = sorted((json.loads(line) for line in lines), key=lambda record: record["at"])
        return [(one["action"], one["subject"], one["outcome"]) for one in records if one["actor"].startswith("shell:")]

    async def run(self, *arguments: str, **environment: str) -> tuple[int, list[dict[str, Any]], str]:
        def act() -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "app.pipeline.aside", *arguments]
            variables = {**self._environment, **environment}
            return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)

        done = await asyncio.to_thread(act)
        assert "Traceback" not in done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture
def operator(redis_server: Any, tmp_path: Path) -> Operator:
    return Operator(redis_server, tmp_path)


@pytest.fixture
async def store(redis: redis_async.Redis, redis_server: Any) -> Any:
    client = connect(RedisSettings(redis_url=redis_server.url, redis_password=redis_server.password, redis_timeout_seconds=10))
    yield RedisQueue(client, QueuePolicy(max_attempts=3))
    await client.close()


@pytest.fixture
async def aside(store: RedisQueue, make_event: Any) -> tuple[Event, Event]:
    """One dead, one unknown, and one that is neither."""
    for number in range(3):
        await store.deliver(make_event(f"事件 {number}", conversation=f"room {number}", text="canary-text"))
    dead, unknown = await store.lease("worker"), await store.lease("worker")
    assert dead is not None
    assert unknown is not None
    await store.dead_letter(dead, "no platform is set up")
    await asyncio.sleep(0.002)
    await store.park(unknown, "the answer was lost")
    return dead.event, unknown.event


async def test_what_is_set_aside_is_listed_oldest_first_and_without_its_text(
    operator: Operator, aside: tuple[Event, Event]
) -> None:
    status, lines, _ = await operator.run("list")
    assert status == 0
    shown = [(line["event"], line["state"], line["reason"], line["attempts"]) for line in lines]
    assert shown == [
        (aside[0].key, "dead", "no platform is set up", 1),
        (aside[1].key, "unknown", "the answer was lost", 1),
    ]
    assert lines[0]["at"].endswith("+00:00")
    assert "canary" not in json.dumps(lines)
    assert [line["event"] for line in (await operator.run("list", "--state", "unknown"))[1]] == [aside[1].key]
    assert operator.audited == [("event.read_aside", "", "done")] * 2


async def test_replayed_events_are_queued_again_and_discarded_ones_are_gone(
    operator: Operator, aside: tuple[Event, Event], store: RedisQueue
) -> None:
    assert await operator.run("replay", aside[0].key) == (0, [{"event": aside[0].key, "done": True}], "")
    assert await operator.run("discard", aside[1].key) == (0, [{"event": aside[1].key, "done": True}], "")
    trace = await store.trace(aside[0].key)
    assert trace is not None
    assert (trace.state, trace.attempts) == (State.QUEUED, 0)
    assert operator.audited == [
        ("event.replayed", aside[0].key, "begun"),
        ("event.replayed", aside[0].key, "done"),
        ("event.discarded", aside[1].key, "begun"),
        ("event.discarded", aside[1].key, "done"),
    ]
    assert (await operator.run("list"))[1] == []


async def test_without_an_audit_record_nothing_is_shown_or_done(
    operator: Operator, aside: tuple[Event, Event], store: RedisQueue, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (["list"], ["discard", aside[0].key]):
        status, lines, error = await operator.run(*arguments, AUDIT_DIRECTORY=str(tmp_path / "file"))
        assert (status, lines) == (1, [])
        assert "nothing is shown or done without an audit record: the audit log cannot be written: " in error
    assert len(await store.set_aside()) == 2


async def test_without_a_folder_the_records_stand_beside_the_list_not_in_it(
    operator: Operator, aside: tuple[Event, Event], tmp_path: Path
) -> None:
    del operator._environment["AUDIT_DIRECTORY"]
    _, lines, error = await operator.run("list")
    assert len(lines) == 2
    records = [json.loads(line) for line in error.splitlines()]
    assert [record["action"] for record in records] == ["process.started", "event.read_aside", "process.stopped"]


async def test_what_is_not_set_aside_is_told_and_the_others_are_settled(
    operator: Operator, aside: tuple[Event, Event], store: RedisQueue
) -> None:
    status, lines, error = await operator.run("replay", "generic:default:nothing", aside[0].key)
    assert (status, [line["done"] for line in lines]) == (1, [False, True])
    assert "generic:default:nothing: not set aside" in error


async def test_a_redis_that_is_away_and_wrong_settings_are_one_line(operator: Operator, free_port: int) -> None:
    status, lines, error = await operator.run("list", REDIS_URL=f"redis://127.0.0.1:{free_port}/0")
    assert (status, lines) == (1, [])
    assert error.startswith("the queue is away: Redis is not reachable")
    status, lines, error = await operator.run("list", REDIS_URL="http://redis")
    assert (status, lines) == (2, [])
    assert "REDIS_URL=http://redis" in error
