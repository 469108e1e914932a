"""Whether the credentials are right, found out by using them: what ``make connect`` asks of Feishu.

The encrypt key and the verification token cannot be asked for. Feishu proves them itself, when the request URL is saved in the
console: the gateway's refusal names the one that differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from app.http.outbound import CallFailed, exchange
from app.platforms.feishu.api import CALL_SECONDS, JSON_TYPE, encoded, read
from app.platforms.feishu.console import missing_scopes
from app.platforms.feishu.errors import Reply, failure
from app.platforms.platform import Retryable
from app.settings import FeishuSettings

# Of the bot's `activate_status`; the documentation of GET /open-apis/bot/v3/info lists them.
ACTIVE = 2
STATES = {
    0: "it is not installed yet: publish a version and have the organisation's administrator approve it",
    1: "the organisation's administrator has disabled it",
    3: "it is installed and waits to be enabled by the organisation's administrator",
    4: "its new version waits to be enabled by the organisation's administrator",
    5: "its licence has expired",
    6: "the organisation's plan does not include it any more",
}


class CheckFailed(Exception):
    """``field``: the setting, or the page of the console, that is wrong; the message says why and what to do. ``passing``:
    it may be otherwise in a while, without anybody's doing."""

    def __init__(self, field: str, message: str, *, passing: bool = False) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.passing = field, passing


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom the credentials belong to. ``token`` is for the calls that follow."""

    name: str
    open_id: str  # ou_…: who is mentioned, FEISHU_BOT_OPEN_ID
    scopes: frozenset[str]
    token: str


async def identify(settings: FeishuSettings, client: httpx2.AsyncClient) -> Identity:
    """Raises :class:`CheckFailed`; for missing permissions too, by their names."""
    if settings.feishu_app_id is None:
        raise CheckFailed("FEISHU_APP_ID", 'is not set: copy the App ID (cli_…) from "Credentials & Basic Info"')
    if settings.feishu_app_secret is None:
        raise CheckFailed("FEISHU_APP_SECRET", 'is not set: copy the App Secret from "Credentials & Basic Info"')
    token = await _token(settings, settings.feishu_app_id, settings.feishu_app_secret.get_secret_value(), client)
    _, bot = await _ask(settings.feishu_url, client, "GET", "/bot/v3/info", token, "Add Features, Bot", "the bot")
    found = bot.get("bot")
    open_id = found.get("open_id") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(open_id, str):
        raise CheckFailed("Add Features, Bot", "the application has no bot: add it, and publish a version")
    if (status := found.get("activate_status")) != ACTIVE:
        state = STATES.get(status, "") if isinstance(status, int) else ""
        raise CheckFailed("Version Management & Release", state or "the application is in a state that is not known here")
    if settings.feishu_bot_open_id not in (None, open_id):
        raise CheckFailed("FEISHU_BOT_OPEN_ID", f"is another bot's: this application's is {open_id}")
    scopes = await _scopes(settings.feishu_url, client, token)
    if missing := missing_scopes(scopes):
        reasons = "; ".join(f"{scope.name} ({scope.reason})" for scope in missing)
        raise CheckFailed("Permissions & Scopes", f"{reasons} is missing: add it, and publish a version")
    name = found.get("app_name")
    return Identity(name=name if isinstance(name, str) else "", open_id=open_id, scopes=scopes, token=token)


def check_webhook(settings: FeishuSettings) -> str | None:
    """What to know before events come by webhook, None where all is well. Raises :class:`CheckFailed`."""
    if settings.feishu_verification_token is None:
        raise CheckFailed("FEISHU_VERIFICATION_TOKEN", 'is not set: copy it from "Events & Callbacks, Encryption strategy"')
    if settings.feishu_encrypt_key is None:
        return (
            "FEISHU_ENCRYPT_KEY is not set: events are proved by the verification token alone, which stands in each of them. "
            'Generate an encrypt key under "Events & Callbacks, Encryption strategy"'
        )
    return None


async def say_hello(url: str, client: httpx2.AsyncClient, token: str, to: str, text: str) -> str:
    """Write ``text`` to a person (``ou_…``, an address) or a chat (``oc_…``); the message's id. Raises :class:`CheckFailed`."""
    kinds = {"ou_": "open_id", "oc_": "chat_id", "on_": "union_id"}
    kind = "email" if "@" in to else kinds.get(to[:3], "user_id")
    body = {"receive_id": to, "msg_type": "text", "content": (encoded({"text": text}) or b"").decode()}
    path = f"/im/v1/messages?receive_id_type={kind}"
    _, data = await _ask(url, client, "POST", path, token, "the receiver", "the message", body)
    return number if isinstance(number := data.get("message_id"), str) else ""


async def _token(settings: FeishuSettings, app_id: str, secret: str, client: httpx2.AsyncClient) -> str:
    path = "/auth/v3/tenant_access_token/internal"
    body = {"app_id": app_id, "app_secret": secret}
    reply, data = await _exchange(settings.feishu_url, client, "POST", path, None, body)
    token = data.get("tenant_access_token")
    if reply.fine and isinstance(token, str):
        return token
    other = "Lark's (https://open.larksuite.com)" if "feishu.cn" in settings.feishu_url else "Feishu's (https://open.feishu.cn)"
    if reply.code == 10003:
        raise CheckFailed("FEISHU_APP_ID", f"is no application here. If it is {other}, FEISHU_URL is the one to correct")
    if reply.code == 10014:
        raise CheckFailed("FEISHU_APP_SECRET", 'is not this application\'s: copy it again from "Credentials & Basic Info"')
    raise _failed(reply, "FEISHU_URL" if reply.code is None else "FEISHU_APP_ID", "the token")


async def _scopes(url: str, client: httpx2.AsyncClient, token: str) -> frozenset[str]:
    _, data = await _ask(url, client, "GET", "/application/v6/scopes", token, "Permissions & Scopes", "the permissions")
    listed = data.get("scopes")
    return frozenset(
        scope["scope_name"]
        for scope in (listed if isinstance(listed, list) else [])
        if isinstance(scope, dict)
        and scope.get("grant_status") == 1
        and scope.get("scope_type", "tenant") == "tenant"
        and isinstance(scope.get("scope_name"), str)
    )


async def _ask(
    url: str,
    client: httpx2.AsyncClient,
    method: str,
    path: str,
    token: str,
    field: str,
    what: str,
    body: Mapping[str, Any] | None = None,
) -> tuple[Reply, Mapping[str, Any]]:
    reply, data = await _exchange(url, client, method, path, token, body)
    if not reply.fine:
        raise _failed(reply, field, what)
    return reply, data


async def _exchange(
    url: str, client: httpx2.AsyncClient, method: str, path: str, token: str | None, body: Mapping[str, Any] | None
) -> tuple[Reply, Mapping[str, Any]]:
    headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **({"Content-Type": JSON_TYPE} if body else {})}
    address = f"{url.rstrip('/')}/open-apis{path}"
    try:
        return read(await exchange(client, method, address, encoded(body), headers, CALL_SECONDS))
    except CallFailed as error:
        raise CheckFailed("FEISHU_URL", f"{error}: is this machine allowed to reach it?", passing=True) from None


def _failed(reply: Reply, field: str, what: str) -> CheckFailed:
    error = failure(reply, what)
    passing = isinstance(error, Retryable)
    return CheckFailed("FEISHU_URL" if passing or reply.code is None else field, str(error), passing=passing)
