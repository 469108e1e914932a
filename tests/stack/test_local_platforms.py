"""Slack and Feishu through the whole local stack: what people write there, and what they then find there.

An answer that is longer than one message is shown with a stand-in for the model, whose answers here are short:
tests/platforms/test_slack_end_to_end.py and test_feishu_end_to_end.py.
"""

from __future__ import annotations

import contextlib
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import psutil
import pytest
from connected_deployment import FEISHU_TEAM, ConnectedDeployment
from deployment import CHECKOUT, free_ports
from feishu.delivery import Delivery
from feishu.emulator import BOT_OPEN_ID
from feishu.emulator import Emulator as Feishu
from feishu.wire import mention
from slack_workspace.emulator import Emulator as Slack
from slack_workspace.workspace import TEAM

from infra.local.layout import DIGEST_MARKER, PROCESS_MARKER, STATE_MARKER
from tools.stack.assistant import Assistant

SECONDS = 60.0  # until an answer must be there; two cores may serve another stack besides
BOT = mention("@_user_1", BOT_OPEN_ID, "Assistant", "bot")


class FeishuSender:
    """People in Feishu, whose messages go to the stack's webhook."""

    def __init__(self, feishu: Feishu, outputs: dict[str, Any]) -> None:
        self.feishu, self.webhook = feishu, outputs["webhookUrls"]["feishu"]
        self.context = ssl.create_default_context(cadata=outputs["caCertificate"])

    def write(self, text: str, *, chat: str, **fields: Any) -> tuple[str, Delivery]:
        """The message's id, and how it is being brought."""
        event = self.feishu.event(f"@_user_1 {text}", chat=chat, chat_type="group", mentions=[BOT], **fields)
        return event["event"]["message"]["message_id"], self.bring(event)

    def bring(self, event: dict[str, Any]) -> Delivery:
        return self.feishu.deliver(self.webhook, event, context=self.context)


@pytest.fixture
def sender(feishu: Feishu, outputs: dict[str, Any]) -> FeishuSender:
    return FeishuSender(feishu, outputs)


def in_slack(slack: Slack, thread: str, count: int = 1) -> list[dict[str, Any]]:
    """The answers in ``thread``, once there are ``count``."""

    def found(it: Slack) -> list[dict[str, Any]]:
        return [message for message in it.answers if message.get("thread_ts") == thread]

    assert slack.wait_for(lambda it: len(found(it)) >= count, SECONDS), slack.record()
    return found(slack)


def in_feishu(feishu: Feishu, message: str, count: int = 1) -> list[dict[str, Any]]:
    def found(it: Feishu) -> list[dict[str, Any]]:
        return [answer for answer in it.messages.sent if answer["parent_id"] == message]

    assert feishu.wait_for(lambda it: len(found(it)) >= count, SECONDS), feishu.record()
    return found(feishu)


def test_both_request_urls_are_verified_and_a_stranger_s_are_not(slack: Slack, sender: FeishuSender) -> None:
    assert slack.challenge()
    assert sender.feishu.challenge(sender.webhook, context=sender.context).wait().answer == {"challenge": "c-123"}
    slack_secret, feishu_token = slack.delivery.signing_secret, sender.feishu.verification_token
    slack.delivery.signing_secret = sender.feishu.verification_token = "0" * 32
    try:
        assert not slack.challenge()
        assert sender.feishu.challenge(sender.webhook, context=sender.context).wait().attempts == [401]
    finally:
        slack.delivery.signing_secret, sender.feishu.verification_token = slack_secret, feishu_token


def test_a_question_is_answered_in_its_thread(slack: Slack, sender: FeishuSender) -> None:
    asked = slack.write("@assistant What is the capital of France?", channel="C0GENERAL")
    also, _ = sender.write("What is the capital of France?", chat="oc_thread", thread_id="omt_1", root_id="om_root")
    (answer,) = in_slack(slack, asked)
    assert "Paris" in answer["text"] and answer["channel"] == "C0GENERAL"
    (answer,) = in_feishu(sender.feishu, also)
    assert "Paris" in answer["text"] and answer["thread_id"] == "omt_1"


def test_an_event_that_comes_again_is_answered_once(slack: Slack, sender: FeishuSender, assistant: Assistant) -> None:
    asked = slack.write("@assistant help", channel="C0GENERAL")
    in_slack(slack, asked)
    (message,) = [one for one in slack.record()["messages"] if one["ts"] == asked]
    event = sender.feishu.event("@_user_1 help", chat="oc_again", chat_type="group", mentions=[BOT])
    also = event["event"]["message"]["message_id"]
    for _ in range(3):
        slack.send({**message, "type": "app_mention"})
        assert sender.bring(event).wait().taken
    in_feishu(sender.feishu, also)
    # A later message of the same conversation is answered after all that came before it.
    slack.write("@assistant help", channel="C0GENERAL", thread_ts=asked)
    after, _ = sender.write("help", chat="oc_again", root_id=also)
    assert len(in_slack(slack, asked, 2)) == 2
    in_feishu(sender.feishu, after)
    assert len(in_feishu(sender.feishu, also)) == 1


def test_what_was_not_stored_is_refused_brought_again_by_the_platform_and_answered_once(
    connected: ConnectedDeployment, slack: Slack, sender: FeishuSender, assistant: Assistant
) -> None:
    with stopped(connected.process("redis")):
        attempts = len(slack.attempts)
        asked = slack.write("@assistant help", channel="C0GENERAL")
        also, delivery = sender.write("help", chat="oc_retry")
        assert slack.wait_for(lambda it: len(it.attempts) > attempts, SECONDS)
        assert wait(lambda: bool(delivery.attempts))
    assert len(in_slack(slack, asked)) == 1
    assert len(in_feishu(sender.feishu, also)) == 1
    first, *again = slack.attempts[attempts:]
    assert not first.taken and any(one.taken and one.retry for one in again)
    assert delivery.wait().attempts[0] != 200 and delivery.taken
    # Redis may have carried out what nobody waited for any more: all that was stored has been settled, and once.
    for key in (slack_key("C0GENERAL", asked), feishu_key(also)):
        assert wait(lambda key=key: assistant.trace(key)["state"] == "done")
    assert len(in_slack(slack, asked)) == len(in_feishu(sender.feishu, also)) == 1


def test_a_rate_limit_is_waited_for(slack: Slack, sender: FeishuSender) -> None:
    slack.fail("chat.postMessage", "status", status=429, retry_after="1")
    sender.feishu.fail("/reply$", 230020, headers={"x-ogw-ratelimit-reset": "1"})
    asked = slack.write("@assistant help", channel="C0GENERAL")
    also, _ = sender.write("help", chat="oc_limit")
    assert len(in_slack(slack, asked)) == len(in_feishu(sender.feishu, also)) == 1


def test_feishu_s_calendar_entry_is_created_in_two_steps(sender: FeishuSender) -> None:
    asked, _ = sender.write("创建一个周会的日程在2026-12-01", chat="oc_calendar", sender="ou_ada")
    (answer,) = in_feishu(sender.feishu, asked)
    assert "周会" in answer["text"]
    (entry,) = [entry for entry in sender.feishu.calendars.entries if entry["summary"] == "周会"]
    assert (entry["start_time"], entry["attendees"]) == ({"date": "2026-12-01"}, ["ou_ada"])


def test_an_entry_whose_guest_feishu_refuses_is_taken_away_again_and_that_is_said(sender: FeishuSender) -> None:
    sender.feishu.calendars.strangers.add("ou_eve")
    asked, _ = sender.write("创建一个例会的日程在2026-12-02", chat="oc_stranger", sender="ou_eve")
    text, file = in_feishu(sender.feishu, asked, 2)
    assert "没有创建成功" in text["text"]
    assert b"BEGIN:VEVENT" in sender.feishu.messages.files[file["content"]["file_key"]]["content"]
    assert [entry for entry in sender.feishu.calendars.entries if entry["summary"] == "例会"] == []


def test_slack_has_no_calendar_which_is_said_and_a_file_comes_along(slack: Slack) -> None:
    asked = slack.write("@assistant 创建一个周会的日程在2026-12-01", channel="G0GROUP")
    text, file = in_slack(slack, asked, 2)
    assert "没有提供我可以使用的日历" in text["text"]
    (entry,) = file["files"]
    content = slack.workspace.files[entry["id"]].content
    assert entry["name"].endswith(".ics") and content is not None and b"BEGIN:VEVENT" in content


def test_an_expired_token_is_refreshed_once_by_two_workers(
    connected: ConnectedDeployment, slack: Slack, sender: FeishuSender, assistant: Assistant
) -> None:
    before = slack.workspace.tokens_issued, sender.feishu.tokens_issued
    with second_worker(connected):
        # Each takes as many as it works at side by side, so both have some while no answer comes.
        with stopped(connected.process("inference")):
            asked = [slack.write(f"@assistant What is {number} plus {number}?", channel="G0GROUP") for number in range(11, 15)]
            also = [sender.write(f"What is {number} plus {number}?", chat=f"oc_token{number}")[0] for number in range(21, 25)]
            keys = [*(slack_key("G0GROUP", one) for one in asked), *map(feishu_key, also)]
            assert wait(lambda: all(state(assistant, key) == "leased" for key in keys))
            slack.workspace.expire_tokens()
            sender.feishu.expire_tokens()
        for one in asked:
            assert len(in_slack(slack, one)) == 1
        for one in also:
            assert len(in_feishu(sender.feishu, one)) == 1
    workers = {re.search(r"by (\S+)", leased_by(assistant, key))[1] for key in keys}  # type: ignore[index]
    assert len(workers) == 2
    assert (slack.workspace.tokens_issued, sender.feishu.tokens_issued) == (before[0] + 1, before[1] + 1)
    assert slack.doubles == []


def slack_key(channel: str, message: str) -> str:
    return f"slack:{TEAM}:{channel}:{message}"


def feishu_key(message: str) -> str:
    return f"feishu:{FEISHU_TEAM}:{message}"


def state(assistant: Assistant, key: str) -> str:
    with assistant.client() as client:
        return str(client.get(f"/api/v1/events/{key}").json().get("state", ""))


def leased_by(assistant: Assistant, key: str) -> str:
    return next(str(step["detail"]) for step in reversed(assistant.trace(key)["timeline"]) if step["stage"] == "leased")


@contextlib.contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def second_worker(connected: ConnectedDeployment) -> Iterator[None]:
    """A worker like the stack's own, which is no process of the stack."""
    marks = (STATE_MARKER, PROCESS_MARKER, DIGEST_MARKER)
    own = connected.process("worker").environ()
    port = free_ports("second")["second"]
    environment = {name: value for name, value in own.items() if name not in marks} | {"PORT": str(port)}
    with (connected.folder / "second-worker.log").open("ab") as log:
        worker = subprocess.Popen([sys.executable, "-m", "app.pipeline"], env=environment, cwd=CHECKOUT, stdout=log, stderr=log)
    try:
        assert wait(lambda: is_ready(port)), (connected.folder / "second-worker.log").read_text()
        yield
    finally:
        worker.terminate()
        worker.wait(30)


def is_ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=2, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def wait(condition: Any, seconds: float = SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
