"""Long answers in pieces: what stays together, where the rest is cut, and that nothing is lost whatever the limit and unit."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_answers import ANSWERS, GLYPHS_SHOWN, holds, letters

from app.pipeline.document import Document, Paragraph, Text, parse
from app.pipeline.measure import characters, json_bytes, utf8_bytes, utf16_units
from app.pipeline.rendering import to_markdown, to_plain
from app.pipeline.splitting import split

MEASURES = [utf8_bytes, characters, utf16_units, json_bytes]


def enveloped(document: Document) -> str:
    """As a platform's message, whose format needs room of its own."""
    return json.dumps({"type": "md", "text": to_markdown(document)})


def pieces(source: str, limit: int, measure: Callable[[str], int] = characters) -> list[str]:
    found = split(parse(source), limit, measure, to_markdown)
    assert all(measure(piece) <= limit for piece in found)
    return list(found)


@settings(deadline=None)
@given(ANSWERS, st.sampled_from(MEASURES), st.integers(64, 600))
def test_pieces_hold_all_text_within_the_limit_and_none_is_empty(
    source: str, measure: Callable[[str], int], limit: int
) -> None:
    found = split(parse(source), limit, measure, to_markdown)
    assert all(measure(piece) <= limit for piece in found)
    assert all(piece.strip() for piece in found)
    assert holds("".join(found), letters(source))


@settings(deadline=None)
@given(ANSWERS, st.sampled_from(MEASURES), st.integers(64, 600))
def test_every_piece_closes_the_fences_that_it_opens(source: str, measure: Callable[[str], int], limit: int) -> None:
    for piece in split(parse(source), limit, measure, to_markdown):
        assert parse(piece + "\n\nbehind").blocks[-1] == Paragraph((Text("behind"),))


@settings(deadline=None)
@given(ANSWERS, st.sampled_from([utf8_bytes, characters, utf16_units]), st.integers(200, 600))
def test_no_character_that_a_reader_sees_as_one_is_torn(source: str, measure: Callable[[str], int], limit: int) -> None:
    joined = "".join(split(parse(source), limit, measure, to_markdown))
    assert all(joined.count(glyph) >= source.count(glyph) for glyph in GLYPHS_SHOWN)


@settings(deadline=None)
@given(ANSWERS, st.integers(160, 600))
def test_a_format_that_needs_room_of_its_own_gets_it(source: str, limit: int) -> None:
    found = split(parse(source), limit, utf8_bytes, enveloped)
    assert all(utf8_bytes(piece) <= limit for piece in found)
    assert holds("".join(json.loads(piece)["text"] for piece in found), letters(source))


@settings(deadline=None)
@given(ANSWERS, st.integers(64, 600))
def test_plain_text_is_split_as_well(source: str, limit: int) -> None:
    found = split(parse(source), limit, utf16_units, to_plain)
    assert all(utf16_units(piece) <= limit for piece in found)


def test_what_fits_is_one_piece() -> None:
    source = "# Title\n\none\n\n- two"
    assert pieces(source, len(source)) == [source]


def test_nothing_is_no_piece() -> None:
    assert pieces(" \n", 100) == []


def test_a_limit_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a limit of 10 does not hold one character"):
        split(parse("hello"), 10, utf8_bytes, enveloped)


def test_paragraphs_that_fit_stay_whole() -> None:
    assert pieces("one two three\n\nfour five six\n\nseven", 22) == ["one two three", "four five six\n\nseven"]


def test_a_long_paragraph_is_cut_after_a_sentence() -> None:
    found = pieces("It costs 3.50 today. Tomorrow, it may be more. Who knows what then.", 50)
    assert found == ["It costs 3.50 today. Tomorrow, it may be more.", "Who knows what then."]


def test_a_long_chinese_paragraph_is_cut_after_a_sentence() -> None:
    assert pieces("今天天气很好，我们去公园。他说：“好！”然后大家都走了。", 22) == [
        "今天天气很好，我们去公园。他说：“好！”",
        "然后大家都走了。",
    ]


def test_without_a_sentence_it_is_cut_between_words_and_without_words_between_characters() -> None:
    assert pieces("one two three four", 10) == ["one two", "three four"]
    assert pieces("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert pieces("👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 60, utf8_bytes) == ["👩‍👩‍👧‍👦👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"]


def test_styles_go_on_in_the_next_piece() -> None:
    assert pieces("**one two three four** end", 16) == ["**one two**", "**three four**", "end"]


@pytest.mark.parametrize(
    "whole", ["[a long label](https://a.example)", "`some code that is long`", "https://a.example/b?c=d,e。"[:-1]]
)
def test_links_addresses_and_code_are_not_torn_where_they_fit(whole: str) -> None:
    assert whole in pieces(f"before it some words {whole} and some more words behind", 45)[1]
    assert whole in "\n".join(pieces(f"以前的一些文字没有空格{whole}后面还有一些文字，也没有空格", 40))


def test_a_link_that_fits_nowhere_becomes_text() -> None:
    url = "https://a.example/" + "x" * 100
    assert "".join(pieces(f"[label]({url})", 50)).replace(" ", "") == f"label({url})"


def test_code_goes_on_under_a_fence_of_its_own_language() -> None:
    found = pieces("```python\na = 1\nb = 2\nc = 3\n```", 29)
    assert found == ["```python\na = 1\nb = 2\n```", "```python\nc = 3\n```"]


def test_code_that_fits_a_piece_of_its_own_is_not_torn() -> None:
    found = pieces("Some words before it.\n\n```\na = 1\nb = 2\nc = 3\n```", 45)
    assert found == ["Some words before it.", "```\na = 1\nb = 2\nc = 3\n```"]


def test_code_with_fences_in_it_is_fenced_by_longer_ones() -> None:
    assert pieces("````md\n```\na\n```\n````", 19) == ["````md\n```\na\n````", "````md\n```\n````"]


def test_a_numbered_list_goes_on_with_its_number() -> None:
    assert pieces("8. one\n9. two\n10. three", 14) == ["8. one\n9. two", "10. three"]


def test_an_item_that_fits_is_not_torn() -> None:
    assert pieces("1. one\n2. two and more words", 24) == ["1. one", "2. two and more words"]


def test_what_is_left_of_a_torn_item_stands_before_the_list_that_goes_on() -> None:
    assert pieces("1. one\n2. two three four five\n3. six", 20) == ["1. one\n2. two three", "four five\n\n3. six"]


def test_a_nested_list_is_cut_between_its_items() -> None:
    found = pieces("1. one\n   - a\n   - b\n   - c\n2. two", 18)
    assert found == ["1. one\n   - a", "- b\n- c\n\n2. two"]


def test_a_heading_stays_with_what_it_heads() -> None:
    assert pieces("some words\n\n# Title\n\nmore words", 22) == ["some words", "# Title\n\nmore words"]


def test_a_table_is_cut_between_rows_under_the_same_header() -> None:
    head = "| a | b |\n| --- | --- |"
    source = f"{head}\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |"
    assert pieces(source, len(head) + 20) == [f"{head}\n| 1 | 2 |\n| 3 | 4 |", f"{head}\n| 5 | 6 |"]


def test_a_quote_goes_on_as_a_quote() -> None:
    assert pieces("> one two three\n>\n> four", 17) == ["> one two three", "> four"]


def test_a_row_that_fits_nowhere_becomes_text() -> None:
    found = pieces("|a|b|\n|-|-|\n|" + "word " * 20 + "|x|", 40)
    assert "".join("".join(found).split()) == "a|b" + "word" * 20 + "|x"


@pytest.mark.parametrize(
    "unit",
    [
        "A sentence. ",
        "一句话。",
        "word **bold** `code` [link](https://a.example) ",
        "- item\n",
        "1. a\n   - b\n",
        "p\n\n",
        "x",
        "> q\n",
    ],
)
def test_the_work_grows_with_the_length_and_no_faster(unit: str) -> None:
    def work(length: int) -> int:
        rendered = 0

        def render(document: Document) -> str:
            nonlocal rendered
            text = to_markdown(document)
            rendered += len(text)
            return text

        split(parse(unit * (length // len(unit))), 300, characters, render)
        return rendered

    assert work(40_000) < 5 * work(10_000)
