"""What of a value may stand in a message."""

from __future__ import annotations

import pytest

from policies.show import show


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("10.0.0.0/16", "10.0.0.0/16"),
        ("*@example.com a_b-c+d:e", "*@example.com a_b-c+d:e"),
        ("a" * 64, "a" * 64),
        ("a" * 65, "a text of 65 characters"),
        ("two\nlines", "a text of 9 characters"),
        ("{braces}", "a text of 8 characters"),
        ("问题", "a text of 2 characters"),
        ("", "a text of 0 characters"),
        (7, "7"),
        (0.5, "0.5"),
        (10**70, str(10**70)),
    ],
)
def test_short_and_plain_texts_and_numbers_are_shown(value: str | float, shown: str) -> None:
    assert show(value) == shown


def test_what_looks_like_a_secret_is_not_however_plain(canary: str) -> None:
    assert show(canary) == f"a text of {len(canary)} characters"
