"""The generic collaboration platform, played by a real HTTP server on loopback.

It does what a platform of its kind does, and keeps a record: it issues access tokens (OAuth2 client credentials, HTTP Basic),
takes signed messages, takes calendar entries from those who hold a token, and gives a repeated idempotency key no second
effect. Signatures are checked by the ``standardwebhooks`` package, not by the application's own code, so that the two cannot
share a misreading. Faults happen on demand: :meth:`Emulator.fail` in a test, ``POST /faults`` from outside.

==========================  =========================================================================================
POST /oauth/token           Basic client credentials -> ``{"access_token", "token_type", "expires_in"}``
POST /messages              Standard Webhooks headers, ``{"event", "conversation", "text"}`` -> 200, repeated or not
POST /calendar/events       Bearer token, ``Idempotency-Key`` -> 201 ``{"id", "url"}``; another body under a key: 422
GET  /record                all that arrived: ``{"messages", "calendar", "repeated", "tokens_issued", "refused"}``
POST /faults                ``{"path", "kind", …}`` as in :class:`Fault`; DELETE /faults ends them all
==========================  =========================================================================================
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from generic.faulty_server import Answer, Fault, FaultyServer
from standardwebhooks import Webhook, WebhookVerificationError

_UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.answer = Answer(status, {"error": code, "message": message}, headers or {})


class Emulator:
    """State and rules; :class:`FaultyServer` is the HTTP round them. Thread-safe."""

    def __init__(
        self,
        *,
        client_secret: str,
        webhook_secret: str,
        client_id: str = "assistant",
        token_lifetime: Any = 3600,
        host: str = "127.0.0.1",  # pods of a cluster on this machine reach the bridge's address instead
        port: int = 0,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.client_id, self.client_secret = client_id, client_secret
        self.token_lifetime = token_lifetime  # as it stands in expires_in; None leaves the field out
        self._webhooks = [Webhook(secret) for secret in webhook_secret.split()]
        self._say = say
        self._changed = threading.Condition()
        self._tokens: dict[str, float] = {}
        self._messages: dict[str, dict[str, Any]] = {}
        self._calendar: dict[str, tuple[dict[str, Any], Answer]] = {}
        self._faults: list[Fault] = []
        self.repeated: list[dict[str, str]] = []
        self.refused: list[dict[str, Any]] = []
        self.tokens_issued = 0
        self._host = host
        self._server = FaultyServer(host, port, self.handle, self.take_fault)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Delivered once each, in order: the body, with ``id`` (the webhook-id)."""
        with self._changed:
            return list(self._messages.values())

    @property
    def calendar(self) -> list[dict[str, Any]]:
        with self._changed:
            return [entry for entry, _ in self._calendar.values()]

    def start(self) -> Emulator:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def fail(self, path: str, kind: str = "status", **options: Any) -> None:
        with self._changed:
            self._faults.append(Fault(path=path, kind=kind, **options))  # type: ignore[arg-type]

    def heal(self) -> None:
        with self._changed:
            self._faults.clear()

    def expire_tokens(self) -> None:
        """Every token that was issued stops being valid, whatever its expires_in said."""
        with self._changed:
            self._tokens.clear()

    def wait_for(self, condition: Callable[[Emulator], bool], seconds: float = 10.0) -> bool:
        """Wait until ``condition`` holds; it is looked at again after each request."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), seconds)

    def record(self) -> dict[str, Any]:
        with self._changed:
            return {
                "messages": self.messages,
                "calendar": self.calendar,
                "repeated": list(self.repeated),
                "tokens_issued": self.tokens_issued,
                "refused": list(self.refused),
            }

    # --- the rules, one for each path -------------------------------------------------------------------------------------

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        routes: dict[tuple[str, str], Callable[[], Answer]] = {
            ("POST", "/oauth/token"): lambda: self._issue_token(headers, body),
            ("POST", "/messages"): lambda: self._take_message(headers, body),
            ("POST", "/calendar/events"): lambda: self._take_calendar_entry(headers, body),
            ("GET", "/record"): lambda: Answer(200, self.record()),
            ("POST", "/faults"): lambda: (self.fail(**_object(body)), Answer(200, {}))[1],
            ("DELETE", "/faults"): lambda: (self.heal(), Answer(200, {}))[1],
        }
        with self._changed:
            try:
                if (method, path) not in routes:
                    raise Refused(404, "not_found", f"no {method} {path} here")
                answer = routes[method, path]()
            except Refused as refusal:
                answer = refusal.answer
                self.refused.append({"path": path, "status": answer.status, **answer.body})
                self._say(f"refused   {method} {_shown(path)}: {answer.status} {answer.body['message']}")
            self._changed.notify_all()
            return answer

    def take_fault(self, path: str) -> Fault | None:
        with self._changed:
            for fault in self._faults:
                if fault.path == path and fault.times > 0:
                    fault.times -= 1
                    return fault
            return None

    def _issue_token(self, headers: dict[str, str], body: bytes) -> Answer:
        form = parse_qs(body.decode("ascii", "replace"))
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        try:
            client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            client = secret = ""
        right = hmac.compare_digest(unquote_plus(secret).encode(), self.client_secret.encode())
        if scheme.lower() != "basic" or unquote_plus(client) != self.client_id or not right:
            raise Refused(401, "invalid_client", "client id or secret are wrong", {"WWW-Authenticate": "Basic"})
        if headers.get("content-type", "").split(";")[0] != "application/x-www-form-urlencoded":
            raise Refused(400, "invalid_request", "the body is not form-encoded")
        if form.get("grant_type") != ["client_credentials"]:
            raise Refused(400, "unsupported_grant_type", "grant_type is not client_credentials")
        token = secrets.token_urlsafe(24)
        lifetime = self.token_lifetime
        valid = float(lifetime) if isinstance(lifetime, int | float) and not isinstance(lifetime, bool) else 3600.0
        self._tokens[token] = time.monotonic() + valid
        self.tokens_issued += 1
        self._say(f"token     issued to {_shown(self.client_id)}")
        answer = {"access_token": token, "token_type": "Bearer"} | ({} if lifetime is None else {"expires_in": lifetime})
        return Answer(200, answer, {"Cache-Control": "no-store"})

    def _take_message(self, headers: dict[str, str], body: bytes) -> Answer:
        for webhook in self._webhooks:
            try:
                webhook.verify(body, headers, json_parse=False)
                break
            except (WebhookVerificationError, ValueError):  # ValueError: what the library does on malformed input
                continue
        else:
            raise Refused(401, "invalid_signature", "the message is not signed with the webhook secret, or not just now")
        message = _object(body)
        if set(message) != {"event", "conversation", "text"} or not all(isinstance(value, str) for value in message.values()):
            raise Refused(400, "invalid_message", "event, conversation and text, all strings, are expected")
        key = headers["webhook-id"]
        if key in self._messages:
            self.repeated.append({"path": "/messages", "key": key})
            self._say(f"message   repeated for {_shown(message['conversation'])}: no second effect")
            return Answer(200, {"status": "duplicate"})
        self._messages[key] = {"id": key, **message}
        self._say(f"message   → {_shown(message['conversation'])}: {_shown(message['text'])}")
        return Answer(200, {"status": "delivered"})

    def _take_calendar_entry(self, headers: dict[str, str], body: bytes) -> Answer:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or self._tokens.get(token, 0.0) <= time.monotonic():
            raise Refused(
                401, "invalid_token", "the access token is missing, unknown or expired", {"WWW-Authenticate": "Bearer"}
            )
        key = headers.get("idempotency-key", "")
        if not key:
            raise Refused(400, "missing_key", "the header Idempotency-Key is required")
        entry = _object(body)
        if problem := _entry_problem(entry):
            raise Refused(400, "invalid_entry", problem)
        if key in self._calendar:
            earlier, answer = self._calendar[key]
            if earlier != entry:
                raise Refused(422, "key_reused", "the Idempotency-Key was used with another body")
            self.repeated.append({"path": "/calendar/events", "key": key})
            self._say(f"calendar  repeated {_shown(entry['summary'])}: no second effect")
            return answer
        number = f"cal-{len(self._calendar) + 1}"
        answer = Answer(201, {"id": number, "url": f"{self.url}/calendar/events/{number}"})
        self._calendar[key] = (entry, answer)
        self._say(f"calendar  created {_shown(entry['summary'])} on {entry['start']}")
        return answer


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        raise Refused(400, "invalid_json", "the body is not JSON") from None
    if not isinstance(value, dict):
        raise Refused(400, "invalid_json", "the body is not a JSON object")
    return value


def _entry_problem(entry: dict[str, Any]) -> str | None:
    if unknown := set(entry) - {"summary", "start", "attendees"}:
        return f"unknown fields {sorted(unknown)}"
    if not isinstance(entry.get("summary"), str) or not entry["summary"].strip():
        return "summary is empty"
    attendees = entry.get("attendees", [])
    if not isinstance(attendees, list) or not all(isinstance(attendee, str) and attendee for attendee in attendees):
        return "attendees is not a list of names"
    start = entry.get("start")
    try:
        if isinstance(start, str) and _UTC_TIME.fullmatch(start):
            datetime.fromisoformat(start)
        else:
            date.fromisoformat(start if isinstance(start, str) and len(start) == 10 else "")
    except ValueError:
        return "start is neither YYYY-MM-DD nor a time in UTC"
    return None


def _shown(text: str) -> str:
    """One line for a terminal: no control characters, not endless."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= 200 else line[:199] + "…"
