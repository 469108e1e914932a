"""What is wrapped is laid open, once each, and what is none of it stays as it is."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from policies.expanded import LONGEST, expanded, from_base64
from policies.values import UNKNOWN, Secret


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(("name", "value"), [("name", "value"), ("Name", "Value"), ("key", "value"), ("Key", "Value")])
def test_a_pair_stands_under_its_name(name: str, value: str) -> None:
    assert expanded([{name: "API_KEY", value: "x"}]) == [{name: "API_KEY", "API_KEY": "x"}]


def test_a_pair_keeps_a_mark_and_an_unknown() -> None:
    (marked,) = expanded([{"name": "API_KEY", "value": Secret("x")}])  # type: ignore[misc]
    assert isinstance(marked["API_KEY"], Secret)
    assert expanded({"name": "API_KEY", "value": UNKNOWN}) == {"name": "API_KEY", "API_KEY": UNKNOWN}


@pytest.mark.parametrize("other", [{"name": "a"}, {"value": "x"}, {"name": "", "value": "x"}, {"name": 1, "value": "x"}])
def test_what_is_no_pair_stays(other: dict[str, object]) -> None:
    assert expanded(other) == other  # type: ignore[arg-type]


def test_json_in_a_text_is_read_also_within_json() -> None:
    inner = json.dumps([{"name": "API_KEY", "value": json.dumps({"a": ["b"]})}])
    assert expanded({"containerDefinitions": inner}) == {"containerDefinitions": [{"name": "API_KEY", "API_KEY": {"a": ["b"]}}]}


@pytest.mark.parametrize("text", ["plain", "{", "[1", "{{ template }}", "7", "", "[" * 100_000])
def test_a_text_that_is_no_json_stays(text: str) -> None:
    assert expanded(text) == text


def test_nesting_without_end_is_not_followed() -> None:
    text = "[1]"
    for _ in range(10):
        text = json.dumps([text])
    assert isinstance(expanded(text), list)


@pytest.mark.parametrize("name", ["userData", "userDataBase64"])
def test_user_data_is_read_packed_or_not(name: str) -> None:
    script = "#!/bin/sh\necho ä\n"
    assert expanded({name: in_base64(script.encode())}) == {name: script}
    assert expanded({name: in_base64(gzip.compress(script.encode()))}) == {name: script}
    assert expanded({name: script}) == {name: script}


def test_the_entries_of_binary_data_are_read_and_of_other_properties_not() -> None:
    text = in_base64(b"password=hunter2\n")
    assert expanded({"binaryData": {"a": text}, "data": {"a": text}}) == {
        "binaryData": {"a": "password=hunter2\n"},
        "data": {"a": text},
    }


def test_what_is_no_text_is_none() -> None:
    assert from_base64(in_base64(b"\x00\x01\xff")) is None
    assert from_base64(in_base64(b"\x00\x01")) is None
    assert from_base64(in_base64(b"\x1f\x8bno gzip")) is None
    assert from_base64("no base64!") is None


def test_what_unpacks_to_more_than_anybody_takes_is_cut() -> None:
    assert len(from_base64(in_base64(gzip.compress(b"a" * (LONGEST * 3)))) or "") == LONGEST
