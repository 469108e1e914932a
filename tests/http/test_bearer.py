from __future__ import annotations

import pytest
from starlette.requests import Request

from app.auth.api_keys import ApiKeys
from app.http.bearer import require_key
from app.http.errors import ApiError


def request(*headers: tuple[str, str]) -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "headers": raw, "method": "GET", "path": "/"})


KEYS = ApiKeys.parse("new-key-of-16-chars old-key-of-16-chars")


@pytest.mark.parametrize("value", ["Bearer new-key-of-16-chars", "bearer old-key-of-16-chars", "Bearer  new-key-of-16-chars "])
def test_any_of_the_keys_is_let_in(value: str) -> None:
    require_key(KEYS, request(("authorization", value)))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer new-key-of-16-char",
        "Bearer new-key-of-16-chars2",
        "Basic new-key-of-16-chars",
        "new-key-of-16-chars",
        "Bearer \xff\xfe",
    ],
)
def test_anything_else_is_refused_with_401(value: str) -> None:
    with pytest.raises(ApiError) as caught:
        require_key(KEYS, request(("authorization", value)))
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"
    assert "new-key" not in caught.value.message


def test_no_header_is_refused() -> None:
    with pytest.raises(ApiError):
        require_key(KEYS, request())


def test_the_key_itself_is_not_kept() -> None:
    assert "new-key" not in repr(vars(KEYS))
