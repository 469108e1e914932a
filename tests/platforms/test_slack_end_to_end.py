"""From a message in the emulated workspace to its answer there: real gateway, worker and Redis, a stand-in for the model."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from generic.faulty_server import Answer, FaultyServer
from slack_workspace.emulator import BOT_TOKEN, CLIENT_ID, CLIENT_SECRET, SIGNING_SECRET, Emulator

API_KEY = "canary-api-key-0123456789"
LONG = "Before.\n\n```python\n" + "\n".join(f"print({number})  # 🗼" for number in range(1_000)) + "\n```\n\nAfter."


class Model:
    """Answers as if it had thought: the question's last word decides what."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._server = FaultyServer("127.0.0.1", 0, self._handle, lambda path: None)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if path != "/predict":
            return Answer(200, {"status": "ready"})
        prompt = json.loads(body)["prompt"]
        self.asked.append(prompt)
        return Answer(200, {"prediction": LONG if "everything" in prompt else "**Paris** <!channel>"})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Assistant:
    """A gateway and workers, set up for Slack by ``gateway`` and ``worker``, their variables."""

    def __init__(
        self,
        redis: Any,
        model: Model,
        emulator: Emulator,
        folder: Path,
        *,
        gateway: dict[str, str],
        worker: dict[str, str],
        workers: int = 1,
    ) -> None:
        shared = {
            "PATH": os.environ["PATH"],
            "REDIS_URL": redis.url,
            "REDIS_PASSWORD": redis.password,
            "INFERENCE_URL": model.url,
            "INFERENCE_API_KEY": "canary-inference-key",
            "SLACK_API_URL": emulator.api_url,
            "LEASE_SECONDS": "2",
        }
        modules = {"gateway": "app.gateway"} | {f"worker-{number}": "app.pipeline" for number in range(workers)}
        own = {"app.gateway": {"API_KEY": API_KEY, **gateway}, "app.pipeline": worker}
        self.ports = {name: free_port() for name in modules}
        self.logs = {name: folder / f"{name}.log" for name in modules}
        self.processes = []
        for name, module in modules.items():
            environment = shared | own[module] | {"PORT": str(self.ports[name])}
            with self.logs[name].open("wb") as log:
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", module], env=environment, stdout=log, stderr=log, cwd=Path(__file__).parents[2]
                    )
                )
        self.url = f"http://127.0.0.1:{self.ports['gateway']}"
        emulator.delivery.request_url = f"{self.url}/events/slack"

    def wait_ready(self, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        for (name, port), process in zip(self.ports.items(), self.processes, strict=True):
            while not self._is_ready(port):
                assert process.poll() is None and time.monotonic() < deadline, self.logs[name].read_text()
                time.sleep(0.05)

    def state(self, key: str) -> str:
        answer = httpx2.get(f"{self.url}/api/v1/events/{key}", headers={"Authorization": f"Bearer {API_KEY}"})
        return str(answer.json().get("state"))

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    @staticmethod
    def _is_ready(port: int) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def running(redis_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, Model, Assistant]]:
    model = Model()
    with Emulator(pace=0.01, subscribed=("app_mention", "message.channels", "message.im")) as emulator:
        assistant = Assistant(
            redis_server,
            model,
            emulator,
            tmp_path_factory.mktemp("assistant"),
            gateway={"SLACK_SIGNING_SECRET": f"{SIGNING_SECRET} {'0' * 32}"},
            worker={"SLACK_BOT_TOKEN": BOT_TOKEN},
        )
        try:
            assistant.wait_ready()
            yield emulator, model, assistant
        finally:
            assistant.close()
            model.close()


@pytest.fixture
def emulator(running: tuple[Emulator, Model, Assistant]) -> Emulator:
    return running[0]


@pytest.fixture
def assistant(running: tuple[Emulator, Model, Assistant]) -> Assistant:
    return running[2]


def answers_to(emulator: Emulator, thread: str) -> list[dict[str, Any]]:
    return [message for message in emulator.answers if message.get("thread_ts") == thread]


def answered(emulator: Emulator, thread: str, count: int = 1) -> list[dict[str, Any]]:
    assert emulator.wait_for(lambda it: len(answers_to(it, thread)) >= count, 20), emulator.record()
    return answers_to(emulator, thread)


def test_the_request_url_is_verified(emulator: Emulator, assistant: Assistant) -> None:
    assert emulator.challenge()
    emulator.delivery.signing_secret = "9" * 32
    try:
        assert not emulator.challenge()
    finally:
        emulator.delivery.signing_secret = SIGNING_SECRET


def test_a_question_is_answered_once_in_its_thread_though_it_came_as_two_events(
    emulator: Emulator, assistant: Assistant
) -> None:
    asked = emulator.write("@assistant what is the capital of France?", channel="C0GENERAL")
    (answer,) = answered(emulator, asked)
    assert answer["text"].startswith("**Paris**") and "<!channel>" not in answer["text"]
    key = f"slack:T0ACME:C0GENERAL:{asked}"
    assert emulator.wait_for(lambda it: assistant.state(key) == "done")
    brought = [one for one in emulator.attempts if one.taken]
    assert len(brought) >= 2  # app_mention and message.channels, and the bot's own answer beside
    assert len(answers_to(emulator, asked)) == 1


def test_a_direct_message_is_answered_and_the_answer_is_not(emulator: Emulator, assistant: Assistant) -> None:
    before = len(emulator.answers)
    emulator.write("hello there, who are you?", channel="D0BEN", user="U0BEN")
    assert emulator.wait_for(lambda it: len(it.answers) == before + 1, 20)
    # The bot's own message came back as an event, signed and genuine; what is asked next is all that is answered.
    emulator.write("and what else?", channel="D0BEN", user="U0BEN")
    assert emulator.wait_for(lambda it: len(it.answers) == before + 2, 20)
    assert [message["channel"] for message in emulator.answers[before:]] == ["D0BEN", "D0BEN"]


def test_a_repeated_event_is_answered_once(emulator: Emulator, assistant: Assistant) -> None:
    asked = emulator.write("@assistant again?", channel="C0GENERAL")
    (message,) = [one for one in emulator.record()["messages"] if one["ts"] == asked]
    for _ in range(5):
        emulator.send({**message, "type": "app_mention"})
    answered(emulator, asked)
    follow = emulator.write("@assistant more?", channel="C0GENERAL", thread_ts=asked)
    assert follow
    assert len(answered(emulator, asked, 2)) == 2  # one to each question, in order
    assert emulator.doubles == []


def test_a_rate_limit_is_waited_for(emulator: Emulator, assistant: Assistant) -> None:
    emulator.fail("chat.postMessage", "status", status=429, retry_after="1")
    asked = emulator.write("@assistant slowly?", channel="C0GENERAL")
    assert len(answered(emulator, asked)) == 1


def test_a_long_answer_arrives_whole_and_in_order(emulator: Emulator, assistant: Assistant) -> None:
    asked = emulator.write("@assistant tell me everything", channel="C0GENERAL")
    parts = answered(emulator, asked, 2)
    said = [line for message in parts for line in message["text"].splitlines()]
    assert [line for line in said if line.startswith("print(")] == [f"print({number})  # 🗼" for number in range(1_000)]
    assert said[-1] == "After."


def test_slack_has_no_calendar_which_is_said_and_a_file_comes_along(emulator: Emulator, assistant: Assistant) -> None:
    asked = emulator.write("@assistant 创建一个周会的日程在2026-12-01", channel="C0GENERAL")
    text, file = answered(emulator, asked, 2)
    assert text["text"] and not text.get("files")
    (entry,) = file["files"]
    content = emulator.workspace.files[entry["id"]].content
    assert entry["name"].endswith(".ics") and content is not None and b"BEGIN:VEVENT" in content


def test_an_answer_that_may_have_been_sent_is_not_sent_again(emulator: Emulator, assistant: Assistant) -> None:
    emulator.fail("chat.postMessage", "reset", after_effect=True)
    asked = emulator.write("@assistant are you there?", channel="C0GENERAL")
    key = f"slack:T0ACME:C0GENERAL:{asked}"
    assert emulator.wait_for(lambda it: bool(answers_to(it, asked)) and assistant.state(key) == "unknown", 20)
    after = emulator.write("@assistant and now?", channel="C0GENERAL")
    answered(emulator, after)
    assert len(answers_to(emulator, asked)) == 1


def test_what_is_said_stays_out_of_the_logs(emulator: Emulator, assistant: Assistant) -> None:
    asked = emulator.write("@assistant text-canary-4711?", channel="C0GENERAL")
    answered(emulator, asked)
    logs = "".join(log.read_text() for log in assistant.logs.values())
    assert "canary" not in logs and BOT_TOKEN not in logs and SIGNING_SECRET not in logs and "Paris" not in logs


async def test_messages_of_many_threads_are_answered_once_each(emulator: Emulator, assistant: Assistant) -> None:
    asked = [emulator.write(f"@assistant question {number}?", channel="C0GENERAL") for number in range(10)]

    def all_answered(it: Emulator) -> bool:
        return all(len(answers_to(it, thread)) == 1 for thread in asked)

    assert await asyncio.to_thread(emulator.wait_for, all_answered, 60)
    assert emulator.doubles == []


# --- several workspaces, which install it themselves ------------------------------------------------------------------------

PUBLIC_URL = "https://assistant.example"


def test_a_workspace_installs_it_and_an_expired_token_is_refreshed_once_by_two_workers(
    private_redis: Any, tmp_path: Path
) -> None:
    model = Model()
    client = {"SLACK_CLIENT_ID": CLIENT_ID, "SLACK_CLIENT_SECRET": CLIENT_SECRET, "TOKEN_KEY": "A" * 43 + "="}
    with Emulator(redirect_uris=(f"{PUBLIC_URL}/oauth/slack/callback",), rotation=True, token_seconds=7200) as emulator:
        gateway = {
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "SLACK_AUTHORIZE_URL": f"{emulator.url}/oauth/v2/authorize",
            "PUBLIC_URL": PUBLIC_URL,
        }
        assistant = Assistant(private_redis, model, emulator, tmp_path, gateway=client | gateway, worker=client, workers=2)
        try:
            assistant.wait_ready()
            installed = install(assistant.url)
            assert installed.status_code == 200, installed.text
            assert emulator.workspace.tokens_issued == 1
            answered(emulator, emulator.write("@assistant one?", channel="C0GENERAL"))

            emulator.workspace.expire_tokens()
            asked = [emulator.write(f"@assistant number {number}?", channel="C0GENERAL") for number in range(6)]
            assert emulator.wait_for(lambda it: all(answers_to(it, thread) for thread in asked), 30), emulator.record()
            assert emulator.workspace.tokens_issued == 2
            assert emulator.doubles == []
            refused = {(entry["method"], entry["error"]) for entry in emulator.refused}
            assert refused <= {("chat.postMessage", "token_expired")}
        finally:
            assistant.close()
            model.close()


def install(url: str) -> httpx2.Response:
    """What a browser does: to Slack, where somebody allows it, and back with the code."""
    begun = httpx2.get(f"{url}/oauth/slack/start", follow_redirects=False)
    assert begun.status_code == 302, begun.text
    cookie = begun.headers["set-cookie"].split(";")[0]
    allowed = httpx2.get(begun.headers["location"], follow_redirects=False)
    assert allowed.status_code == 302, allowed.text
    back = httpx2.URL(allowed.headers["location"])
    assert str(back).startswith(f"{PUBLIC_URL}/oauth/slack/callback?")
    return httpx2.get(f"{url}{back.raw_path.decode()}", headers={"Cookie": cookie}, follow_redirects=False)
