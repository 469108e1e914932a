"""500 events flow while worker, gateway and Redis are killed and stopped at random moments: none is lost, none is doubled.

Real processes and a real Redis with an fsync for every write. The platform sends each event until it is taken, on its own
schedule, which is compressed. ``ASSISTANT_FAULT_SEED`` decides which fault comes when; it is printed.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import feishu.emulator
import generic.emulator
import httpx2
import pytest
import slack_workspace.emulator as slack
from chaos import Record, break_things, in_order, records, schedule
from fleet import Fleet, Model, until
from generic.sender import send_event
from slack_workspace.workspace import Channel

from app.pipeline.redis_queue import PREFIX

EVENTS, CONVERSATIONS = 500, 50
SEND_SECONDS = 0.012  # between two events: they take longer than the faults need to be spread
SEED = int(os.environ.get("ASSISTANT_FAULT_SEED", "7"))
WORKER = {"WORKER_CONCURRENCY": "25", "MAX_ATTEMPTS": "10"}
# What a model and a platform take, so that whoever is killed or stopped holds work: half of the messages take effect before the
# platform thinks, half after.
MODEL_SECONDS, PLATFORM_SECONDS = 0.15, 0.1
Start = Callable[..., Fleet]


def slow_down(emulator: Any, path: str) -> None:
    for number in range(2 * EVENTS):
        emulator.fail(path, kind="slow", seconds=PLATFORM_SECONDS, after_effect=number % 2 == 0)


def flow(fleet: Fleet, redis: Any, send: Callable[[int], object], through: Callable[[], int]) -> dict[str, Record]:
    """Send all events, break things meanwhile, and wait until the queue has ended every one. What the queue then knows."""
    faults = schedule(SEED, EVENTS, len(fleet.workers))
    print(f"seed {SEED}: {', '.join(map(str, faults))}")

    def sending() -> None:
        for number in range(EVENTS):
            send(number)
            time.sleep(SEND_SECONDS)

    sender = threading.Thread(target=sending)
    sender.start()
    try:
        break_things(fleet, redis, faults, through)
    finally:
        sender.join()
    until(lambda: ended(redis) == EVENTS, 60, lambda: f"{ended(redis)} of {EVENTS} ended, {through()} through")
    return records(redis)


def ended(redis: Any) -> int:
    """Of the events that were taken, how many are through: done, dead or unknown."""
    backlog = redis.command("ZCARD", f"{PREFIX}:backlog")
    return len(redis.command("KEYS", f"{PREFIX}:event:*")) - int(backlog)


def report(name: str, found: dict[str, Record], stages: Counter[str], **more: int) -> None:
    states = Counter(record.state for record in found.values())
    figures = {state: states[state] for state in ("done", "unknown", "dead")} | more
    figures["leases expired"] = stages["retry: the lease expired"]
    assert figures["leases expired"], "no fault met work in progress: this run proves nothing"
    print(f"{name}, seed {SEED}: {', '.join(f'{count} {what}' for what, count in figures.items())}")


def number_of(text: str) -> int:
    return int(text.removeprefix("This is the answer to ").removesuffix("."))


@pytest.mark.timeout(240)
def test_feishu_which_takes_a_key_gets_each_answer_exactly_once(start: Start, private_redis: Any, model: Model) -> None:
    model.delay = MODEL_SECONDS
    with feishu.emulator.Emulator() as emulator:
        slow_down(emulator, "/im/v1/messages/.*/reply")
        fleet = start(
            shared={"FEISHU_APP_ID": emulator.app_id, "FEISHU_APP_SECRET": emulator.app_secret, "FEISHU_URL": emulator.url},
            gateway={"FEISHU_ENCRYPT_KEY": "encrypt-key", "FEISHU_VERIFICATION_TOKEN": "verification-token"},
            worker=WORKER | {"TOKEN_KEY": "A" * 43 + "="},
        )

        def send(number: int) -> None:
            chat = f"oc-{number % CONVERSATIONS:02}"
            event = emulator.event(f"What is number {number}?", chat=chat, message_id=f"om-{chat}-{number}")
            emulator.deliver(f"{fleet.url}/events/feishu", event, time_scale=0.0006)

        found = flow(fleet, private_redis, send, lambda: len(emulator.messages.sent))
        stages = in_order(found, lambda key: key.split("-")[2])
        answers = Counter(number_of(message["text"]) for message in emulator.messages.sent)
        repeated = len(emulator.messages.repeated)
        again = sum(len(delivery.attempts) > 1 for delivery in emulator.deliveries)
    report("feishu", found, stages, repeated_under_their_key=repeated, delivered_again=again)
    assert answers == Counter(range(EVENTS))
    assert {record.state for record in found.values()} == {"done"}


@pytest.mark.timeout(240)
def test_the_generic_platform_gets_each_answer_exactly_once(start: Start, private_redis: Any, model: Model) -> None:
    model.delay = MODEL_SECONDS
    secret = "whsec_" + base64.b64encode(b"canary-webhook-secret-0123456789").decode()
    with generic.emulator.Emulator(client_secret="canary-client", webhook_secret=secret) as emulator:
        slow_down(emulator, "/messages")
        fleet = start(
            gateway={"GENERIC_WEBHOOK_SECRET": secret},
            worker=WORKER
            | {"GENERIC_URL": emulator.url, "GENERIC_WEBHOOK_SECRET": secret, "GENERIC_CLIENT_SECRET": "canary-client"},
        )
        sent_again = Counter[int]()

        def bring(number: int) -> None:
            """Until it is taken."""
            conversation = f"c{number % CONVERSATIONS:02}"
            while not taken(number, conversation):
                sent_again[number] += 1
                time.sleep(0.3)

        def taken(number: int, conversation: str) -> bool:
            try:
                answer = send_event(
                    fleet.url,
                    secret,
                    f"What is number {number}?",
                    event_id=f"{conversation}-{number}",
                    conversation=conversation,
                    timeout=3,
                )
            except httpx2.HTTPError:
                return False
            return answer.status_code == 200

        with ThreadPoolExecutor(32) as callers:
            found = flow(fleet, private_redis, lambda number: callers.submit(bring, number), lambda: len(emulator.messages))
        stages = in_order(found, lambda key: key.split(":")[2].partition("-")[0])
        answers = Counter(number_of(message["text"]) for message in emulator.messages)
        repeated = len(emulator.repeated)
    report("generic", found, stages, repeated_under_their_key=repeated, delivered_again=len(sent_again))
    assert answers == Counter(range(EVENTS))
    assert {record.state for record in found.values()} == {"done"}


@pytest.mark.timeout(240)
def test_slack_which_takes_no_key_loses_none_silently_and_doubles_none(start: Start, private_redis: Any, model: Model) -> None:
    """What may have been sent is *unknown*: Slack is asked, and what it has is done. What it has not waits for a person."""
    with slack.Emulator(pace=0.05, subscribed=("message.im",)) as emulator:
        for number in range(CONVERSATIONS):
            name = f"D{number:03}"
            emulator.workspace.channels[name] = Channel(name, "im", "U0ADA", seconds_apart=0.0)
        slow_down(emulator, "chat.postMessage")
        model.delay = MODEL_SECONDS
        fleet = start(
            shared={"SLACK_API_URL": emulator.api_url},
            gateway={"SLACK_SIGNING_SECRET": slack.SIGNING_SECRET},
            worker=WORKER | {"SLACK_BOT_TOKEN": slack.BOT_TOKEN},
        )
        emulator.delivery.request_url = f"{fleet.url}/events/slack"
        stamps: dict[str, int] = {}

        def send(number: int) -> None:
            stamps[emulator.write(f"What is number {number}?", channel=f"D{number % CONVERSATIONS:03}")] = number

        found = flow(fleet, private_redis, send, lambda: len(emulator.answers))
        parked = sum(any(stage == "unknown" for _, stage, _ in record.timeline) for record in found.values())

        def arrived() -> set[int]:
            return {number_of(message["text"]) for message in emulator.answers}

        def settled() -> bool:
            """Every answer that has arrived is known to have."""
            known = {number(key) for key, record in records(private_redis).items() if record.state == "done"}
            return known == arrived()

        def number(key: str) -> int:
            return stamps[key.rpartition(":")[2]]

        until(settled, 40, lambda: f"{len(arrived())} answers arrived")
        found = records(private_redis)
        unknown = {number(key) for key, record in found.items() if record.state == "unknown"}
        dead = {number(key) for key, record in found.items() if record.state == "dead"}
        stages = in_order(found, lambda key: key.split(":")[2])
        answers = Counter(number_of(message["text"]) for message in emulator.answers)
        shown = fleet.api("GET", "/api/v1/admin/dead-letters", params={"limit": 1000}).json()["dead_letters"]
        until(lambda: fleet.gateway.metric("assistant_queue_unknown") == len(unknown))
        undelivered = list(emulator.undelivered)
        again = sum(attempt.retry == 1 for attempt in emulator.attempts)
    report("slack", found, stages, parked=parked, found_by_asking=parked - len(unknown), delivered_again=again)
    assert undelivered == []
    assert set(answers.values()) == {1}
    assert set(answers) | unknown | dead == set(range(EVENTS))
    assert len(answers) + len(unknown) + len(dead) == EVENTS
    assert {number(letter["event"]) for letter in shown} == unknown | dead
    assert not dead
