"""One call of Feishu's interface: with a tenant's access token, renewed once where Feishu does not accept it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import httpx2

from app.auth.access_tokens import AccessTokenRefused, AccessTokens, AccessTokenUnavailable
from app.http.outbound import Answer, CallFailed, exchange
from app.platforms.feishu.errors import Reply, TokenRejected, failure, reset_seconds
from app.platforms.platform import Retryable

CALL_SECONDS = 10.0
JSON_TYPE = "application/json; charset=utf-8"


class FeishuApi:
    """``url``: https://open.feishu.cn, or Lark's. ``tokens`` and ``client`` belong to whoever made them."""

    def __init__(self, url: str, tokens: AccessTokens, client: httpx2.AsyncClient, call_seconds: float = CALL_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._tokens, self._client, self._call_seconds = tokens, client, call_seconds

    async def call(
        self,
        team: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        what: str,
    ) -> Mapping[str, Any]:
        """The answer's ``data``. ``path`` is made with :func:`path_of`. Raises :class:`Retryable` or :class:`GivenUp`."""
        return await self.exchange(team, method, path, encoded(body), JSON_TYPE, query=query, what=what)

    async def exchange(
        self,
        team: str,
        method: str,
        path: str,
        body: bytes | None,
        content_type: str,
        *,
        query: Mapping[str, str] | None = None,
        what: str,
    ) -> Mapping[str, Any]:
        """As :meth:`call`, with a body of any kind."""
        address = f"{self._url}/open-apis{path}" + (f"?{urlencode(query)}" if query else "")
        token = await self._token(team)
        reply, data = await self._exchange(method, address, body, content_type, token, what)
        error = None if reply.fine else failure(reply, what)
        if isinstance(error, TokenRejected):
            await self._tokens.rejected(team, token)
            reply, data = await self._exchange(method, address, body, content_type, await self._token(team), what)
            error = None if reply.fine else failure(reply, what)
        if isinstance(error, TokenRejected):
            # As with a refused client: somebody has to mend it, and it is not this event's fault.
            raise Retryable(f"{error}, although it has just been issued")
        if error is not None:
            raise error
        return data

    async def _exchange(
        self, method: str, address: str, body: bytes | None, content_type: str, token: str, what: str
    ) -> tuple[Reply, Mapping[str, Any]]:
        headers = {"Authorization": f"Bearer {token}", **({"Content-Type": content_type} if body is not None else {})}
        try:
            answer = await exchange(self._client, method, address, body, headers, self._call_seconds)
        except CallFailed as error:
            raise Retryable(f"Feishu did not take the call for {what}: {error}", counted=error.sent) from None
        return read(answer)

    async def _token(self, team: str) -> str:
        try:
            return await self._tokens.token(team)
        except AccessTokenUnavailable as error:
            raise Retryable(str(error), error.retry_after, counted=False) from None
        except AccessTokenRefused as error:
            raise Retryable(str(error)) from None


def path_of(*parts: str) -> str:
    """``path_of("/im/v1/messages/", message_id, "/reply")``: every second part is a name, and stays within its place."""
    return "".join(quote(part, safe="") if number % 2 else part for number, part in enumerate(parts))


def encoded(body: Mapping[str, Any] | None) -> bytes | None:
    if body is None:
        return None
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def read(answer: Answer) -> tuple[Reply, Mapping[str, Any]]:
    """``data`` is empty where there is none; the few interfaces that answer outside of it (the bot's) have their whole body."""
    log_id = answer.headers.get("x-tt-logid", "")
    retry_after = reset_seconds(answer.headers)
    reply = Reply(
        answer.status,
        None,
        log_id=log_id if log_id.isascii() and log_id.isalnum() and len(log_id) <= 64 else "",
        retry_after=answer.retry_after if retry_after is None else retry_after,
    )
    try:
        value = json.loads(answer.body.decode("utf-8"))
    except (ValueError, RecursionError):
        return reply, {}
    if not isinstance(value, dict) or not isinstance(code := value.get("code"), int):
        return reply, {}
    message, data = value.get("msg"), value.get("data")
    return (
        Reply(reply.status, code, message if isinstance(message, str) else "", reply.log_id, reply.retry_after),
        data if isinstance(data, dict) else {name: item for name, item in value.items() if name not in ("code", "msg")},
    )
