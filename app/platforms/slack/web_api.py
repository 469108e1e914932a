"""Calls to Slack's Web API (https://docs.slack.dev/apis/web-api): one call, one answer. What it means, :mod:`.errors` says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx2

from app.http.outbound import Answer, client_for, post

CALL_SECONDS: Final = 10.0
UPLOAD_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """``values`` is None where the body is no answer of Slack's; it may hold tokens and texts, and is not shown."""

    answer: Answer
    values: Mapping[str, Any] | None

    @property
    def error(self) -> str | None:
        """The word of a refusal, "" for none; None where the body is no answer of Slack's."""
        if self.values is None:
            return None
        return "" if self.values["ok"] else self.text("error") or "unnamed_error"

    @property
    def scopes(self) -> frozenset[str]:
        """What the token may do, as every answer tells."""
        return frozenset(filter(None, (word.strip() for word in self.answer.headers.get("x-oauth-scopes", "").split(","))))

    def text(self, name: str) -> str:
        """A field that is a text; "" where it is something else or absent."""
        value = (self.values or {}).get(name)
        return value if isinstance(value, str) else ""


class WebApi:
    """Every method may raise :class:`app.http.outbound.CallFailed`."""

    def __init__(self, url: str, client: httpx2.AsyncClient | None = None, call_seconds: float = CALL_SECONDS) -> None:
        self._url = httpx2.URL(url.rstrip("/") + "/")
        self._client = client if client is not None else client_for(url)
        self._call_seconds = call_seconds

    async def call(self, method: str, token: str, arguments: Mapping[str, Any], *, form: bool = False) -> Reply:
        """``form``: the methods that read take no JSON (https://docs.slack.dev/apis/web-api/#slack-web-api__basics__post-bodies)."""
        kind = "application/x-www-form-urlencoded" if form else "application/json; charset=utf-8"
        body = urlencode(arguments) if form else json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        headers = {"Content-Type": kind, "Authorization": f"Bearer {token}"}
        address = self._url.join(method)
        return _reply(await post(self._client, address, body.encode("utf-8", "replace"), headers, self._call_seconds))

    async def upload(self, url: str, content: bytes) -> int:
        """The status of handing ``content`` over at ``url``, which is as secret as a token. Raises :class:`ValueError` for an
        address that is not Slack's own."""
        try:
            address = httpx2.URL(url)
        except httpx2.InvalidURL:
            raise ValueError("it is no address at all") from None
        if not is_own(address, self._url):
            raise ValueError(f"{address.host[:80]!r} is no address of Slack's")
        headers = {"Content-Type": "application/octet-stream"}
        return (await post(self._client, address, content, headers, UPLOAD_SECONDS)).status

    async def aclose(self) -> None:
        await self._client.aclose()


def is_own(address: httpx2.URL, api: httpx2.URL) -> bool:
    """Whether ``address``, which an answer named, is on the API's own host or below it (files.slack.com), and as well guarded:
    a file goes nowhere else, whatever an answer says."""
    same_host = address.host == api.host or address.host.endswith(f".{api.host}")
    return same_host and (address.scheme, address.port, address.userinfo) == (api.scheme, api.port, b"")


def _reply(answer: Answer) -> Reply:
    try:
        values = json.loads(answer.body.decode("utf-8"))
    except (ValueError, RecursionError):
        values = None
    known = isinstance(values, dict) and isinstance(values.get("ok"), bool)
    return Reply(answer, values if known else None)
