"""API keys in ``Authorization: Bearer …``, as :mod:`app.auth.api_keys` holds and compares them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pydantic import SecretStr
from starlette.requests import Request

from app.auth.api_keys import ApiKeys
from app.http.errors import ApiError


def require_key(keys: ApiKeys, request: Request) -> None:
    """Raise :class:`ApiError` 401 unless the request carries one of ``keys``."""
    if not keys.accepts(request.headers.getlist("authorization")):
        raise ApiError(
            401,
            "invalid_api_key",
            "a valid API key is required: send it in the header Authorization: Bearer <key>",
            headers={"WWW-Authenticate": "Bearer"},
        )


class BearerKeys:
    """The keys a service accepts (several while one replaces another), as its settings hold them."""

    def __init__(self, keys: Iterable[SecretStr]) -> None:
        self._keys = ApiKeys(hashlib.sha256(key.get_secret_value().encode()).digest() for key in keys)

    def check(self, request: Request) -> None:
        """Raise :class:`ApiError` 401 unless the request carries one of the keys."""
        require_key(self._keys, request)
