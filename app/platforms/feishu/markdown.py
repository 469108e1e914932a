"""An answer's tree as the Markdown of Feishu's cards (JSON 2.0), in which nothing that was said can become markup.

Source: https://open.feishu.cn/document/feishu-cards/card-json-v2-components/content-components/rich-text
CommonMark without HTML, save that ``<at id=all></at>``, ``<font …>`` and the like are tags: so ``<`` is written as an entity,
as that page asks for every character that is meant literally. A level of a list is four spaces. Tables are Markdown at the
outermost level alone; within a list or a quote they are lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.pipeline.document import (
    Block,
    Blocks,
    Code,
    CodeBlock,
    Document,
    Emphasis,
    Heading,
    Inline,
    Inlines,
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
)

INDENT = "    "
_MARKUP = re.compile(r"[<*~`\[\]\\]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|&(?=#?\w+;)|(?<!\S):(?=\w+:)")
_BEGINS = re.compile(r"^([ \t]*\d*)(?:(?<!\d)([#>+=|-])|(?<=\d)([.)]))", re.MULTILINE)  # a heading, quote, list, rule or table
_BARE_MARK = re.compile(r"(-|\d+\.)$", re.MULTILINE)
_MENTION = re.compile(r"<(?=/?at\b)", re.IGNORECASE)
_URL = str.maketrans({"(": "%28", ")": "%29", " ": "%20", "<": "%3C", ">": "%3E", "\\": "%5C"})


def markdown(document: Document) -> str:
    return "\n\n".join(_block(block) for block in document.blocks)


def _block(block: Block, *, nested: bool = False) -> str:
    match block:
        case Paragraph(content=content):
            return _BEGINS.sub(_literally, _inlines(content))
        case Heading(level=level, content=content):
            return f"{'#' * level} {_inlines(content)}"
        case CodeBlock(text=text, language=language, caption=caption):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
            code = f"{fence}{language}\n{_harmless(text)}\n{fence}"
            return f"{_escaped(caption)}\n{code}" if caption else code
        case Items():
            return _items(block)
        case Quote(blocks=blocks):
            return _prefixed(_nested(blocks), "> ", "> ")
        case Table(header=header, rows=rows):
            return _lines([header, *rows]) if nested else _table(header, rows)
        case Rule():
            return "---"


def _items(items: Items) -> str:
    marks = (f"{items.start + number}. " if items.ordered else "- " for number in range(len(items.items)))
    return "\n".join(_prefixed(_item(blocks), mark, INDENT) for mark, blocks in zip(marks, items.items, strict=True))


def _item(blocks: Blocks) -> str:
    """What is no line of text begins below its mark, at the indentation of its other lines."""
    below = bool(blocks) and isinstance(blocks[0], Items | CodeBlock | Quote | Rule)
    return "\n" * below + _nested(blocks)


def _nested(blocks: Blocks) -> str:
    """A list follows its paragraph without an empty line, as people write it; a mark alone there would underline a heading."""
    text, before = "", None
    for block in blocks:
        made = _block(block, nested=True)
        near = isinstance(block, Items) and isinstance(before, Paragraph) and not _BARE_MARK.match(made)
        text += ("\n" if near else "\n\n") * bool(text) + made
        before = block
    return text


def _prefixed(text: str, first: str, others: str) -> str:
    lines = text.split("\n")
    return "\n".join(
        mark + line if line else mark.rstrip() for mark, line in zip([first, *[others] * (len(lines) - 1)], lines, strict=True)
    )


def _table(header: tuple[Inlines, ...], rows: tuple[tuple[Inlines, ...], ...]) -> str:
    lines = [_row(header), "|" + " --- |" * len(header), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells: Iterable[Inlines]) -> str:
    return "| " + " | ".join(_inlines(cell).replace("|", "&#124;").replace("\n", " ") for cell in cells) + " |"


def _lines(rows: Iterable[tuple[Inlines, ...]]) -> str:
    return "\n".join(" / ".join(_inlines(cell).replace("\n", " ") for cell in row) for row in rows)


def _inlines(content: Inlines) -> str:
    return "".join(_inline(inline) for inline in content)


def _inline(inline: Inline) -> str:
    match inline:
        case Text(text=text):
            return _escaped(text)
        case Code(text=text):
            ticks = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
            space = " " if text.startswith("`") or text.endswith("`") else ""
            return f"{ticks}{space}{_harmless(text)}{space}{ticks}"
        case LineBreak():
            return "\n"
        case Strong(children=children):
            return f"**{_inlines(children)}**"
        case Emphasis(children=children):
            return f"*{_inlines(children)}*"
        case Strike(children=children):
            return f"~~{_inlines(children)}~~"
        case Link(children=children, url=url, title=title):
            text = f"[{_inlines(children)}]({url.translate(_URL)})"
            return f"{text} ({_escaped(title)})" if title else text


def _harmless(code: str) -> str:
    """An entity would show as such in code. Whether a mention would mention there, is not documented: nobody finds out."""
    return _MENTION.sub("<\u200b", code)


def _escaped(text: str) -> str:
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", text)


def _literally(found: re.Match[str]) -> str:
    return f"{found[1]}&#{ord(found[2] or found[3])};"
