"""How Slack brings an event: signed to the request URL, or through a WebSocket, and again where it is not taken.

Signatures are computed here, apart from the application's own code. Not taken within three seconds: again at once, after a
minute and after five, with ``X-Slack-Retry-Num`` and ``-Reason`` (https://docs.slack.dev/apis/events-api, "Retries"); ``pace``
shortens the waiting.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

RETRIES = (0.0, 60.0, 300.0)  # seconds to wait before each
ACKNOWLEDGE_SECONDS = 3.0  # what Slack waits for an answer


@dataclass
class Attempt:
    event_id: str
    retry: int  # 0 for the first
    taken: bool
    status: int | None = None  # None: no answer, or not by webhook
    reason: str = ""
    seconds: float = 0.0


def signed_headers(secret: str, body: bytes, at: float | None = None) -> dict[str, str]:
    """What Slack puts on a request; ``at`` in Unix seconds, now by default."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.digest(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest.hex()}",
    }


@dataclass
class Sockets:
    """The open WebSockets of Socket Mode; each event goes through one of them."""

    open: list[web.WebSocketResponse] = field(default_factory=list)
    acknowledged: dict[str, asyncio.Event] = field(default_factory=dict)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        hello = {"type": "hello", "num_connections": len(self.open) + 1, "connection_info": {"app_id": request.query["app_id"]}}
        await socket.send_json(hello)
        self.open.append(socket)
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    waiting = self.acknowledged.get(json.loads(message.data).get("envelope_id", ""))
                    if waiting:
                        waiting.set()
        finally:
            self.open.remove(socket)
        return socket

    async def send(self, payload: dict[str, Any], retry: int, reason: str, seconds: float) -> tuple[bool, str]:
        """Whether the envelope was acknowledged in time, and why not."""
        if not self.open:
            return False, "connection_failed"
        number = str(uuid.uuid4())
        waiting = self.acknowledged[number] = asyncio.Event()
        envelope = {
            "envelope_id": number,
            "type": "events_api",
            "accepts_response_payload": False,
            "payload": payload,
            "retry_attempt": retry,
            "retry_reason": reason,
        }
        try:
            await self.open[-1].send_json(envelope)
            await asyncio.wait_for(waiting.wait(), seconds)
        except (TimeoutError, ConnectionError):
            return False, "timeout"
        finally:
            del self.acknowledged[number]
        return True, ""

    async def disconnect(self, reason: str) -> None:
        """As Slack does every few hours: it tells the client to open another connection, and closes this one."""
        for socket in list(self.open):
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "emulator"}})
            await asyncio.sleep(0.05)
            await socket.close()

    async def cut(self) -> None:
        for socket in list(self.open):
            await socket.close()


class Delivery:
    """``request_url`` None: Socket Mode. ``told`` hears of every attempt."""

    def __init__(
        self,
        signing_secret: str,
        told: Callable[[Attempt], None],
        *,
        request_url: str | None = None,
        verify: ssl.SSLContext | bool = True,
        pace: float = 1.0,
        acknowledge_seconds: float = ACKNOWLEDGE_SECONDS,
    ) -> None:
        self.signing_secret, self.request_url, self.pace = signing_secret, request_url, pace
        self.acknowledge_seconds = acknowledge_seconds
        self.verify, self.sockets = verify, Sockets()
        self._told = told

    async def bring(self, envelope: dict[str, Any]) -> bool:
        """Whether the event was taken in the end."""
        reason = ""
        for retry, wait in enumerate((0.0, *RETRIES)):
            await asyncio.sleep(wait * self.pace)
            attempt = await self._attempt(envelope, retry, reason)
            self._told(attempt)
            if attempt.taken or attempt.reason == "no_retry":
                return attempt.taken
            reason = attempt.reason
        return False

    async def challenge(self) -> bool:
        """What happens when somebody enters the request URL: it must echo a signed challenge."""
        challenge = uuid.uuid4().hex
        body = json.dumps({"token": "unused", "challenge": challenge, "type": "url_verification"}).encode()
        status, answer, _ = await self._post(body, {})
        try:
            return status == 200 and json.loads(answer) == {"challenge": challenge}
        except ValueError:
            return False

    async def _attempt(self, envelope: dict[str, Any], retry: int, reason: str) -> Attempt:
        number, began = str(envelope.get("event_id", "")), time.monotonic()
        if self.request_url is None:
            taken, why = await self.sockets.send(envelope, retry, reason, self.acknowledge_seconds)
            return Attempt(number, retry, taken, None, why, time.monotonic() - began)
        headers = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": reason} if retry else {}
        body = json.dumps(envelope, ensure_ascii=retry % 2 == 1).encode()  # an escaped body says the same in other bytes
        try:
            status, _, answered = await self._post(body, headers)
        except TimeoutError:
            return Attempt(number, retry, False, None, "http_timeout", time.monotonic() - began)
        except aiohttp.ClientSSLError:
            return Attempt(number, retry, False, None, "ssl_error", time.monotonic() - began)
        except (aiohttp.ClientError, OSError):
            return Attempt(number, retry, False, None, "connection_failed", time.monotonic() - began)
        taken = 200 <= status < 300
        why = "" if taken else "no_retry" if answered.get("X-Slack-No-Retry") == "1" else "http_error"
        return Attempt(number, retry, taken, status, why, time.monotonic() - began)

    async def _post(self, body: bytes, more: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        assert self.request_url is not None
        headers = signed_headers(self.signing_secret, body) | more
        limit = aiohttp.ClientTimeout(total=self.acknowledge_seconds)
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.post(self.request_url, data=body, headers=headers, ssl=self.verify, allow_redirects=False) as answer,
        ):
            return answer.status, await answer.read(), dict(answer.headers)
