"""Slack on the stage: a workspace with token rotation, which a person installs the assistant in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

import httpx2

from tools.demo.processes import DemoFailed, Running
from tools.demo.stage import Message, emulator

CHANNEL, DIRECT, ADA = "C0GENERAL", "D0ADA", "U0ADA"
CALL_SECONDS = 30.0


class SlackStage:
    title = "Slack"
    limit = "12,000 UTF-16 units"
    played_by = "tests/platforms/slack_workspace"

    def __init__(self) -> None:
        self._signing_secret, self._client_secret = secrets.token_hex(16), secrets.token_hex(16)
        self._played: Any = None
        self._assistant: Running | None = None

    def environment(self, url: str) -> Mapping[str, str]:
        played = emulator("slack_workspace.emulator")
        self._played = played.Emulator(
            signing_secret=self._signing_secret,
            client_secret=self._client_secret,
            redirect_uris=(f"{url}/oauth/slack/callback",),
            rotation=True,
            seconds_apart=1.0,
        ).start()
        return {
            "SLACK_SIGNING_SECRET": self._signing_secret,
            "SLACK_CLIENT_ID": played.CLIENT_ID,
            "SLACK_CLIENT_SECRET": self._client_secret,
            "SLACK_API_URL": self._played.api_url,
            "SLACK_AUTHORIZE_URL": f"{self._played.url}/oauth/v2/authorize",
        }

    def open(self, assistant: Running) -> None:
        self._assistant = assistant
        self._played.delivery.request_url = f"{assistant.url}/events/slack"
        self._played.delivery.verify = assistant.context()

    def challenge(self) -> bool:
        return bool(self._played.challenge())

    def install(self) -> str | None:
        """As a browser does it: to the assistant, to Slack, and back with the cookie."""
        assert self._assistant is not None  # noqa: S101 (opened before)
        with httpx2.Client(verify=self._assistant.context(), timeout=CALL_SECONDS, trust_env=False) as browser:
            begun = browser.get(f"{self._assistant.url}/oauth/slack/start")
            if begun.status_code != 302:
                raise DemoFailed(f"The installation did not begin ({begun.status_code}): {_words(begun.text)}")
            cookie = begun.headers["set-cookie"].partition(";")[0]
            allowed = browser.get(begun.headers["location"])
            done = browser.get(allowed.headers.get("location", ""), headers={"Cookie": cookie})
        if done.status_code != 200:
            raise DemoFailed(f"The installation did not end well ({done.status_code}): {_words(done.text)}")
        return _words(done.text)

    def write(self, text: str) -> Message:
        return self._write(f"@assistant {text}", CHANNEL)

    def talk(self, text: str) -> Message:
        return self._write(text, DIRECT)

    def deliver_again(self, message: Message) -> bool:
        """As Slack does where both events are subscribed: with another event id."""
        before = len(self._played.attempts)
        self._played.send(dict(message.event))
        attempts = self._played.attempts[before:]
        return bool(attempts) and all(attempt.taken for attempt in attempts)

    def replies(self, message: Message) -> list[str]:
        place = message.event["channel"], message.id
        direct = message.event["channel"] == DIRECT
        return [
            str(one["text"]) + "".join(f"[{file['name']}]" for file in one.get("files", []))
            for one in self._played.answers
            if (one["channel"], one.get("thread_ts")) == place
            or (direct and one["channel"] == DIRECT and one["ts"] > message.id)
        ]

    def calendar(self) -> list[str]:
        return []

    def busy_once(self, seconds: int) -> None:
        self._played.fail("chat.postMessage", "status", status=429, retry_after=str(seconds))

    def expire_tokens(self) -> None:
        self._played.workspace.expire_tokens()

    def tokens_issued(self) -> int:
        return int(self._played.workspace.tokens_issued)

    def refusals(self) -> int:
        return len(self._played.refused)

    @property
    def page(self) -> str:
        return str(self._played.url)

    def stop(self) -> None:
        if self._played is not None:
            self._played.stop()

    def _write(self, text: str, channel: str) -> Message:
        stamp = self._played.write(text, channel=channel, user=ADA)
        written = next(one for one in self._played.workspace.messages if (one["channel"], one["ts"]) == (channel, stamp))
        kind = "im" if channel == DIRECT else "channel"
        return Message(
            id=stamp,
            key=f"slack:{written['team']}:{channel}:{stamp}",
            event={**written, "event_ts": stamp, "channel_type": kind},
        )


def _words(page: str) -> str:
    return " ".join(re.sub(r"<style>.*?</style>|<title>.*?</title>|<[^>]+>", " ", page, flags=re.DOTALL).split())
