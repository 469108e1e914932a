"""A Slack workspace: channels, people, messages, files, tokens, and the rules of the Web API's methods. No network here.

A method answers a dictionary or raises :class:`Refusal` with the error word that Slack documents. Sources: the methods' pages
under https://docs.slack.dev/reference/methods. Words that those pages leave open, and that are assumed here:
``thread_not_found`` of chat.postMessage, ``invalid_code_verifier`` of oauth.v2.access.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

TEAM, APP, BOT_USER, BOT = "T0ACME", "A0APP", "U0BOT", "B0BOT"
SCOPES = "app_mentions:read,channels:history,chat:write,files:write,groups:history,im:history,mpim:history"
HISTORY_SCOPES = {"im": "im:history", "mpim": "mpim:history", "channel": "channels:history", "group": "groups:history"}
TOKEN_SECONDS = 43_200  # of a bot token, where rotation is on
CODE_SECONDS = 600


class Refusal(Exception):
    """``{"ok": false, "error": word}``; with ``retry_after`` as 429."""

    def __init__(self, word: str, *, retry_after: int | None = None, **more: str) -> None:
        super().__init__(word)
        self.retry_after = retry_after
        self.values = {"ok": False, "error": word, **more}


@dataclass
class Channel:
    id: str
    kind: str  # "channel", "group", "mpim" or "im"
    name: str = ""
    bot_is_member: bool = True
    archived: bool = False
    seconds_apart: float = 1.0
    posted_at: float = -1e9  # by the bot, on the monotonic clock


@dataclass
class Token:
    team: str
    scopes: str
    expires_at: float | None = None  # monotonic
    revoked: bool = False


@dataclass
class Code:
    team: str
    redirect_uri: str
    scopes: str
    challenge: str
    issued_at: float
    used: bool = False


@dataclass
class File:
    name: str
    length: int
    ticket: str
    content: bytes | None = None
    shared: bool = False


@dataclass
class Workspace:
    """``rotation``: bot tokens expire and are refreshed, as an application with "Token Rotation" has them."""

    client_id: str
    client_secret: str
    bot_token: str
    app_token: str
    redirect_uris: tuple[str, ...] = ()
    rotation: bool = False
    token_seconds: float = TOKEN_SECONDS
    base_url: str = ""
    said: Callable[[dict[str, Any]], None] = lambda message: None  # hears every message, whoever wrote it
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[str, Token] = field(default_factory=dict)
    refresh_tokens: dict[str, Token] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    tickets: set[str] = field(default_factory=set)  # of WebSocket addresses
    tokens_issued: int = 0
    _count: int = 0

    def __post_init__(self) -> None:
        for channel in (
            Channel("C0GENERAL", "channel", "general"),
            Channel("C0ELSEWHERE", "channel", "elsewhere", bot_is_member=False),
            Channel("C0OLD", "channel", "old", archived=True),
            Channel("G0GROUP", "mpim", "a group"),
            Channel("D0ADA", "im", "U0ADA"),
            Channel("D0BEN", "im", "U0BEN"),
        ):
            self.channels[channel.id] = channel
        self.tokens[self.bot_token] = Token(TEAM, SCOPES)
        self.users = {"U0ADA": "ada", "U0BEN": "ben", BOT_USER: "assistant"}

    # --- what people do -----------------------------------------------------------------------------------------------------

    def write(self, channel: str, user: str, text: str, thread_ts: str | None = None, **more: Any) -> dict[str, Any]:
        thread = {"thread_ts": thread_ts} if thread_ts else {}
        return self._add({"channel": channel, "user": user, "text": text, "team": TEAM, **thread, **more})

    def authorise(self, query: Mapping[str, str]) -> str:
        """The address to which the browser goes back, once somebody has allowed the installation. Raises :class:`Refusal`."""
        if query.get("client_id") != self.client_id:
            raise Refusal("invalid_client_id")
        redirect = query.get("redirect_uri", "")
        if redirect not in self.redirect_uris:
            raise Refusal("bad_redirect_uri")
        if not query.get("scope"):
            raise Refusal("invalid_scope")
        if "code_challenge" in query and query.get("code_challenge_method") != "S256":
            raise Refusal("invalid_code_challenge_method")
        code = secrets.token_hex(16)
        self.codes[code] = Code(
            query.get("team") or TEAM, redirect, query["scope"], query.get("code_challenge", ""), time.monotonic()
        )
        return f"{redirect}?code={code}&state={query.get('state', '')}"

    # --- the methods --------------------------------------------------------------------------------------------------------

    def auth_test(self, token: Token, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "url": "https://acme.slack.com/",
            "team": "Acme",
            "user": "assistant",
            "team_id": token.team,
            "user_id": BOT_USER,
            "bot_id": BOT,
            "is_enterprise_install": False,
        }

    def chat_postmessage(self, token: Token, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self._need(token, "chat:write")
        channel = self._open_channel(str(arguments.get("channel", "")))
        text = self._text(arguments)
        metadata = arguments.get("metadata")
        if metadata is not None and not (
            isinstance(metadata, dict)
            and isinstance(metadata.get("event_type"), str)
            and isinstance(metadata.get("event_payload"), dict)
        ):
            raise Refusal("invalid_metadata_format")
        thread = self._thread(channel, arguments)
        self._pace(channel)
        message = self._add(
            {
                "channel": channel.id,
                "user": BOT_USER,
                "bot_id": BOT,
                "text": text,
                "team": token.team,
                **({"thread_ts": thread} if thread else {}),
                **({"metadata": metadata} if metadata else {}),
            }
        )
        return {"channel": channel.id, "ts": message["ts"], "message": message}

    def chat_update(self, token: Token, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self._need(token, "chat:write")
        channel = self._open_channel(str(arguments.get("channel", "")))
        text = self._text(arguments)
        for message in self.messages:
            if (message["channel"], message["ts"]) == (channel.id, arguments.get("ts")):
                if message.get("bot_id") != BOT:
                    raise Refusal("cant_update_message")
                message["text"], message["edited"] = text, {"user": BOT_USER, "ts": self._stamp()}
                return {"channel": channel.id, "ts": message["ts"], "text": text}
        raise Refusal("message_not_found")

    def conversations_replies(self, token: Token, arguments: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._readable(token, arguments)
        thread = str(arguments.get("ts", ""))
        found = [
            message
            for message in self.messages
            if message["channel"] == channel.id and thread in (message["ts"], message.get("thread_ts"))
        ]
        if not found:
            raise Refusal("thread_not_found")
        # The message that opened the thread comes whatever the limits say.
        return _page([message for message in found if message["ts"] == thread or _within(message, arguments)], arguments)

    def conversations_history(self, token: Token, arguments: Mapping[str, Any]) -> dict[str, Any]:
        channel = self._readable(token, arguments)
        found = [
            message
            for message in reversed(self.messages)
            if message["channel"] == channel.id and message.get("thread_ts") in (None, message["ts"])
        ]
        return _page([message for message in found if _within(message, arguments)], arguments)

    def conversations_open(self, token: Token, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self._need(token, "im:write")
        return {"channel": {"id": self._direct(str(arguments.get("users", ""))).id}}

    def users_info(self, token: Token, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self._need(token, "users:read")
        user = str(arguments.get("user", ""))
        if user not in self.users:
            raise Refusal("user_not_found")
        profile = {"email": f"{self.users[user]}@example.com"} if "users:read.email" in token.scopes.split(",") else {}
        return {
            "user": {
                "id": user,
                "name": self.users[user],
                "is_bot": user == BOT_USER,
                "tz": "Asia/Shanghai",
                "profile": profile,
            }
        }

    def files_getuploadurlexternal(self, token: Token, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self._need(token, "files:write")
        if not arguments.get("filename") or int(arguments.get("length", 0)) < 1:
            raise Refusal("invalid_arguments")
        number, ticket = f"F{len(self.files) + 1:08d}", secrets.token_urlsafe(16)
        self.files[number] = File(str(arguments["filename"]), int(arguments["length"]), ticket)
        return {"upload_url": f"{self.base_url}/upload/v1/{ticket}", "file_id": number}

    def upload(self, ticket: str, content: bytes) -> bool:
        for file in self.files.values():
            if file.ticket == ticket and len(content) == file.length:
                file.content = content
                return True
        return False

    def files_completeuploadexternal(self, token: Token, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self._need(token, "files:write")
        numbers = [str(entry.get("id", "")) for entry in arguments.get("files", [])]
        if not numbers or any(number not in self.files or self.files[number].content is None for number in numbers):
            raise Refusal("file_not_found")
        channel = self._open_channel(str(arguments.get("channel_id", "")))
        thread = self._thread(channel, arguments)
        shown = [{"id": number, "name": self.files[number].name, "title": self.files[number].name} for number in numbers]
        self._add(
            {
                "subtype": "file_share",
                "channel": channel.id,
                "user": BOT_USER,
                "bot_id": BOT,
                "text": str(arguments.get("initial_comment") or ""),
                "team": token.team,
                "files": shown,
                **({"thread_ts": thread} if thread else {}),
            }
        )
        for number in numbers:
            self.files[number].shared = True
        return {"files": shown}

    def apps_connections_open(self, credential: str) -> dict[str, Any]:
        if credential.startswith("xoxb-"):
            raise Refusal("not_allowed_token_type")
        if credential != self.app_token:
            raise Refusal("invalid_auth")
        ticket = secrets.token_urlsafe(16)
        self.tickets.add(ticket)
        return {"url": f"{self.base_url.replace('http', 'ws', 1)}/link?ticket={ticket}&app_id={APP}"}

    def oauth_v2_access(self, client: tuple[str, str], arguments: Mapping[str, Any]) -> dict[str, Any]:
        if client[0] != self.client_id:
            raise Refusal("invalid_client_id")
        if not hmac.compare_digest(client[1].encode(), self.client_secret.encode()):
            raise Refusal("bad_client_secret")
        grant = arguments.get("grant_type") or "authorization_code"
        if grant == "refresh_token":
            old = self.refresh_tokens.pop(str(arguments.get("refresh_token", "")), None)
            if old is None or old.revoked:
                raise Refusal("invalid_refresh_token")
            return self._issue(old.team, old.scopes)
        if grant != "authorization_code":
            raise Refusal("invalid_grant_type")
        code = self.codes.get(str(arguments.get("code", "")))
        if code is None or time.monotonic() - code.issued_at > CODE_SECONDS:
            raise Refusal("invalid_code")
        if code.used:
            raise Refusal("code_already_used")
        if arguments.get("redirect_uri", "") != code.redirect_uri:
            raise Refusal("bad_redirect_uri")
        verifier = str(arguments.get("code_verifier", ""))
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if code.challenge and digest != code.challenge:
            raise Refusal("invalid_code_verifier")
        code.used = True
        return self._issue(code.team, code.scopes)

    def who(self, credential: str) -> Token:
        """Raises :class:`Refusal`."""
        if not credential:
            raise Refusal("not_authed")
        token = self.tokens.get(credential)
        if token is None:
            raise Refusal("not_allowed_token_type" if credential == self.app_token else "invalid_auth")
        if token.revoked:
            raise Refusal("account_inactive")
        if token.expires_at is not None and time.monotonic() >= token.expires_at:
            raise Refusal("token_expired")
        return token

    def expire_tokens(self) -> None:
        for token in self.tokens.values():
            token.expires_at = 0.0

    # --- rules --------------------------------------------------------------------------------------------------------------

    def _issue(self, team: str, scopes: str) -> dict[str, Any]:
        self.tokens_issued += 1
        prefix = "xoxe.xoxb-1-" if self.rotation else "xoxb-"
        value = prefix + secrets.token_hex(16)
        self.tokens[value] = Token(team, scopes, time.monotonic() + self.token_seconds if self.rotation else None)
        rotating = {}
        if self.rotation:
            refresh = "xoxe-1-" + secrets.token_hex(16)
            self.refresh_tokens[refresh] = Token(team, scopes)
            rotating = {"refresh_token": refresh, "expires_in": int(self.token_seconds)}
        return {
            "access_token": value,
            "token_type": "bot",
            "scope": scopes,
            "bot_user_id": BOT_USER,
            "app_id": APP,
            "team": {"id": team, "name": "Acme"},
            "enterprise": None,
            "is_enterprise_install": False,
            "authed_user": {"id": "U0ADA"},
            **rotating,
        }

    def _add(self, message: dict[str, Any]) -> dict[str, Any]:
        message = {"type": "message", "ts": self._stamp(), **message}
        self.messages.append(message)
        self.said(message)
        return message

    def _stamp(self) -> str:
        self._count += 1
        return f"{int(time.time())}.{self._count:06d}"

    def _need(self, token: Token, scope: str) -> None:
        if scope not in token.scopes.split(","):
            raise Refusal("missing_scope", needed=scope, provided=token.scopes)

    def _direct(self, user: str) -> Channel:
        for channel in self.channels.values():
            if channel.kind == "im" and channel.name == user:
                return channel
        raise Refusal("channel_not_found" if user.startswith("U") else "user_not_found")

    def _open_channel(self, name: str) -> Channel:
        channel = self._direct(name) if name.startswith("U") else self.channels.get(name)
        if channel is None:
            raise Refusal("channel_not_found")
        if channel.archived:
            raise Refusal("is_archived")
        if not channel.bot_is_member:
            raise Refusal("not_in_channel")
        return channel

    def _readable(self, token: Token, arguments: Mapping[str, Any]) -> Channel:
        channel = self.channels.get(str(arguments.get("channel", "")))
        if channel is None:
            raise Refusal("channel_not_found")
        self._need(token, HISTORY_SCOPES[channel.kind])
        return channel

    def _text(self, arguments: Mapping[str, Any]) -> str:
        text, markdown = arguments.get("text"), arguments.get("markdown_text")
        if markdown and (text or arguments.get("blocks")):
            raise Refusal("markdown_text_conflict")
        if not (text or markdown or arguments.get("blocks")):
            raise Refusal("no_text")
        if len(markdown or "") > 12_000 or len(text or "") > 40_000:
            raise Refusal("msg_too_long")
        return str(markdown or text or json.dumps(arguments["blocks"]))

    def _thread(self, channel: Channel, arguments: Mapping[str, Any]) -> str:
        thread = str(arguments.get("thread_ts") or "")
        if thread and not any((message["channel"], message["ts"]) == (channel.id, thread) for message in self.messages):
            raise Refusal("thread_not_found")
        return thread

    def _pace(self, channel: Channel) -> None:
        now = time.monotonic()
        # A tenth is forgiven: the network may bring two messages closer together than they were sent.
        if now - channel.posted_at < 0.9 * channel.seconds_apart:
            raise Refusal("ratelimited", retry_after=max(1, round(channel.seconds_apart)))
        channel.posted_at = now


def _within(message: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    stamp = tuple(map(int, message["ts"].split(".")))
    oldest, latest = arguments.get("oldest"), arguments.get("latest")
    inclusive = _is_true(arguments.get("inclusive"))
    after = not oldest or stamp > _moment(oldest) or (inclusive and stamp == _moment(oldest))
    before = not latest or stamp < _moment(latest) or (inclusive and stamp == _moment(latest))
    return after and before


def _moment(text: str) -> tuple[int, ...]:
    seconds, _, rest = str(text).partition(".")
    return int(seconds), int(rest or 0)


def _page(messages: list[dict[str, Any]], arguments: Mapping[str, Any]) -> dict[str, Any]:
    start, limit = int(arguments.get("cursor") or 0), int(arguments.get("limit") or 100)
    chosen = messages[start : start + limit]
    if not _is_true(arguments.get("include_all_metadata")):
        chosen = [{key: value for key, value in message.items() if key != "metadata"} for message in chosen]
    more = start + limit < len(messages)
    return {"messages": chosen, "has_more": more, "response_metadata": {"next_cursor": str(start + limit) if more else ""}}


def _is_true(value: object) -> bool:
    return str(value).lower() in ("true", "1")
