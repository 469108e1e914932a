"""Slack, played by a real server on loopback: the Web API, OAuth, file uploads, Socket Mode, and events with Slack's retries.

It keeps a record of all that arrives, in which doubles are visible, and fails on demand: :meth:`Emulator.fail` in a test,
``POST /faults`` from outside. The vendor's own clients are driven against it in the tests (slack_sdk), so that it and the
application cannot share a misreading.

==============================  ====================================================================================
``/api/<method>``               the Web API: what :class:`slack_workspace.workspace.Workspace` has a method for
``/oauth/v2/authorize``         somebody allows the installation at once: back to the redirect URI with a code
``/upload/v1/<ticket>``         a file's content
``/link``                       the WebSocket of Socket Mode
``GET /``                       the conversations as a page, with a line to write
``POST /say``                   ``{"text", "channel", "user", "thread_ts"}``: somebody writes; ``@assistant`` mentions the bot
``GET /record``                 all that arrived; ``POST /faults`` and ``DELETE /faults`` as in :class:`Fault`
==============================  ====================================================================================
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from slack_workspace import page
from slack_workspace.delivery import ACKNOWLEDGE_SECONDS, Attempt, Delivery
from slack_workspace.server import Fault, Server
from slack_workspace.workspace import APP, BOT_USER, TEAM, Workspace

SUBSCRIBED = ("app_mention", "message.im")  # as the application's manifest
KINDS = {"im": "message.im", "mpim": "message.mpim", "channel": "message.channels", "group": "message.groups"}
SIGNING_SECRET, BOT_TOKEN, APP_TOKEN = "0123456789abcdef0123456789abcdef", "xoxb-emulated-bot-token", "xapp-emulated-app-token"
CLIENT_ID, CLIENT_SECRET = "111.222", "emulated-client-secret"


class Emulator:
    """Thread-safe; the server has a thread and an event loop of its own."""

    def __init__(
        self,
        *,
        signing_secret: str = SIGNING_SECRET,
        bot_token: str = BOT_TOKEN,
        app_token: str = APP_TOKEN,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        redirect_uris: tuple[str, ...] = (),
        request_url: str | None = None,
        verify: ssl.SSLContext | bool = True,
        rotation: bool = False,
        token_seconds: float = 43_200,
        seconds_apart: float = 0.0,
        pace: float = 1.0,
        acknowledge_seconds: float = ACKNOWLEDGE_SECONDS,
        subscribed: tuple[str, ...] = SUBSCRIBED,
        host: str = "127.0.0.1",
        port: int = 0,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._say, self._subscribed = say, subscribed
        self._changed = threading.Condition()
        self._events = 0
        self.attempts: list[Attempt] = []
        self.undelivered: list[str] = []
        self.workspace = Workspace(
            client_id, client_secret, bot_token, app_token, redirect_uris, rotation, token_seconds, said=self._heard
        )
        for channel in self.workspace.channels.values():
            channel.seconds_apart = seconds_apart
        self.delivery = Delivery(
            signing_secret,
            self._attempted,
            request_url=request_url,
            verify=verify,
            pace=pace,
            acknowledge_seconds=acknowledge_seconds,
        )
        self._server = Server(
            self.workspace,
            self.delivery.sockets,
            self._changed,
            host=host,
            port=port,
            write=self.write,
            record=self.record,
            say=say,
        )

    # --- what a test says ---------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    @property
    def calls(self) -> list[dict[str, Any]]:
        with self._changed:
            return list(self._server.calls)

    @property
    def refused(self) -> list[dict[str, Any]]:
        with self._changed:
            return list(self._server.refused)

    @property
    def answers(self) -> list[dict[str, Any]]:
        """What the application wrote, in order."""
        with self._changed:
            return [dict(message) for message in self.workspace.messages if message.get("bot_id")]

    @property
    def doubles(self) -> list[str]:
        """The keys under which more than one message of the application arrived."""
        keys = Counter(key for message in self.answers if (key := key_of(message)))
        return [key for key, count in keys.items() if count > 1]

    def write(
        self,
        text: str,
        *,
        channel: str = "D0ADA",
        user: str = "U0ADA",
        thread_ts: str | None = None,
        raw: bool = False,
        **more: Any,
    ) -> str:
        """Somebody writes; the time stamp of the message. ``@assistant`` mentions the bot, as a client writes it; ``raw``:
        ``text`` is as Slack sends it."""
        with self._changed:
            message = self.workspace.write(channel, user, text if raw else typed(text), thread_ts, **more)
            self._changed.notify_all()
            return str(message["ts"])

    def send(self, event: dict[str, Any], **more: Any) -> None:
        """Bring any event, as it is."""
        self._server.call(self._bring(self.envelope(event, **more)))

    def challenge(self) -> bool:
        return bool(self._server.call(self.delivery.challenge()))

    def disconnect_sockets(self, reason: str = "refresh_requested") -> None:
        self._server.call(self.delivery.sockets.disconnect(reason))

    def cut_sockets(self) -> None:
        self._server.call(self.delivery.sockets.cut())

    def fail(self, method: str, kind: str = "error", **options: Any) -> None:
        with self._changed:
            self._server.faults.append(Fault(method=method, kind=kind, **options))  # type: ignore[arg-type]

    def heal(self) -> None:
        with self._changed:
            self._server.faults.clear()

    def wait_for(self, condition: Callable[[Emulator], bool], seconds: float = 10.0) -> bool:
        """Wait until ``condition`` holds; it is looked at again whenever something has happened."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not condition(self):
                if not self._changed.wait(min(0.1, max(0.0, deadline - time.monotonic()))) and time.monotonic() >= deadline:
                    return condition(self)
            return True

    def record(self) -> dict[str, Any]:
        with self._changed:
            return {
                "messages": list(self.workspace.messages),
                "doubles": self.doubles,
                "files": {number: {"name": file.name, "shared": file.shared} for number, file in self.workspace.files.items()},
                "attempts": [asdict(attempt) for attempt in self.attempts],
                "undelivered": list(self.undelivered),
                "refused": list(self._server.refused),
                "tokens_issued": self.workspace.tokens_issued,
                "calls": list(self._server.calls),
            }

    def start(self) -> Emulator:
        self._server.start()
        return self

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- events -------------------------------------------------------------------------------------------------------------

    def envelope(self, event: dict[str, Any], **more: Any) -> dict[str, Any]:
        self._events += 1
        authorization = {
            "enterprise_id": None,
            "team_id": TEAM,
            "user_id": BOT_USER,
            "is_bot": True,
            "is_enterprise_install": False,
        }
        return {
            "token": "unused-verification-token",
            "team_id": TEAM,
            "context_team_id": TEAM,
            "context_enterprise_id": None,
            "api_app_id": APP,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{self._events:08d}",
            "event_time": int(time.time()),
            "authorizations": [authorization],
            "is_ext_shared_channel": False,
            "event_context": "4-emulated",
            **more,
        }

    def _heard(self, message: dict[str, Any]) -> None:
        """Who has subscribed hears of every message, the bot's own too."""
        channel = self.workspace.channels[message["channel"]]
        self._say(page.line(self.workspace, message))
        event = {**message, "event_ts": message["ts"], "channel_type": channel.kind}
        event.pop("metadata", None)
        events = [event] if KINDS[channel.kind] in self._subscribed else []
        if "app_mention" in self._subscribed and channel.kind != "im" and f"<@{BOT_USER}>" in message["text"]:
            mention = {key: value for key, value in event.items() if key not in ("channel_type", "subtype")}
            events.insert(0, {**mention, "type": "app_mention"})
        for one in events:
            asyncio.run_coroutine_threadsafe(self._bring(self.envelope(one)), self._server.loop)

    async def _bring(self, envelope: dict[str, Any]) -> None:
        if not await self.delivery.bring(envelope):
            with self._changed:
                self.undelivered.append(envelope["event_id"])
                self._changed.notify_all()

    def _attempted(self, attempt: Attempt) -> None:
        with self._changed:
            self.attempts.append(attempt)
            self._changed.notify_all()
        if not attempt.taken:
            self._say(
                f"(event {attempt.event_id} was not taken: {attempt.status or ''} {attempt.reason}, retry {attempt.retry})"
            )


def typed(text: str) -> str:
    """As a client sends what somebody typed."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@assistant", f"<@{BOT_USER}>")


def key_of(message: dict[str, Any]) -> str:
    payload = message.get("metadata", {}).get("event_payload", {})
    return str(payload.get("key", ""))
