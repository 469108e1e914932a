"""From what somebody writes in the emulated Feishu to the answer there: real gateway, two workers and Redis, a stand-in for the
model."""

from __future__ import annotations

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
from feishu.emulator import BOT_OPEN_ID, Emulator
from feishu.wire import mention
from generic.faulty_server import Answer, FaultyServer

API_KEY = "canary-api-key-0123456789"
SECRET, ENCRYPT_KEY, TOKEN = "canary-app-secret", "canary-encrypt-key", "canary-verification-token"
LONG = "Before.\n\n```python\n" + "\n".join(f"print({number})  # 🗼" for number in range(2_000)) + "\n```\n\nAfter."
BOT = mention("@_user_1", BOT_OPEN_ID, "Assistant", "bot")


class Model:
    def __init__(self) -> None:
        self._server = FaultyServer("127.0.0.1", 0, self._handle, lambda path: None)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if path != "/predict":
            return Answer(200, {"status": "ready"})
        prompt = json.loads(body)["prompt"]
        return Answer(200, {"prediction": LONG if "everything" in prompt else "**Paris** <at id=all></at>"})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Assistant:
    """A gateway and two workers, which share their token."""

    def __init__(self, redis: Any, model: Model, emulator: Emulator, folder: Path) -> None:
        shared = {
            "PATH": os.environ["PATH"],
            "REDIS_URL": redis.url,
            "REDIS_PASSWORD": redis.password,
            "INFERENCE_URL": model.url,
            "INFERENCE_API_KEY": "canary-inference-key",
            "FEISHU_APP_ID": emulator.app_id,
            "FEISHU_APP_SECRET": SECRET,
            "FEISHU_URL": emulator.url,
            "TOKEN_KEY": "A" * 43 + "=",
        }
        gateway = {
            "API_KEY": API_KEY,
            "FEISHU_ENCRYPT_KEY": f"canary-new-key {ENCRYPT_KEY}",
            "FEISHU_VERIFICATION_TOKEN": TOKEN,
        }
        modules = {"gateway": "app.gateway", "worker-1": "app.pipeline", "worker-2": "app.pipeline"}
        self._ports = {name: free_port() for name in modules}
        self.logs = {name: folder / f"{name}.log" for name in modules}
        self._processes = []
        for name, module in modules.items():
            environment = shared | (gateway if name == "gateway" else {}) | {"PORT": str(self._ports[name])}
            with self.logs[name].open("wb") as log:
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", module], env=environment, stdout=log, stderr=log, cwd=Path(__file__).parents[2]
                    )
                )
        self.url = f"http://127.0.0.1:{self._ports['gateway']}"
        self.webhook = f"{self.url}/events/feishu"

    def wait_ready(self, seconds: float = 40.0) -> None:
        deadline = time.monotonic() + seconds
        for (name, port), process in zip(self._ports.items(), self._processes, strict=True):
            while not is_ready(port):
                assert process.poll() is None and time.monotonic() < deadline, self.logs[name].read_text()
                time.sleep(0.05)

    def state(self, number: str) -> str:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        return str(httpx2.get(f"{self.url}/api/v1/events/feishu:tenant1:{number}", headers=headers).json().get("state"))

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.fixture(scope="module")
def running(redis_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Emulator, Assistant]]:
    model = Model()
    with Emulator(app_secret=SECRET, encrypt_key=ENCRYPT_KEY, verification_token=TOKEN) as emulator:
        assistant = Assistant(redis_server, model, emulator, tmp_path_factory.mktemp("assistant"))
        try:
            assistant.wait_ready()
            yield emulator, assistant
        finally:
            assistant.close()
            model.close()


@pytest.fixture
def emulator(running: tuple[Emulator, Assistant]) -> Iterator[Emulator]:
    yield running[0]
    running[0].heal()


@pytest.fixture
def assistant(running: tuple[Emulator, Assistant]) -> Assistant:
    return running[1]


def ask(emulator: Emulator, assistant: Assistant, text: str, **fields: Any) -> str:
    event = emulator.event(f"@_user_1 {text}", chat_type="group", mentions=[BOT], **fields)
    assert emulator.deliver(assistant.webhook, event).wait().taken
    return str(event["event"]["message"]["message_id"])


def answers_to(emulator: Emulator, number: str) -> list[dict[str, Any]]:
    return [message for message in emulator.messages.sent if message["parent_id"] == number]


def answered(emulator: Emulator, number: str, count: int = 1) -> list[dict[str, Any]]:
    assert emulator.wait_for(lambda it: len(answers_to(it, number)) >= count, 30), emulator.record()
    return answers_to(emulator, number)


def test_the_request_url_is_verified(emulator: Emulator, assistant: Assistant) -> None:
    assert emulator.challenge(assistant.webhook).wait().answer == {"challenge": "c-123"}
    emulator.verification_token = "another"
    try:
        assert emulator.challenge(assistant.webhook).wait().attempts == [401]
    finally:
        emulator.verification_token = TOKEN


def test_a_question_is_answered_in_its_thread_and_nobody_is_mentioned(emulator: Emulator, assistant: Assistant) -> None:
    asked = ask(emulator, assistant, "what is the capital of France?", chat="oc_a", thread_id="omt_1", root_id="om_root")
    (answer,) = answered(emulator, asked)
    assert answer["thread_id"] == "omt_1"
    assert answer["text"] == "**Paris** &#60;at id=all>&#60;/at>"


def test_an_event_that_comes_again_is_answered_once(emulator: Emulator, assistant: Assistant) -> None:
    event = emulator.event("@_user_1 again?", chat_type="group", chat="oc_b", mentions=[BOT])
    number = event["event"]["message"]["message_id"]
    for _ in range(3):
        assert emulator.deliver(assistant.webhook, event).wait().taken
    answered(emulator, number)
    assert emulator.wait_for(lambda it: assistant.state(number) == "done")
    assert emulator.deliver(assistant.webhook, event).wait().taken
    after = ask(emulator, assistant, "and now?", chat="oc_b", root_id=number)
    answered(emulator, after)
    assert len(answers_to(emulator, number)) == 1


def test_an_answer_that_was_sent_without_a_word_is_not_doubled(emulator: Emulator, assistant: Assistant) -> None:
    emulator.fail("/reply$", kind="reset", after_effect=True)
    asked = ask(emulator, assistant, "are you there?", chat="oc_c")
    answered(emulator, asked)
    assert emulator.wait_for(lambda it: any(one.get("chat_id") == "oc_c" for one in it.messages.repeated), 30)
    assert len(answers_to(emulator, asked)) == 1


def test_a_rate_limit_is_waited_for(emulator: Emulator, assistant: Assistant) -> None:
    emulator.fail("/reply$", 230020, headers={"x-ogw-ratelimit-reset": "1"})
    asked = ask(emulator, assistant, "slowly?", chat="oc_d")
    assert len(answered(emulator, asked)) == 1


def test_a_long_answer_arrives_whole_and_in_order(emulator: Emulator, assistant: Assistant) -> None:
    asked = ask(emulator, assistant, "tell me everything", chat="oc_e")
    parts = answered(emulator, asked, 2)
    assert emulator.wait_for(lambda it: assistant.state(asked) == "done", 30)
    shown = [
        line
        for message in answers_to(emulator, asked)
        for line in message["content"]["body"]["elements"][0]["content"].split("\n")
    ]
    assert len(parts) > 1
    assert [line for line in shown if line.startswith("print(")] == [f"print({number})  # 🗼" for number in range(2_000)]
    assert shown[-1] == "After."


def test_an_expired_token_is_renewed_once_by_both_workers(emulator: Emulator, assistant: Assistant) -> None:
    answered(emulator, ask(emulator, assistant, "one?", chat="oc_f"))
    emulator.expire_tokens()
    before = emulator.tokens_issued
    asked = [ask(emulator, assistant, f"number {number}?", chat=f"oc_f{number}") for number in range(6)]
    assert emulator.wait_for(lambda it: all(answers_to(it, number) for number in asked), 30), emulator.record()
    assert emulator.tokens_issued == before + 1


def test_a_calendar_entry_is_created_and_the_sender_invited(emulator: Emulator, assistant: Assistant) -> None:
    asked = ask(emulator, assistant, "创建一个周会的日程在2026-12-01", chat="oc_g")
    (answer,) = answered(emulator, asked)
    assert "周会" in answer["text"]
    (entry,) = emulator.calendars.entries
    assert (entry["summary"], entry["start_time"], entry["attendees"]) == ("周会", {"date": "2026-12-01"}, ["ou_ada"])


def test_a_calendar_entry_whose_guest_is_refused_is_taken_away_and_said_so(emulator: Emulator, assistant: Assistant) -> None:
    before = len(emulator.calendars.entries)
    emulator.calendars.strangers.add("ou_eve")
    asked = ask(emulator, assistant, "创建一个例会的日程在2026-12-02", chat="oc_h", sender="ou_eve")
    text, file = answered(emulator, asked, 2)
    assert "没有创建成功" in text["text"]
    assert file["text"].endswith(".ics]")
    assert b"BEGIN:VEVENT" in emulator.messages.files[file["content"]["file_key"]]["content"]
    assert len(emulator.calendars.entries) == before


def test_what_is_said_and_what_is_secret_stays_out_of_the_logs(emulator: Emulator, assistant: Assistant) -> None:
    answered(emulator, ask(emulator, assistant, "text-canary-4711?", chat="oc_i"))
    logs = "".join(log.read_text() for log in assistant.logs.values())
    assert "canary" not in logs and "Paris" not in logs and "周会" not in logs
