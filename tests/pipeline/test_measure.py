"""The units of platforms' limits."""

from __future__ import annotations

import json

import pytest

from app.pipeline.measure import characters, json_bytes, utf8_bytes, utf16_units


@pytest.mark.parametrize(
    ("text", "sizes"),
    [  # utf8_bytes, characters, utf16_units, json_bytes
        ("", (0, 0, 0, 2)),
        ("ab", (2, 2, 2, 4)),
        ("é", (2, 1, 1, 8)),
        ("中文", (6, 2, 2, 14)),
        ("🎉", (4, 1, 2, 14)),
        ('"\n\\', (3, 3, 3, 8)),
        ("\ud83d", (3, 1, 1, 8)),  # half of a pair: no text, yet counted rather than a fault
    ],
)
def test_each_unit_counts_as_its_platform_does(text: str, sizes: tuple[int, int, int, int]) -> None:
    assert (utf8_bytes(text), characters(text), utf16_units(text), json_bytes(text)) == sizes


def test_json_bytes_is_never_less_than_what_a_writer_of_utf8_sends() -> None:
    text = 'a"\n中🎉\u2028\x7f'
    assert json_bytes(text) >= len(json.dumps(text, ensure_ascii=False).encode())
