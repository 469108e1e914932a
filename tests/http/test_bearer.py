from __future__ import annotations

import pytest
from pydantic import SecretStr
from starlette.requests import Request

from app.http.bearer import BearerKeys
from app.http.errors import ApiError


def request(*headers: tuple[str, str]) -> Request:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "headers": raw, "method": "GET", "path": "/"})


KEYS = BearerKeys([SecretStr("new-key"), SecretStr("old-key")])


@pytest.mark.parametrize("value", ["Bearer new-key", "bearer old-key", "Bearer  new-key "])
def test_any_of_the_keys_is_let_in(value: str) -> None:
    KEYS.check(request(("authorization", value)))


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Bearer new-ke", "Bearer new-key2", "Basic new-key", "new-key", "Bearer \xff\xfe"]
)
def test_anything_else_is_refused_with_401(value: str) -> None:
    with pytest.raises(ApiError) as caught:
        KEYS.check(request(("authorization", value)))
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"
    assert "new-key" not in caught.value.message


def test_no_header_is_refused() -> None:
    with pytest.raises(ApiError):
        KEYS.check(request())


def test_an_empty_key_lets_nobody_in() -> None:
    with pytest.raises(ApiError):
        BearerKeys([SecretStr("")]).check(request(("authorization", "Bearer ")))


def test_the_key_itself_is_not_kept() -> None:
    assert "new-key" not in repr(vars(KEYS))
