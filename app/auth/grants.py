"""How an access token is asked for, and what the answer says: pure functions, one class for each kind of grant.

``ClientCredentials`` is RFC 6749 §4.4. Vendors that issue tokens in their own way (another body, ``expire`` for
``expires_in``) become further classes of the same :class:`Grant`; :class:`app.auth.token_manager.TokenManager` stays as it is.
"""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import quote_plus, urlencode

DEFAULT_LIFETIME_SECONDS = 3600.0  # where the answer does not say (expires_in is only RECOMMENDED, RFC 6749 §5.1)
MAX_LIFETIME_SECONDS = 86_400.0  # an absurd number must not keep a token for ever; a day is longer than vendors grant
# Error codes are repeated in logs, so only the registered ones: an authorisation server can put anything into the field.
_KNOWN_ERRORS = {
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"),
    *("server_error", "temporarily_unavailable"),
}
# Goes into a header: visible ASCII alone, so that no token can inject a line.
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,300}(?:\.\d{1,300})?", re.ASCII)


class MalformedTokenAnswer(ValueError):
    """The token endpoint's answer is not what its protocol says; the message holds nothing of the answer itself."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One POST to the token endpoint. Its repr names no credential."""

    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """``lifetime``: seconds from the request on."""

    token: str = field(repr=False)
    lifetime: float


class Grant(Protocol):
    def request(self, client_id: str, client_secret: str) -> TokenRequest: ...

    def parse(self, body: bytes) -> IssuedToken:
        """The token in a successful answer. Raises :class:`MalformedTokenAnswer`."""


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
            # §2.3.1: both parts are form-encoded first, so a colon in the id or a non-ASCII secret survives.
            pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")
        else:
            form |= {"client_id": client_id, "client_secret": client_secret}
        return TokenRequest(headers, urlencode(form).encode("ascii"))

    def parse(self, body: bytes) -> IssuedToken:
        values = _json_object(body)
        token, kind = values.get("access_token"), values.get("token_type", "Bearer")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise MalformedTokenAnswer("access_token is missing or is not visible ASCII")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise MalformedTokenAnswer("token_type is not Bearer")
        return IssuedToken(token, lifetime_seconds(values.get("expires_in")))


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
    """The registered ``error`` code of a refusal (RFC 6749 §5.2), None for anything else."""
    try:
        code = _json_object(body).get("error")
    except MalformedTokenAnswer:
        return None
    return code if isinstance(code, str) and code in _KNOWN_ERRORS else None


def _json_object(body: bytes) -> dict[str, object]:
    try:
        values = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a number of 5,000 digits, nested without end
        raise MalformedTokenAnswer("the answer is not JSON in UTF-8") from None
    if not isinstance(values, dict):
        raise MalformedTokenAnswer("the answer is not a JSON object")
    return values
