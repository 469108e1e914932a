from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from app.http.body import MAX_DEPTH, MAX_VALUES, parse_json, validate
from app.http.errors import ApiError


class Wanted(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    name: str
    count: int | None = None


REFUSED = {
    "empty": b"",
    "not JSON": b"{name: 1}",
    "two values": b"{} {}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "broken UTF-8": b'{"name": "\xff"}',
    "overlong UTF-8": b'{"name": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "raw NUL": b'{"name": "a\x00"}',
    "escaped NUL": rb'{"name": "a\u0000"}',
    "lone surrogate": rb'{"name": "\ud800"}',
    "lone surrogate in a key": rb'{"\udfff": 1}',
    "duplicate key": b'{"name": 1, "name": 2}',
    "nested duplicate key": b'[{"a": {"b": 1, "b": 2}}]',
    "NaN": b'{"count": NaN}',
    "minus Infinity": b'{"count": -Infinity}',
    "infinite by exponent": b'{"count": 1e999}',
    "integer of 5000 digits": b'{"count": 1' + b"0" * 5000 + b"}",
    "integer of 21 digits": b'{"count": 1' + b"0" * 20 + b"}",
    "too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "depth of 100,000": b"[" * 100_000,
    "objects 100,000 deep": b'{"a":' * 100_000,
    "too many values": b"[" + b"[]," * MAX_VALUES + b"[]]",
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_ambiguous_or_hostile_json_is_refused_with_400(raw: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        parse_json(raw)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")
    assert len(caught.value.message) < 200


def test_what_is_at_the_limit_is_read() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert parse_json(rb'{"a": "\ud83d\ude00", "b": [1e308, -1234567890123456789]}')["a"] == "😀"


SCALARS = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text('aé问😀\\"')


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner), max_leaves=20))
def test_every_honest_value_survives(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [b'"' + b'\\"' * 500_000, b"[]," * 300_000, b"{" + b",".join(b'"%d":1' % i for i in range(90_000)) + b',"89999":1}'],
    ids=["escaped quotes", "brackets", "late duplicate"],
)
def test_a_megabyte_made_to_be_slow_is_refused_quickly(raw: bytes) -> None:
    begin = time.perf_counter()
    with pytest.raises(ApiError):
        parse_json(raw)
    assert time.perf_counter() - begin < 2  # quadratic scans of these take minutes


@pytest.mark.parametrize(
    ("value", "code", "param"),
    [
        ([], "invalid_type", None),
        ("text", "invalid_type", None),
        ({}, "missing_field", "name"),
        ({"name": 1}, "invalid_type", "name"),
        ({"name": "x", "count": True}, "invalid_type", "count"),
        ({"name": "x", "count": "3"}, "invalid_type", "count"),
        ({"name": "x", "nmae": 3}, "unknown_field", "nmae"),
    ],
)
def test_a_field_at_fault_is_named(value: object, code: str, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        validate(Wanted, value)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)


def test_a_refused_value_is_not_repeated() -> None:
    with pytest.raises(ApiError) as caught:
        validate(Wanted, {"name": ["a secret"]})
    assert "secret" not in caught.value.message
