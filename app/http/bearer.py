"""API keys in ``Authorization: Bearer …``: held as SHA-256 digests, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from pydantic import SecretStr
from starlette.requests import Request

from app.http.errors import ApiError


class BearerKeys:
    """The keys a service accepts (several while one replaces another)."""

    def __init__(self, keys: Iterable[SecretStr]) -> None:
        # API keys are long and random, so one round of SHA-256 is enough; what is in memory is not the key.
        self._digests = [hashlib.sha256(key.get_secret_value().encode()).digest() for key in keys]

    def check(self, request: Request) -> None:
        """Raise :class:`ApiError` 401 unless the request carries one of the keys."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        presented = hashlib.sha256(token.strip().encode()).digest()
        # Every digest is compared, so the time taken tells nothing about which one came near.
        matches = [hmac.compare_digest(presented, digest) for digest in self._digests]
        if scheme.lower() != "bearer" or not token.strip() or not any(matches):
            raise ApiError(
                401,
                "invalid_api_key",
                "a valid API key is required: send it in the header Authorization: Bearer <key>",
                headers={"WWW-Authenticate": "Bearer"},
            )
