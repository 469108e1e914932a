"""An event that takes its worker down each time ends in the dead letters; the others flow; a replay delivers it once."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fleet import ROOT, Fleet, Member, Model, until
from generic.emulator import Emulator
from generic.sender import send_event

SECRET = "whsec_" + base64.b64encode(b"canary-webhook-secret-0123456789").decode()
POISON = (3, 7)


@contextmanager
def supervised(member: Member) -> Iterator[Counter[int]]:
    """Start it again whenever it ends, as a supervisor does; counts the exit statuses."""
    ends, stopping = Counter[int](), threading.Event()

    def watch() -> None:
        while not stopping.wait(0.05):
            if (status := member.process.poll()) is not None:
                ends[status] += 1
                member.start()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield ends
    finally:
        stopping.set()
        watching.join()


def aside(redis: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What an operator types beside a worker."""
    environment = {"PATH": os.environ["PATH"], "REDIS_URL": redis.url, "REDIS_PASSWORD": redis.password}
    command = [sys.executable, "-m", "app.pipeline.aside", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.timeout(180)
def test_a_poison_event_is_set_aside_the_others_flow_and_a_replay_delivers_it_once(
    start: Callable[..., Fleet], private_redis: Any, model: Model
) -> None:
    with Emulator(client_secret="canary-client", webhook_secret=SECRET) as emulator:
        fleet = start(
            gateway={"GENERIC_WEBHOOK_SECRET": SECRET},
            worker={
                "GENERIC_URL": emulator.url,
                "GENERIC_WEBHOOK_SECRET": SECRET,
                "GENERIC_CLIENT_SECRET": "canary-client",
                "LEASE_SECONDS": "1",
                "MAX_ATTEMPTS": "2",
                "WORKER_CONCURRENCY": "1",  # whatever else a worker holds loses an attempt with it
            },
            workers=1,
        )
        (worker,) = fleet.workers
        poisonous = threading.Event()
        poisonous.set()

        def poison(number: int) -> None:
            if number in POISON and poisonous.is_set():
                worker.process.send_signal(signal.SIGKILL)

        def key(number: int) -> str:
            return f"generic:default:e{number}"

        def heard() -> Counter[str]:
            return Counter(message["event"] for message in emulator.messages)

        model.hook = poison
        with supervised(worker) as ends:
            for number in range(12):
                question = f"What is number {number}?"
                send_event(fleet.url, SECRET, question, event_id=f"e{number}", conversation=f"c{number % 4}")
            others = Counter(f"e{number}" for number in range(12) if number not in POISON)
            until(lambda: heard() == others and all(fleet.state(key(number)) == "dead" for number in POISON), 60, heard)
            assert ends == {-signal.SIGKILL: 2 * len(POISON)}

            letters = fleet.api("GET", "/api/v1/admin/dead-letters").json()["dead_letters"]
            assert {(letter["event"], letter["state"], letter["attempts"]) for letter in letters} == {
                (key(number), "dead", 2) for number in POISON
            }
            assert [json.loads(line)["event"] for line in aside(private_redis, "list").stdout.splitlines()] == [
                letter["event"] for letter in letters
            ]
            assert fleet.gateway.metric("assistant_queue_dead") == len(POISON)

            poisonous.clear()  # somebody has mended it
            first, second = POISON
            replayed = fleet.api("POST", f"/api/v1/admin/dead-letters/{key(first)}/replay")
            assert (replayed.status_code, replayed.json()["state"]) == (200, "queued")
            typed = aside(private_redis, "replay", key(second))
            assert (typed.returncode, json.loads(typed.stdout)) == (0, {"event": key(second), "done": True})
            until(lambda: all(fleet.state(key(number)) == "done" for number in POISON), 30, heard)

            # Who replays what is done is told so, and nothing happens.
            assert fleet.api("POST", f"/api/v1/admin/dead-letters/{key(first)}/replay").status_code == 404
            assert aside(private_redis, "replay", key(second)).returncode == 1
            assert ends == {-signal.SIGKILL: 2 * len(POISON)}
        assert heard() == Counter(f"e{number}" for number in range(12))
        assert emulator.repeated == []
