"""How an access token is asked for, and what the answer says: pure functions, one class for each dialect.

============================  =========================================================================================
:class:`ClientCredentials`    RFC 6749 §4.4, the generic platform
:class:`TenantAccessToken`    Feishu and Lark: JSON, ``expire``, an error is a ``code`` that is not 0, mostly with HTTP 200
:class:`SlackRotation`        Slack: a refresh token that is good for one use, an error is ``"ok": false`` with HTTP 200
============================  =========================================================================================

A bot token of Slack that never expires needs no grant: see :class:`app.auth.static_tokens.StaticTokens`.
"""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol
from urllib.parse import quote_plus, urlencode

DEFAULT_LIFETIME_SECONDS = 3600.0  # where the answer does not say (expires_in is only RECOMMENDED, RFC 6749 §5.1)
NEVER_EXPIRES: Final = math.inf
MAX_LIFETIME_SECONDS = 86_400.0  # an absurd number must not keep a token for ever; a day is longer than vendors grant
# Error codes are repeated in logs, so only the registered ones: an authorisation server can put anything into the field.
_KNOWN_ERRORS = {
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"),
    *("server_error", "temporarily_unavailable"),
}
# Goes into a header: visible ASCII alone, so that no token can inject a line.
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}", re.ASCII)
_SLACK_ERROR = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,300}(?:\.\d{1,300})?", re.ASCII)


# Feishu's common errors, https://open.feishu.cn/document/ukTMukTMukTM/ugjM14COyUjL4ITN: the rate limit.
_FEISHU_BUSY: Final = frozenset({99991400})
# https://docs.slack.dev/reference/methods/oauth.v2.access#errors: what "may succeed if it is tried again".
_SLACK_BUSY: Final = frozenset(
    {"fatal_error", "internal_error", "ratelimited", "request_timeout", "service_unavailable", "team_added_to_org"}
)


class MalformedTokenAnswer(ValueError):
    """The token endpoint's answer is not what its protocol says; the message holds nothing of the answer itself."""


class GrantRefused(Exception):
    """The endpoint says no in the body of an answer with HTTP 200. ``passing``: it may say yes when asked again."""

    def __init__(self, code: str, *, passing: bool = False) -> None:
        super().__init__(code)
        self.code, self.passing = code, passing


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One POST to the token endpoint. Its repr names no credential."""

    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """``lifetime``: seconds from the request on, or :data:`NEVER_EXPIRES`. ``refresh_token``: good for the next one, once."""

    token: str = field(repr=False)
    lifetime: float
    refresh_token: str | None = field(default=None, repr=False)


class Grant(Protocol):
    def request(self, client_id: str, client_secret: str) -> TokenRequest: ...

    def parse(self, body: bytes) -> IssuedToken:
        """The token in an answer with HTTP 200. Raises :class:`MalformedTokenAnswer` or :class:`GrantRefused`."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """RFC 6749 §4.4, form-encoded.

    ``authentication``: "basic" (§2.3.1, which every server must support) or "body" (``client_id`` and ``client_secret`` as
    parameters); never both, which §2.3 forbids.
    """

    scope: str | None = None
    authentication: Literal["basic", "body"] = "basic"

    def request(self, client_id: str, client_secret: str) -> TokenRequest:
        form = {"grant_type": "client_credentials"}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self.scope is not None:
            form["scope"] = self.scope
        if self.authentication == "basic":
            headers["Authorization"] = basic(client_id, client_secret)
        else:
            form |= {"client_id": client_id, "client_secret": client_secret}
        return TokenRequest(headers, urlencode(form).encode("ascii"))

    def parse(self, body: bytes) -> IssuedToken:
        values = json_object(body)
        token, kind = token_in(values, "access_token"), values.get("token_type", "Bearer")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise MalformedTokenAnswer("token_type is not Bearer")
        return IssuedToken(token, lifetime_seconds(values.get("expires_in")))


@dataclass(frozen=True, slots=True)
class TenantAccessToken:
    """Feishu's token of an application that its own company made.

    https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal: POST
    ``/open-apis/auth/v3/tenant_access_token/internal``. A token lives two hours. Who asks while 30 minutes or more remain gets
    the same token again, with what remains as ``expire``; with less, a new one, and the old lives on beside it. So several
    processes may ask at any time, and renewing earlier than that changes nothing.
    """

    def request(self, client_id: str, client_secret: str) -> TokenRequest:
        body = json.dumps({"app_id": client_id, "app_secret": client_secret}).encode("ascii")
        return TokenRequest({"Content-Type": "application/json; charset=utf-8"}, body)

    def parse(self, body: bytes) -> IssuedToken:
        values = feishu_answer(body)
        return IssuedToken(token_in(values, "tenant_access_token"), lifetime_seconds(values.get("expire")))


@dataclass(frozen=True, slots=True)
class SlackRotation:
    """The next pair for a refresh token, which Slack takes once and revokes then.

    https://docs.slack.dev/authentication/using-token-rotation: POST ``oauth.v2.access`` with ``grant_type=refresh_token``. The
    access token lives 12 hours (``expires_in`` 43200). The identity goes as HTTP Basic, which
    https://docs.slack.dev/reference/methods/oauth.v2.access asks for.
    """

    refresh_token: str = field(repr=False)

    def request(self, client_id: str, client_secret: str) -> TokenRequest:
        form = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        return slack_request(client_id, client_secret, form)

    def parse(self, body: bytes) -> IssuedToken:
        values = slack_answer(body)
        lifetime = lifetime_seconds(values.get("expires_in"))
        return IssuedToken(token_in(values, "access_token"), lifetime, token_in(values, "refresh_token"))


def basic(client_id: str, client_secret: str) -> str:
    """RFC 6749 §2.3.1: both parts are form-encoded first, so a colon in the id or a non-ASCII secret survives."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")


def slack_request(client_id: str, client_secret: str, form: dict[str, str]) -> TokenRequest:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": basic(client_id, client_secret)}
    return TokenRequest(headers, urlencode(form).encode("ascii"))


def slack_answer(body: bytes) -> dict[str, object]:
    """Raises :class:`GrantRefused` for ``"ok": false``, which comes with HTTP 200."""
    values = json_object(body)
    if values.get("ok") is True:
        return values
    error = values.get("error")
    code = error if isinstance(error, str) and _SLACK_ERROR.fullmatch(error) else "an unknown error"
    raise GrantRefused(code, passing=code in _SLACK_BUSY)


def feishu_answer(body: bytes) -> dict[str, object]:
    """Raises :class:`GrantRefused` for a ``code`` other than 0, which comes with HTTP 200 as well as with others."""
    values = json_object(body)
    code = values.get("code", 0)
    if code in (0, "0"):
        return values
    raise GrantRefused(str(code), passing=code in _FEISHU_BUSY) if _is_number(code) else GrantRefused("an unknown error")


def token_in(values: dict[str, object], name: str) -> str:
    token = values.get(name)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise MalformedTokenAnswer(f"{name} is missing or is not visible ASCII")
    return token


def lifetime_seconds(expires_in: object) -> float:
    """Seconds, within 0 and :data:`MAX_LIFETIME_SECONDS`, of whatever stands in ``expires_in``.

    Absent, or nothing that could be meant as a number: the default; a platform that disagrees answers 401, and the token is
    renewed then. Numbers in a string count, as some servers send them. Not positive: 0, good for the one use it was asked for.
    """
    number: float | None = None
    if isinstance(expires_in, str) and _DECIMAL.fullmatch(expires_in.strip()):
        number = float(expires_in)
    elif isinstance(expires_in, int | float) and not isinstance(expires_in, bool):
        try:
            number = float(expires_in)
        except OverflowError:
            number = math.inf if expires_in > 0 else 0.0
    if number is None or math.isnan(number):
        return DEFAULT_LIFETIME_SECONDS
    return min(max(number, 0.0), MAX_LIFETIME_SECONDS)


def error_code(body: bytes) -> str | None:
    """Feishu's numeric ``code`` of a refusal, or the registered ``error`` (RFC 6749 §5.2); None for anything else."""
    try:
        values = json_object(body)
    except MalformedTokenAnswer:
        return None
    number, code = values.get("code"), values.get("error")
    if _is_number(number):
        return str(number)
    return code if isinstance(code, str) and code in _KNOWN_ERRORS else None


def _is_number(code: object) -> bool:
    return isinstance(code, int) and not isinstance(code, bool) and 0 < code < 10**10


def json_object(body: bytes) -> dict[str, object]:
    try:
        values = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a number of 5,000 digits, nested without end
        raise MalformedTokenAnswer("the answer is not JSON in UTF-8") from None
    if not isinstance(values, dict):
        raise MalformedTokenAnswer("the answer is not a JSON object")
    return values
