"""An answer's tree: what is read as what, that nothing is lost, and the way back to text."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from written_answers import ANSWERS, holds, letters

from app.pipeline.document import (
    Code,
    CodeBlock,
    Document,
    Emphasis,
    Heading,
    Items,
    LineBreak,
    Link,
    Paragraph,
    Quote,
    Rule,
    Strike,
    Strong,
    Table,
    Text,
    parse,
)
from app.pipeline.rendering import to_markdown, to_plain


def text_of(node: Any) -> str:
    """All text of a tree, in the order in which it was written: languages, captions, addresses and titles too."""
    if isinstance(node, str):
        return node
    if isinstance(node, CodeBlock):
        return node.language + node.caption + node.text
    if isinstance(node, tuple):
        return "".join(map(text_of, node))
    return "".join(text_of(getattr(node, field.name)) for field in fields(node)) if is_dataclass(node) else ""


def paragraph(text: str) -> Paragraph:
    return Paragraph((Text(text),))


@pytest.mark.parametrize(
    ("source", "blocks"),
    [
        ("one\n\ntwo", (paragraph("one"), paragraph("two"))),
        ("## Title ##", (Heading(2, (Text("Title"),)),)),
        ("a\nb  \nc", (Paragraph((Text("a"), LineBreak(), Text("b"), LineBreak(hard=True), Text("c"))),)),
        ("```python main.py\nx = 1\n\n```", (CodeBlock("x = 1\n", "python", "main.py"),)),
        ("```\nnever closed", (CodeBlock("never closed"),)),
        ("> a\n>\n> - b", (Quote((paragraph("a"), Items(((paragraph("b"),),)))),)),
        ("---", (Rule(),)),
        (
            "|a|b|\n|-|-|\n|1|x<br>y|",
            (Table(((Text("a"),), (Text("b"),)), (((Text("1"),), (Text("x"), LineBreak(hard=True), Text("y"))),)),),
        ),
        (
            "1. a\n   - b\n2. c",
            (Items(((paragraph("a"), Items(((paragraph("b"),),))), (paragraph("c"),)), ordered=True),),
        ),
        ("", ()),
        (" \n\t\n", ()),
        ("#", ()),
    ],
)
def test_blocks(source: str, blocks: tuple[Any, ...]) -> None:
    assert parse(source) == Document(blocks)


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("**a** *b*", (Strong((Text("a"),)), Text(" "), Emphasis((Text("b"),)))),
        ("~~a~~ `b`", (Strike((Text("a"),)), Text(" "), Code("b"))),
        ('[a *b*](https://c.example "t")', (Link((Text("a "), Emphasis((Text("b"),))), "https://c.example", "t"),)),
        ("<https://a.example>", (Link((Text("https://a.example"),), "https://a.example"),)),
        ("![alt](https://a.example/b.png)", (Link((Text("alt"),), "https://a.example/b.png"),)),
        ("[![alt](https://b.example)](https://a.example)", (Link((Text("alt (https://b.example)"),), "https://a.example"),)),
        ("[](https://a.example)", (Link((Text("https://a.example"),), "https://a.example"),)),
        (r"\*a\* &lt;b&gt; snake_case_name", (Text("*a* <b> snake_case_name"),)),
        ("<b>x</b>", (Text("<b>x</b>"),)),
        ("****a****", (Strong((Text("a"),)),)),
        # Emphasis beside Chinese punctuation, which CommonMark's rules leave as asterisks.
        ("**注意：**请看", (Strong((Text("注意："),)), Text("请看"))),
        ("他说**“好”**了", (Text("他说"), Strong((Text("“好”"),)), Text("了"))),
        # Links that lead nowhere, or somewhere bad, stay text.
        ("[a](javascript:alert)", (Text("[a](javascript:alert)"),)),
        ("[a](docs/b.md)", (Text("[a](docs/b.md)"),)),
        ("[1]: https://a.example", (Text("[1]: https://a.example"),)),
    ],
)  # fmt: skip
def test_inlines(source: str, content: tuple[Any, ...]) -> None:
    assert parse(source) == Document((Paragraph(content),))


def test_a_list_that_skips_numbers_keeps_the_numbers_that_were_written() -> None:
    starts = [(block.start, len(block.items)) for block in parse("1. a\n3. b\n4. c\n9. d").blocks if isinstance(block, Items)]
    assert starts == [(1, 1), (3, 2), (9, 1)]


def test_a_list_numbered_with_one_number_is_counted() -> None:
    (block,) = parse("1. a\n1. b\n1. c").blocks
    assert isinstance(block, Items) and len(block.items) == 3


def test_cells_beyond_the_header_stay_in_their_row() -> None:
    (block,) = parse("|a|b|\n|-|-|\n|1|2|3|**4**|").blocks
    assert block == Table(
        ((Text("a"),), (Text("b"),)), (((Text("1"),), (Text("2 | 3 | "), Strong((Text("4"),)))),)
    )  # fmt: skip


@pytest.mark.parametrize("mark", ["> ", "- ", "1. ", "> - "])
def test_what_is_nested_deeper_than_anyone_reads_stays_text(mark: str) -> None:
    assert "deep" in text_of(parse(mark * 300 + "deep"))


@pytest.mark.parametrize("mark", ["*", "**", "~~", "[", "![", "`", "<", "&", "\\", "_", "# ", "|-|\n"])
def test_no_text_is_too_odd_to_read(mark: str) -> None:
    document = parse(mark * 3000 + "deep" + mark * 3000)
    assert "deep" in text_of(document)
    assert "deep" in to_plain(document)
    assert "deep" in to_markdown(document)


@settings(deadline=None)
@given(ANSWERS)
def test_every_letter_and_digit_of_an_answer_is_in_the_tree_in_order(source: str) -> None:
    assert holds(text_of(parse(source)), letters(source))


@settings(deadline=None)
@given(st.text(st.sampled_from("ab你\n\n \t*_`~#>-+=|[]()!<\\:/'\".") | st.characters(categories=["L"]), max_size=80))
@example("a|b\n-|-\nc|d|e|f")
@example("[a](https://b.example 'c')")
def test_every_letter_of_any_text_is_in_the_tree_in_order(source: str) -> None:
    assert holds(text_of(parse(source)), letters(source))


@settings(deadline=None)
@given(ANSWERS)
def test_markdown_and_plain_text_hold_every_letter_and_digit(source: str) -> None:
    document = parse(source)
    assert holds(to_markdown(document), letters(source))
    assert holds(to_plain(document), letters(source.replace("~~~~python", "~~~~")))  # which says how to show it


@settings(deadline=None)
@given(ANSWERS)
@example("` `a`")
def test_the_markdown_of_a_document_reads_as_the_same_document(source: str) -> None:
    document = parse(source)
    assert parse(to_markdown(document)) == document


@pytest.mark.parametrize(
    "source",
    [
        "# Title",
        "a  \nb\nc",
        "1. a\n2. b\n   - c\n   - d",
        "3. a\n4. b",
        "1. a\n\n3. b",
        "- a\n\n  ```sh\n  x\n  ```\n\n- b",
        "> a\n>\n> b",
        "````md\n```\n````",
        "| a | b |\n| --- | --- |\n| 1 | x<br>y |",
        "**bold** and `code` and [link](https://a.example/b_c)",
        "snake_case, 2 * 3, a < b, x & y, #tag, 5. is fine, C:\\temp",
        "<https://a.example>",
    ],
)
def test_markdown_that_is_plainly_written_stays_as_it_is(source: str) -> None:
    assert to_markdown(parse(source)).replace("1)", "1.").replace("3)", "3.") == source


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("# T\n\n**a** `b`", "T\n\na b"),
        ("[a](https://b.example) <https://c.example> <d@e.example>", "a (https://b.example) https://c.example d@e.example"),
        ("1. a\n   - b\n2. c", "1. a\n   - b\n2. c"),
        ("```sh\nls\n```\n\n> q\n\n---", "ls\n\n> q\n\n---"),
        ("|a|b|\n|-|-|\n|1|2|", "a | b\n1 | 2"),
    ],
)
def test_plain_text(source: str, plain: str) -> None:
    assert to_plain(parse(source)) == plain
