"""Redis refuses, hangs, restarts, is full or read-only: nothing is acknowledged that is not stored, nothing hangs, everything
that can do without it does and is counted, and all of it comes back by itself (docs/reliability.md)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import slack_workspace.emulator as slack
from fleet import API_KEY, Fleet, Model, until
from generic.emulator import Emulator
from generic.sender import send_event

SECRET = "whsec_" + base64.b64encode(b"canary-webhook-secret-0123456789").decode()
# Redis' time-out is 250 ms, and one command may need a connection and its handshake within it; the rest is a busy machine.
ANSWER_SECONDS = 2.0


@dataclass
class Scene:
    fleet: Fleet
    model: Model
    generic: Emulator
    redis: Any

    def send(self, name: str, number: int) -> httpx2.Response:
        text = f"What is number {number}?"
        return send_event(self.fleet.url, SECRET, text, event_id=name, conversation=name, timeout=ANSWER_SECONDS)

    def delivered(self, name: str) -> int:
        return sum(message["event"] == name for message in self.generic.messages)


@pytest.fixture
def scene(start: Callable[..., Fleet], private_redis: Any, model: Model) -> Iterator[Scene]:
    with Emulator(client_secret="canary-client", webhook_secret=SECRET) as generic:
        fleet = start(
            gateway={"GENERIC_WEBHOOK_SECRET": SECRET},
            worker={
                "GENERIC_URL": generic.url,
                "GENERIC_WEBHOOK_SECRET": SECRET,
                "GENERIC_CLIENT_SECRET": "canary-client",
            },
            workers=1,
        )
        yield Scene(fleet, model, generic, private_redis)


@dataclass(frozen=True)
class Fault:
    """``reads``: whether what only reads still works, and with it readiness."""

    begin: Callable[[Any], object]
    end: Callable[[Any], object]
    reads: bool


FAULTS = {
    "refuses": Fault(lambda redis: redis.kill(), lambda redis: redis.start(), reads=False),
    "hangs": Fault(lambda redis: redis.pause(), lambda redis: redis.resume(), reads=False),
    "full": Fault(
        lambda redis: redis.command("CONFIG", "SET", "maxmemory", "1"),
        lambda redis: redis.command("CONFIG", "SET", "maxmemory", "0"),
        reads=True,
    ),
    "read-only": Fault(
        lambda redis: redis.command("REPLICAOF", "127.0.0.1", "1"),
        lambda redis: redis.command("REPLICAOF", "NO", "ONE"),
        reads=True,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_without_redis_events_are_refused_questions_are_answered_and_all_comes_back(scene: Scene, name: str) -> None:
    fault, gateway, (worker,) = FAULTS[name], scene.fleet.gateway, scene.fleet.workers
    before = [member.process.pid for member in scene.fleet.members]
    fault.begin(scene.redis)

    for number in (1, 2):
        refused = scene.send(f"during{number}", number)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_unavailable")
        assert int(refused.headers["retry-after"]) >= 1
    assert gateway.alive
    assert worker.alive
    until(lambda: gateway.ready == fault.reads)  # what it said last is remembered for a second

    # A question needs no Redis: the cache is passed by, which is counted.
    asked = scene.fleet.api("POST", "/api/v1/answer", json={"question": "What is number 3?"})
    assert (asked.status_code, asked.json()["answer"]) == (200, "This is the answer to 3.")
    assert gateway.metric("assistant_answer_cache_failures_total")
    assert gateway.metric("assistant_answer_cache_total", source="unavailable") == 1
    assert gateway.metric("assistant_http_request_duration_seconds_count", status="503", route="/events") == 2
    until(lambda: gateway.metric("assistant_queue_up") == fault.reads)

    # Whoever looks after it is told so too, in time.
    letters = scene.fleet.api("GET", "/api/v1/admin/dead-letters")
    assert letters.status_code == (200 if fault.reads else 503)
    assert "retry-after" in letters.headers or fault.reads

    fault.end(scene.redis)
    until(lambda: gateway.ready and worker.ready)
    until(lambda: scene.send("during1", 1).status_code == 200)  # as the platform does
    until(lambda: scene.delivered("during1") == 1)
    assert scene.delivered("during2") == 0  # it was refused, and never came again
    assert [member.process.pid for member in scene.fleet.members] == before
    assert all(member.process.poll() is None for member in scene.fleet.members)
    until(lambda: gateway.metric("assistant_queue_up") == 1)


@pytest.mark.parametrize("forget", [False, True], ids=["restarts", "forgets its scripts"])
def test_what_was_accepted_before_redis_restarts_is_answered_once(scene: Scene, forget: bool) -> None:
    scene.model.delay = 0.5
    names = [f"before{number}" for number in range(8)]
    assert [scene.send(name, number).json()["status"] for number, name in enumerate(names)] == ["accepted"] * 8
    if forget:
        scene.redis.command("SCRIPT", "FLUSH")
    else:
        scene.redis.restart()
    until(lambda: all(scene.delivered(name) == 1 for name in names))
    until(lambda: all(scene.fleet.state(f"generic:default:{name}") == "done" for name in names))
    assert scene.send(names[0], 0).json()["status"] == "duplicate"
    assert scene.generic.repeated == []


def test_a_full_redis_is_drained_and_what_cannot_be_kept_is_counted(
    start: Callable[..., Fleet], private_redis: Any, model: Model, tmp_path: Path
) -> None:
    """What waits is answered though nothing new can be stored: not paced, not counted for the quota, without a memory of the
    conversation, and with audit records whose head is moved later."""
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text('- name: default\n  teams: ["*"]\n  quota:\n    messagesPerMinute: 1000\n')
    with slack.Emulator(pace=0.01) as emulator:
        fleet = start(
            shared={
                "SLACK_API_URL": emulator.api_url,
                "TENANTS_FILE": str(tenants),
                "AUDIT_DIRECTORY": str(tmp_path / "audit"),
            },
            gateway={"SLACK_SIGNING_SECRET": slack.SIGNING_SECRET},
            worker={"SLACK_BOT_TOKEN": slack.BOT_TOKEN},
            workers=1,
        )
        (worker,) = fleet.workers
        emulator.delivery.request_url = f"{fleet.url}/events/slack"
        worker.pause()
        stamps = [
            emulator.write(f"What is number {number}?", channel=channel) for number, channel in enumerate(("D0ADA", "D0BEN"))
        ]
        stamps.append(emulator.write("@assistant 创建一个周会的日程在2026-12-01", channel="C0GENERAL"))
        assert emulator.wait_for(lambda it: sum(attempt.taken for attempt in it.attempts) == 3)
        private_redis.command("CONFIG", "SET", "maxmemory", "1")
        worker.resume()
        assert emulator.wait_for(lambda it: len(it.answers) == 4, 30), emulator.record()  # the task: a text and a file
        until(lambda: fleet.gateway.metric("assistant_queue_backlog") == 0)
        assert worker.metric("assistant_messages_total", outcome="done") == 3
        assert worker.metric("assistant_unpaced_total")
        assert worker.metric("assistant_quota_uncounted_total") == 3
        assert worker.metric("assistant_context_failures_total", step="remember") == 2
        assert worker.metric("assistant_answer_cache_failures_total")
        assert worker.metric("assistant_audit_unanchored")

        private_redis.command("CONFIG", "SET", "maxmemory", "0")
        until(lambda: worker.metric("assistant_audit_unanchored") == 0)
        emulator.write("What is number 9?", channel="D0ADA")
        assert emulator.wait_for(lambda it: len(it.answers) == 5, 30)
        assert worker.metric("assistant_quota_uncounted_total") == 3
        assert emulator.doubles == []


def test_the_key_of_a_stranger_opens_nothing_while_redis_is_away(scene: Scene) -> None:
    scene.redis.kill()
    for path in ("/api/v1/admin/dead-letters", "/api/v1/events/generic:default:x"):
        answer = httpx2.get(f"{scene.fleet.url}{path}", headers={"Authorization": f"Bearer {API_KEY}x"}, timeout=ANSWER_SECONDS)
        assert answer.status_code == 401
    unsigned = httpx2.post(f"{scene.fleet.url}/events", content=b"{}", timeout=ANSWER_SECONDS)
    assert unsigned.status_code == 401
