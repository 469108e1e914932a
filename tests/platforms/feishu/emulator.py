"""Feishu, played by a real HTTP server on loopback: tokens, messages, files, calendars, sign-in, and the events it delivers.

It behaves as the documentation says and keeps a record of what arrived; repeats that had no second effect stand in
``repeated``, so that a doubled message would show in ``messages``. Faults happen on demand: :meth:`Emulator.fail` in a test,
``POST /faults`` from outside. What a person would do in Feishu is done by ``POST /say``.

==================================================  =====================================================================
POST /open-apis/auth/v3/tenant_access_token/…       the same token until less than 30 minutes of it remain
POST /open-apis/im/v1/messages[/:id/reply]          ``uuid`` once an hour; 5 a second and chat; 30 KB, text 150 KB
PATCH, PUT /open-apis/im/v1/messages/:id            a card, a text
POST /open-apis/im/v1/files                         a form; the key serves in a message of the kind ``file``
POST /open-apis/calendar/v4/calendars/…             primary, events (``idempotency_key``), attendees; DELETE of an event
GET  /open-apis/bot/v3/info, …/application/v6/scopes
GET  /open-apis/authen/v1/authorize, POST …/v2/oauth/token (and /oauth/v3/token), GET …/v1/user_info
POST /callback/ws/endpoint                          where the long connection is (:mod:`feishu.connection`)
GET  /record, POST /say, POST and DELETE /faults    the emulator's own
==================================================  =====================================================================
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from feishu.calendars import Calendars
from feishu.delivery import Delivery, deliver
from feishu.messages import Messages
from feishu.refusal import Refused
from feishu.sign_in import SignIn
from feishu.wire import enclosed, mention, message_event
from generic.faulty_server import Answer, Fault, FaultyServer

TOKEN_SECONDS = 7200
RENEWABLE_SECONDS = 1800  # less than this remaining, and a new token is given
BOT_OPEN_ID = "ou_bot"
SCOPES = (
    "im:message",
    "im:message.p2p_msg:readonly",
    "im:message.group_at_msg:readonly",
    "im:message:send_as_bot",
    "im:resource",
    "calendar:calendar",
)


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            raise Refused(9499, "Bad Request", 400) from None
        if not isinstance(value, dict):
            raise Refused(9499, "Bad Request", 400)
        return value


@dataclass
class CodeFault:
    """``code`` and ``status`` at paths that match ``path``, ``times`` times; ``after_effect``: only the answer is lost."""

    path: str
    code: int
    msg: str = "on demand"
    status: int = 400
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    after_effect: bool = False


class Emulator:
    """``clock`` counts seconds and may be moved (:meth:`advance`). Thread-safe."""

    def __init__(
        self,
        *,
        app_id: str = "cli_a1b2c3",
        app_secret: str = "app-secret",  # noqa: S107
        encrypt_key: str | None = "encrypt-key",
        verification_token: str = "verification-token",  # noqa: S107
        redirect_uris: tuple[str, ...] = (),
        tenant: str = "tenant1",
        messages_per_second: int = 5,
        host: str = "127.0.0.1",
        port: int = 0,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.app_id, self.app_secret, self.tenant = app_id, app_secret, tenant
        self.encrypt_key, self.verification_token = encrypt_key, verification_token
        self.scopes = list(SCOPES)
        self.say = say
        self._skipped = 0.0
        self._changed = threading.Condition(threading.RLock())
        self._tokens: dict[str, float] = {}
        self._token = ""
        self.tokens_issued = 0
        self.refused: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.deliveries: list[Delivery] = []
        self.messages = Messages(self.clock, messages_per_second, say)
        self.calendars = Calendars(say)
        self.sign_in = SignIn(app_id, app_secret, redirect_uris, tenant, self.clock, say)
        self._faults: list[Fault | CodeFault] = []
        # Where a conversation's messages go: the webhook's address, "" for the long connection; and how.
        self.webhook = ""
        self.context: ssl.SSLContext | None = None
        self.time_scale = 1.0
        self.connection: Any = None  # a feishu.connection.Connections once somebody asks for it
        self._host = host
        self._server = FaultyServer(host, port, self.handle, self.take_fault)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    # --- running --------------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._server.server_address[1]}"

    def start(self) -> Emulator:
        self._thread.start()
        return self

    def stop(self) -> None:
        for delivery in self.deliveries:
            delivery.cancel()
        if self.connection is not None:
            self.connection.stop()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def clock(self) -> float:
        return time.monotonic() + self._skipped

    def advance(self, seconds: float) -> None:
        with self._changed:
            self._skipped += seconds

    def wait_for(self, condition: Callable[[Emulator], bool], seconds: float = 10.0) -> bool:
        """Wait until ``condition`` holds; it is looked at again after each request."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), seconds)

    def record(self) -> dict[str, Any]:
        with self._changed:
            return {
                "messages": self.messages.sent,
                "repeated": self.messages.repeated + self.calendars.repeated,
                "calendar": self.calendars.entries,
                "files": [file["name"] for file in self.messages.files.values()],
                "tokens_issued": self.tokens_issued,
                "refused": list(self.refused),
                "deliveries": [
                    {"message_id": delivery.message_id, "attempts": list(delivery.attempts)} for delivery in self.deliveries
                ],
            }

    # --- what a person and the platform do ------------------------------------------------------------------------------------

    def event(self, text: str, **fields: Any) -> dict[str, Any]:
        """A message of a person to the bot, of this application and tenant; as :func:`feishu.wire.message_event`."""
        fields.setdefault("tenant", self.tenant)
        event = message_event(text, app_id=self.app_id, token=self.verification_token, **fields)
        message = event["event"]["message"]
        with self._changed:
            self.messages.known(message["message_id"], message["chat_id"], message.get("thread_id", ""))
        return event

    def deliver(self, url: str, event: dict[str, Any], *, time_scale: float = 0.001, **options: Any) -> Delivery:
        """Post ``event`` to the webhook at ``url``, and again after 15 s, 5 min, 1 h and 6 h (times ``time_scale``) until it is
        answered with 200 in time. Each attempt is signed anew."""
        delivery = deliver(url, event, key=self.encrypt_key, time_scale=time_scale, say=self.say, **options)
        with self._changed:
            self.deliveries.append(delivery)
        return delivery

    def challenge(self, url: str, text: str = "c-123", **options: Any) -> Delivery:
        """Ask ``url`` whether it is the assistant's, as when it is entered in the console: not signed."""
        payload = {"type": "url_verification", "challenge": text, "token": self.verification_token}
        return deliver(url, payload, key=self.encrypt_key, signing=False, say=self.say, attempts=1, **options)

    def converse(self, text: str, *, group: bool = False) -> str:
        """A person writes ``text``, alone with the bot or to it in a group; delivered as :attr:`webhook` says. The id."""
        mentioned = [mention("@_user_1", BOT_OPEN_ID, "Assistant", "bot")] if group else None
        event = self.event(
            f"@_user_1 {text}" if group else text,
            chat="oc_group" if group else "oc_ada",
            chat_type="group" if group else "p2p",
            mentions=mentioned,
        )
        self.say(f"ada       → {shown(text)}")
        if self.webhook:
            self.deliver(self.webhook, event, time_scale=self.time_scale, context=self.context)
        else:
            threading.Thread(target=self.connected().deliver, args=(event,), daemon=True).start()
        return str(event["event"]["message"]["message_id"])

    def connected(self) -> Any:
        """The long connections; imported late, as the vendor's package takes seconds."""
        with self._changed:
            if self.connection is None:
                from feishu.connection import Connections

                self.connection = Connections(self._host, self.say)
            return self.connection

    # --- faults ---------------------------------------------------------------------------------------------------------------

    def fail(self, path: str, code: int | None = None, kind: str = "status", **options: Any) -> None:
        """``path``: a pattern that the path contains. With ``code``, Feishu's own error; else as :class:`Fault`."""
        fault = CodeFault(path, code, **options) if code is not None else Fault(path=path, kind=kind, **options)  # type: ignore[arg-type]
        with self._changed:
            self._faults.append(fault)

    def heal(self) -> None:
        with self._changed:
            self._faults.clear()

    def take_fault(self, path: str) -> Fault | None:
        found = self._fault(Fault, unquote(urlsplit(path).path))
        return found if isinstance(found, Fault) else None

    def _fault(self, kind: type[Fault] | type[CodeFault], path: str) -> Fault | CodeFault | None:
        with self._changed:
            for fault in self._faults:
                if isinstance(fault, kind) and fault.times > 0 and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
            return None

    def expire_tokens(self) -> None:
        """Every token that was issued stops being valid, whatever its ``expire`` said."""
        with self._changed:
            self._tokens.clear()
            self._token = ""

    # --- the rules ------------------------------------------------------------------------------------------------------------

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(path)
        request = Request(method, unquote(parts.path), dict(parse_qsl(parts.query)), headers, body)
        with self._changed:
            self.calls.append(f"{method} {request.path}")
            try:
                fault = self._fault(CodeFault, request.path)
                if isinstance(fault, CodeFault) and not fault.after_effect:
                    raise Refused(fault.code, fault.msg, fault.status, fault.headers)
                answer = self._route(request)
                if isinstance(fault, CodeFault):
                    raise Refused(fault.code, fault.msg, fault.status, fault.headers)
            except Refused as refusal:
                answer = refusal.answer
                self.refused.append({"path": request.path, **answer.body})
                self.say(f"refused   {method} {shown(request.path)}: {refusal}")
            answer.headers.setdefault("X-Tt-Logid", f"log{len(self.calls):08d}")
            self._changed.notify_all()
            return answer

    def _route(self, request: Request) -> Answer:
        open_routes: dict[tuple[str, str], Callable[[], Answer]] = {
            ("POST", "/open-apis/auth/v3/tenant_access_token/internal"): lambda: self._issue(request.json()),
            ("POST", "/callback/ws/endpoint"): lambda: self._endpoint(request.json()),
            ("GET", "/record"): lambda: Answer(200, self.record()),
            ("POST", "/faults"): lambda: (self.fail(**request.json()), Answer(200, {}))[1],
            ("DELETE", "/faults"): lambda: (self.heal(), Answer(200, {}))[1],
            ("POST", "/say"): lambda: Answer(200, {"message_id": self.converse(**request.json())}),
        }
        if (request.method, request.path) in open_routes:
            return open_routes[request.method, request.path]()
        if answer := self.sign_in.handle(request.method, request.path, request.query, request.headers, request.body):
            return answer
        self._authorise(request.headers)
        return Answer(200, {"code": 0, "msg": "success", **self._authorised(request)})

    def _authorised(self, request: Request) -> dict[str, Any]:
        match request.method, request.path.removeprefix("/open-apis").split("/")[1:]:
            case "GET", ["bot", "v3", "info"]:
                return {"bot": {"activate_status": 2, "app_name": "Assistant", "open_id": BOT_OPEN_ID, "ip_white_list": []}}
            case "GET", ["application", "v6", "scopes"]:
                granted = [{"scope_name": name, "grant_status": 1, "scope_type": "tenant"} for name in self.scopes]
                return {"data": {"scopes": granted}}
            case "POST", ["im", "v1", "messages", message_id, "reply"]:
                return {"data": self.messages.reply(message_id, request.json(), len(request.body))}
            case "POST", ["im", "v1", "messages"]:
                return {"data": self.messages.write(request.query, request.json(), len(request.body))}
            case "PATCH", ["im", "v1", "messages", message_id]:
                return {"data": self.messages.patch(message_id, request.json(), len(request.body))}
            case "PUT", ["im", "v1", "messages", message_id]:
                return {"data": self.messages.edit(message_id, request.json(), len(request.body))}
            case "POST", ["im", "v1", "files"]:
                return {"data": self.messages.upload(request.headers, request.body)}
            case method, ["calendar", "v4", "calendars", *rest]:
                return {"data": self.calendars.handle(method, rest, request.query, request.json())}
        raise Refused(99991405, "no such interface", 404)

    def _issue(self, body: dict[str, Any]) -> Answer:
        if body.get("app_id") != self.app_id:
            raise Refused(10003, "invalid param", 200)
        if body.get("app_secret") != self.app_secret:
            raise Refused(10014, "app secret invalid", 200)
        now = self.clock()
        if self._tokens.get(self._token, 0.0) - now < RENEWABLE_SECONDS:
            self.tokens_issued += 1
            self._token = f"t-{self.tokens_issued:04d}-{self.app_id}"
            self._tokens[self._token] = now + TOKEN_SECONDS
            self.say("token     issued")
        expire = int(self._tokens[self._token] - now)
        return Answer(200, {"code": 0, "msg": "ok", "tenant_access_token": self._token, "expire": expire})

    def _authorise(self, headers: dict[str, str]) -> None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not token:
            raise Refused(99991661, "Missing access token for authorization", 400)
        if scheme != "Bearer" or not token.startswith("t-"):
            raise Refused(99991671, "Invalid access token: must start with t- or u-", 400)
        if self._tokens.get(token, 0.0) <= self.clock():
            raise Refused(99991663, "Invalid access token for authorization. Please make a request with token attached.", 400)

    def _endpoint(self, body: dict[str, Any]) -> Answer:
        if body.get("AppID") != self.app_id or body.get("AppSecret") != self.app_secret:
            return Answer(200, {"code": 1000040345, "msg": "app_id or app_secret is wrong"})
        client = {"ReconnectCount": -1, "ReconnectInterval": 1, "ReconnectNonce": 0, "PingInterval": 120}
        return Answer(200, {"code": 0, "msg": "", "data": {"URL": self.connected().url(), "ClientConfig": client}})

    def body_of(self, event: dict[str, Any]) -> bytes:
        return enclosed(event, self.encrypt_key)


def shown(text: str) -> str:
    """One line for a terminal: no control characters, not endless."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= 400 else line[:399] + "…"
