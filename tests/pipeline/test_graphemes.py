"""Where a text may be cut, against the full rules of Unicode as the regex module has them."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.pipeline.graphemes import boundary_before, is_boundary

SIGNS = "a中 \u0301\u20dd\ufe0f\u200d\u200c👩👧❤👍🏽🇩🇪🇫각가각क्ष\u093f\u0e33\r\n\U000e0067🏴\u3099"


@pytest.mark.parametrize(
    "whole",
    [
        "e\u0301",
        "👍🏽",
        "👩‍👩‍👧‍👦",
        "🇩🇪",
        "☀️",
        "한",
        "ᄀ\u1161\u11a8",
        "क्षि",
        "🏴\U000e0067\U000e0062\U000e007f",
        "\r\n",
        "か\u3099",
    ],
)
def test_what_a_reader_sees_as_one_character_is_not_cut(whole: str) -> None:
    text = f"x{whole}x"
    assert [index for index in range(len(text) + 1) if is_boundary(text, index)] == [0, 1, len(text) - 1, len(text)]


def test_flags_are_cut_between_pairs() -> None:
    text = "🇩🇪🇫🇷🇮🇹"
    assert [index for index in range(len(text)) if is_boundary(text, index)] == [0, 2, 4]


def test_the_place_before_is_0_where_the_first_character_is_longer() -> None:
    assert boundary_before("e\u0301\u0301x", 2) == 0
    assert boundary_before("ae\u0301x", 2) == 1


@settings(deadline=None)
@given(st.text(st.sampled_from(SIGNS), max_size=12))
@example("\u094d🏽क")
def test_every_cut_is_one_that_unicode_allows(text: str) -> None:
    regex = pytest.importorskip("regex")
    ends = {0, *(found.end() for found in regex.finditer(r"\X", text))}
    assert {index for index in range(len(text) + 1) if is_boundary(text, index)} <= ends
