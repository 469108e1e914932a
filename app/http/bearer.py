"""API keys in ``Authorization: Bearer …``, as :mod:`app.auth.api_keys` holds and compares them."""

from __future__ import annotations

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
