"""Setting properties keeps every mark and touches nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from policies.remediation import NotPossible, remediated
from policies.values import OUTPUT, SECRET, SIGNATURE, UNKNOWN, Secret, decode

UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def marked(value: Any) -> dict[str, Any]:
    return {SIGNATURE: SECRET, "value": value}


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ({"days": 30}, ("days",), 365, {"days": 365}),
        ({}, ("days",), 365, {"days": 365}),
        ({"days": None}, ("days",), 365, {"days": 365}),
        ({"a": {"b": {"c": 1, "d": 2}}}, ("a", "b", "c"), True, {"a": {"b": {"c": True, "d": 2}}}),
        ({"x": 1}, ("a", "b", "c"), "v", {"x": 1, "a": {"b": {"c": "v"}}}),
        ({"a": None}, ("a", "b"), "v", {"a": {"b": "v"}}),
        ({"a": {"b": UNKNOWN_TEXT}}, ("a", "b"), [1, {"c": 2}], {"a": {"b": [1, {"c": 2}]}}),
    ],
)
def test_a_property_is_set_wherever_it_stands(
    encode: Any, before: dict[str, Any], path: tuple[str, ...], value: Any, after: dict[str, Any]
) -> None:
    assert decode(remediated(encode(before), {path: value})) == after


def test_several_are_set_at_once_and_what_was_sent_stays_as_it_was(encode: Any) -> None:
    sent = encode({"a": 1, "b": {"c": 2}})
    assert decode(remediated(sent, {("a",): 3, ("b", "d"): 4})) == {"a": 3, "b": {"c": 2, "d": 4}}
    assert decode(sent) == {"a": 1, "b": {"c": 2}}
    assert decode(remediated(sent, {})) == decode(sent)


def test_the_marks_of_everything_else_are_kept(encode: Any, canary: str) -> None:
    sent = encode({"days": 1, "token": marked(canary), "later": UNKNOWN_TEXT, "list": [marked(canary)]})
    after = decode(remediated(sent, {("days",): 2}))
    assert after["later"] is UNKNOWN
    assert after["token"] == Secret(canary)
    assert after["list"] == [Secret(canary)]


def test_a_mark_stays_round_what_is_set_in_it(encode: Any, canary: str) -> None:
    sent = encode({"a": marked({"b": 1, "c": canary}), "d": marked(1), "twice": marked(marked({"e": 1}))})
    after = decode(remediated(sent, {("a", "b"): 2, ("d",): 3, ("twice", "e"): 4}))
    assert after["a"] == Secret({"b": 2, "c": canary})
    assert after["d"] == Secret(3)
    assert after["twice"] == Secret(Secret({"e": 4}))


@pytest.mark.parametrize(
    ("before", "path", "words"),
    [
        ({"a": 7}, ("a", "b"), "a is no mapping"),
        ({"a": [1]}, ("a", "b"), "a is no mapping"),
        ({"a": UNKNOWN_TEXT}, ("a", "b"), "a is no mapping"),
        ({"a": {"b": "hunter2"}}, ("a", "b", "c"), "a.b is no mapping"),
        ({"a": marked("hunter2")}, ("a", "b"), "a is no mapping"),
        ({"a": {SIGNATURE: OUTPUT}}, ("a", "b"), "a is not known before the update"),
        ({"a": {SIGNATURE: OUTPUT, "value": {"b": 1}}}, ("a", "b"), "a is not known before the update"),
        ({"a": {SIGNATURE: SECRET}}, ("a", "b"), "a is not known before the update"),
        ({"x": {"a": {SIGNATURE: OUTPUT}}}, ("x", "a", "b", "c"), "x.a is not known before the update"),
    ],
)
def test_what_stands_in_the_way_is_named_and_not_shown(
    encode: Any, before: dict[str, Any], path: tuple[str, ...], words: str
) -> None:
    with pytest.raises(NotPossible) as reason:
        remediated(encode(before), {path: 1})
    assert str(reason.value) == words
