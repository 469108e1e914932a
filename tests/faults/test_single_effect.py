"""One effect for one message: however often it comes, however long it takes, and whatever becomes of who works on it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import slack_workspace.emulator as slack
from fleet import Fleet, Member, Model, until
from generic.emulator import Emulator
from generic.sender import event_body, send_event, signed_headers
from slack_workspace.delivery import signed_headers as slack_headers

SECRET = "whsec_" + base64.b64encode(b"canary-webhook-secret-0123456789").decode()
HELD_BY = re.compile(r"attempt \d+ by [^ ]*:(\d+):[0-9a-f]+")


@dataclass
class Scene:
    fleet: Fleet
    model: Model
    generic: Emulator
    slack: slack.Emulator

    def holder(self, key: str) -> Member:
        """The worker that has the event's last lease."""
        pids = [match[1] for _, detail in self.fleet.timeline(key) if (match := HELD_BY.search(detail))]
        return next(worker for worker in self.fleet.workers if str(worker.process.pid) == pids[-1])

    def stages(self, key: str) -> list[str]:
        return [stage for stage, _ in self.fleet.timeline(key)]

    def bring(self, number: int, conversation: str) -> str:
        """A question by the generic platform, taken; its event's key."""
        text = f"What is number {number}?"
        answer = send_event(self.fleet.url, SECRET, text, event_id=f"e{number}", conversation=conversation)
        assert answer.json()["status"] == "accepted", answer.text
        return f"generic:default:e{number}"

    def say(self, number: int) -> str:
        """A question in Slack, each in a thread of its own; its event's key."""
        stamp = self.slack.write(f"@assistant What is number {number}?", channel="C0GENERAL")
        return f"slack:T0ACME:C0GENERAL:{stamp}"

    def heard(self, number: int) -> int:
        """How many answers to it arrived in Slack."""
        return sum(f"answer to {number}." in message["text"] for message in self.slack.answers)

    def delivered(self) -> Counter[str]:
        return Counter(message["event"] for message in self.generic.messages)


@pytest.fixture(scope="module")
def running(redis_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    redis_server.command("FLUSHALL")
    model = Model()
    with (
        Emulator(client_secret="canary-client", webhook_secret=SECRET) as generic,
        slack.Emulator(pace=0.01, subscribed=("app_mention",)) as workspace,
    ):
        fleet = Fleet(
            redis_server,
            model,
            tmp_path_factory.mktemp("assistant"),
            shared={"SLACK_API_URL": workspace.api_url, "DRAIN_SECONDS": "30"},
            gateway={"GENERIC_WEBHOOK_SECRET": SECRET, "SLACK_SIGNING_SECRET": slack.SIGNING_SECRET},
            worker={
                "GENERIC_URL": generic.url,
                "GENERIC_WEBHOOK_SECRET": SECRET,
                "GENERIC_CLIENT_SECRET": "canary-client",
                "SLACK_BOT_TOKEN": slack.BOT_TOKEN,
                "WORKER_CONCURRENCY": "25",
            },
        )
        workspace.delivery.request_url = f"{fleet.url}/events/slack"
        workspace.workspace.channels["C0GENERAL"].seconds_apart = 0.0
        try:
            fleet.wait_ready()
            yield Scene(fleet, model, generic, workspace)
        finally:
            fleet.close()
            model.close()


@pytest.fixture
def scene(running: Scene) -> Iterator[Scene]:
    yield running
    running.model.delay = 0.0
    running.generic.heal()
    running.slack.heal()
    for member in running.fleet.members:
        if member.process.poll() is not None:
            member.start()
        member.resume()
    running.fleet.wait_ready()


async def at_once(url: str, requests: list[tuple[bytes, dict[str, str]]]) -> Counter[str]:
    """What the gateway said to each of them, sent in one moment."""
    async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None), timeout=30) as client:
        answers = await asyncio.gather(*(client.post(url, content=body, headers=headers) for body, headers in requests))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers][:3]
    return Counter(answer.json()["status"] for answer in answers)


async def test_the_same_message_100_times_at_once_is_answered_once(scene: Scene) -> None:
    body = event_body("What is number 100?", event_id="hundred", conversation="hundred")
    said = await at_once(f"{scene.fleet.url}/events", [(body, signed_headers(SECRET, "hundred", body))] * 100)
    assert said == {"accepted": 1, "duplicate": 99}
    await asyncio.to_thread(until, lambda: scene.fleet.state("generic:default:hundred") == "done")
    assert scene.delivered()["hundred"] == 1
    assert scene.model.asked.count(100) == 1


async def test_one_slack_message_in_100_events_at_once_is_answered_once(scene: Scene) -> None:
    """Slack numbers its events anew each time; what is said is told by channel and time stamp."""
    said_at = "1700000000.000100"
    message = {
        "type": "app_mention",
        "channel": "C0GENERAL",
        "user": "U0ADA",
        "text": "<@U0BOT> What is number 101?",
        "ts": said_at,
        "event_ts": said_at,
        "team": "T0ACME",
    }
    bodies = [json.dumps(scene.slack.envelope(message)).encode() for _ in range(100)]
    scene.slack.workspace.messages.append({**message, "type": "message"})
    url = f"{scene.fleet.url}/events/slack"
    said = await at_once(url, [(body, slack_headers(slack.SIGNING_SECRET, body)) for body in bodies])
    assert said == {"accepted": 1, "duplicate": 99}
    await asyncio.to_thread(until, lambda: scene.fleet.state(f"slack:T0ACME:C0GENERAL:{said_at}") == "done")
    assert scene.heard(101) == 1


def test_work_that_takes_longer_than_its_lease_keeps_it(scene: Scene) -> None:
    scene.model.delay = 5.0  # the lease is 2 s, and another worker looks for expired ones
    key = scene.bring(110, "long")
    until(lambda: scene.fleet.state(key) == "done")
    assert scene.stages(key).count("leased") == 1
    assert scene.delivered()["e110"] == 1


def test_killed_after_the_effect_the_platform_is_asked_again_under_the_same_key(scene: Scene) -> None:
    scene.generic.fail("/messages", "slow", seconds=3, after_effect=True)
    key = scene.bring(120, "killed")
    assert scene.generic.wait_for(lambda it: any(message["event"] == "e120" for message in it.messages))
    scene.holder(key).kill()
    until(lambda: scene.fleet.state(key) == "done")
    assert scene.delivered()["e120"] == 1
    assert len(scene.generic.repeated) == 1


def test_killed_after_the_effect_without_a_key_the_outcome_is_unknown_until_slack_says_it_is_there(scene: Scene) -> None:
    scene.slack.fail("chat.postMessage", "slow", seconds=3, after_effect=True)
    key = scene.say(130)
    assert scene.slack.wait_for(lambda _: scene.heard(130) == 1)
    scene.holder(key).kill()
    until(lambda: scene.fleet.state(key) == "unknown")
    until(lambda: scene.fleet.state(key) == "done")
    assert ("sent", "found on the platform") in scene.fleet.timeline(key)
    assert scene.heard(130) == 1


def test_a_worker_that_is_stopped_while_its_message_is_on_its_way_wakes_late_and_is_fenced_off(scene: Scene) -> None:
    """Slack takes the message only after the lease has expired and the event is unknown; the worker wakes after that."""
    scene.slack.fail("chat.postMessage", "slow", seconds=5)
    key = scene.say(140)
    until(lambda: "intent" in scene.stages(key))
    sleeper = scene.holder(key)
    sleeper.pause()
    until(lambda: scene.fleet.state(key) == "unknown")
    assert scene.heard(140) == 0
    assert scene.slack.wait_for(lambda _: scene.heard(140) == 1)
    sleeper.resume()
    until(lambda: "lease lost" in sleeper.log.read_text() or "no longer held" in sleeper.log.read_text())
    until(lambda: scene.fleet.state(key) == "done")
    assert scene.heard(140) == 1
    stages = scene.stages(key)
    assert stages.index("unknown") < stages.index("sent")  # not by the late worker, but because Slack was asked


def test_what_never_arrived_waits_for_a_person_and_a_replay_sends_it_once(scene: Scene) -> None:
    workers = scene.fleet.workers

    def asked() -> float:
        values = [worker.metric("assistant_outcomes_asked_total", platform="slack", answer="missing") for worker in workers]
        return sum(value or 0.0 for value in values)

    before = asked()
    scene.slack.fail("chat.postMessage", "reset")
    key = scene.say(150)
    until(lambda: scene.fleet.state(key) == "unknown")
    until(lambda: asked() == before + 1)
    assert (scene.fleet.state(key), scene.heard(150)) == ("unknown", 0)
    until(lambda: scene.fleet.gateway.metric("assistant_queue_unknown") == 1)
    answer = scene.fleet.api("POST", f"/api/v1/admin/dead-letters/{key}/replay").json()
    assert (answer["was"], "twice" in answer["warning"]) == ("unknown", True)
    until(lambda: scene.fleet.state(key) == "done")
    assert scene.heard(150) == 1


def test_sigterm_while_20_events_are_in_flight_loses_none_and_breaks_none_off(scene: Scene) -> None:
    scene.model.delay = 2.0
    keys = [scene.bring(number, f"term{number}") for number in range(200, 220)]
    until(lambda: all(number in scene.model.asked for number in range(200, 220)))
    leaver = next(worker for worker in scene.fleet.workers if scene.holder(keys[0]) is worker)
    leaver.process.send_signal(signal.SIGTERM)
    assert leaver.process.wait(30) == 0
    until(lambda: all(scene.fleet.state(key) == "done" for key in keys))
    assert {scene.delivered()[f"e{number}"] for number in range(200, 220)} == {1}
    assert {scene.stages(key).count("leased") for key in keys} == {1}
    assert sum(scene.model.asked.count(number) for number in range(200, 220)) == 20
