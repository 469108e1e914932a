"""One answer as a small tree, which each platform renders in its own format.

Read from CommonMark (:mod:`app.pipeline.commonmark`). No text is lost: what no block can hold stays text. Blocks nest at most
a dozen deep, styles never within themselves, so a renderer may simply recurse.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markdown_it.token import Token

from app.pipeline.commonmark import Reader


@dataclass(frozen=True, slots=True)
class Text:
    """Without line ends and without markup: a ``*`` in it is an asterisk."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    text: str


@dataclass(frozen=True, slots=True)
class LineBreak:
    """A line's end that was written. ``hard``: one that CommonMark keeps too; on a chat platform, all are meant."""

    hard: bool = False


@dataclass(frozen=True, slots=True)
class Strong:
    children: Inlines


@dataclass(frozen=True, slots=True)
class Emphasis:
    children: Inlines


@dataclass(frozen=True, slots=True)
class Strike:
    children: Inlines


@dataclass(frozen=True, slots=True)
class Link:
    """``url``: http, https or mailto, as it was written. A picture is a link to it. No link stands within another."""

    children: Inlines
    url: str
    title: str = ""


Inline: TypeAlias = Text | Code | LineBreak | Strong | Emphasis | Strike | Link
Inlines: TypeAlias = tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    content: Inlines


@dataclass(frozen=True, slots=True)
class Heading:
    """``level``: 1 to 6."""

    level: int
    content: Inlines


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """``text`` has no final line end. ``caption``: what stood after the language, such as a file's name."""

    text: str
    language: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """A list. The first item's number is ``start`` where it is ``ordered``, and each further one is one more: a list that skips
    a number is two of them."""

    items: tuple[Blocks, ...]
    ordered: bool = False
    start: int = 1


@dataclass(frozen=True, slots=True)
class Quote:
    blocks: Blocks


@dataclass(frozen=True, slots=True)
class Table:
    """Each row has as many cells as ``header``."""

    header: tuple[Inlines, ...]
    rows: tuple[tuple[Inlines, ...], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across."""


Block: TypeAlias = Paragraph | Heading | CodeBlock | Items | Quote | Table | Rule
Blocks: TypeAlias = tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    blocks: Blocks


LINE_END = re.compile(r"<br\s*/?>", re.IGNORECASE)  # the one tag that models write: within the cells of a table
STYLES: dict[str, Callable[[Inlines], Inline]] = {"strong_open": Strong, "em_open": Emphasis, "s_open": Strike}


def parse(text: str) -> Document:
    """Any text is a document; one of white space has no blocks."""
    return Document(_blocks(iter(Reader().parse(text))))


def _blocks(tokens: Iterator[Token]) -> Blocks:
    """Up to the end of the container that the tokens are in."""
    found: list[Block] = []
    for token in tokens:
        if token.nesting < 0:
            break
        match token.type:
            case "paragraph_open":
                if content := _line(tokens):
                    found.append(Paragraph(content))
            case "heading_open":
                if content := _line(tokens):
                    found.append(Heading(int(token.tag[1:]), content))
            case "fence" | "code_block":
                language, _, caption = token.info.strip().partition(" ")
                found.append(CodeBlock(token.content.removesuffix("\n"), language, caption.strip()))
            case "bullet_list_open":
                found.append(Items(tuple(blocks for _, blocks in _items(tokens))))
            case "ordered_list_open":
                found += _numbered(_items(tokens))
            case "blockquote_open":
                found.append(Quote(_blocks(tokens)))
            case "table_open":
                header, *rows = _rows(tokens)
                found.append(Table(header, tuple(rows)))
            case "hr":
                found.append(Rule())
            case other:
                raise AssertionError(f"a block that no rule of ours makes: {other}")
    return tuple(found)


def _line(tokens: Iterator[Token]) -> Inlines:
    """The content of a paragraph, heading or cell, whose closing token is consumed."""
    inline = next(tokens)
    next(tokens)
    return _content(inline.children or ()) if inline.content.strip() else ()


def _items(tokens: Iterator[Token]) -> Iterator[tuple[int, Blocks]]:
    """The number as it was written (0 where there is none) and the content of each item."""
    for token in tokens:
        if token.nesting < 0:
            return
        yield int(token.info or 0), _blocks(tokens)


def _numbered(items: Iterable[tuple[int, Blocks]]) -> list[Block]:
    """CommonMark counts from the first number on, whatever the others are. Models mean what they write where it skips ahead."""
    lists: list[tuple[int, list[Blocks]]] = []
    for number, blocks in items:
        if not lists or number > lists[-1][0] + len(lists[-1][1]):
            lists.append((number, []))
        lists[-1][1].append(blocks)
    return [Items(tuple(found), ordered=True, start=start) for start, found in lists]


def _rows(tokens: Iterator[Token]) -> Iterator[tuple[Inlines, ...]]:
    """The table's header and rows; consumes its closing token."""
    row: list[Inlines] = []
    for token in tokens:
        match token.type:
            case "th_open" | "td_open":
                row.append(_line(tokens))
            case "tr_close":
                yield tuple(row)
                row = []
            case "table_close":
                return


def _content(tokens: Sequence[Token]) -> Inlines:
    """A style within itself says nothing, so it makes no level of its own."""
    levels: list[list[Inline]] = [[]]
    opened: list[Token | None] = []
    depth: Counter[str] = Counter()
    for token in tokens:
        if token.nesting > 0:
            depth[token.type] += 1
            outermost = depth[token.type] == 1
            opened.append(token if outermost else None)
            if outermost:
                levels.append([])
        elif token.nesting < 0:
            depth[token.type.replace("_close", "_open")] -= 1
            if (opening := opened.pop()) is not None:
                children = tuple(levels.pop())
                levels[-1].append(_styled(opening, children))
        else:
            for inline in _leaves(token, in_link=depth["link_open"] > 0):
                _add(levels[-1], inline)
    return tuple(levels[0])


def _styled(opening: Token, children: Inlines) -> Inline:
    if style := STYLES.get(opening.type):
        return style(children)
    url = str(opening.attrs["href"])
    return Link(children or (Text(url),), url, str(opening.attrs.get("title", "")))


def _leaves(token: Token, *, in_link: bool) -> Iterator[Inline]:
    match token.type:
        case "softbreak":
            yield LineBreak()
        case "hardbreak":
            yield LineBreak(hard=True)
        case "code_inline":
            yield Code(token.content)
        case "image":
            url, title = str(token.attrs["src"]), str(token.attrs.get("title", ""))
            if in_link:
                yield Text(" ".join(part for part in (token.content, f"({url})", title) if part))
            else:
                yield Link((Text(token.content or url),), url, title)
        case _:
            first, *others = LINE_END.split(token.content)
            yield Text(first)
            for other in others:
                yield LineBreak(hard=True)
                yield Text(other)


def _add(content: list[Inline], inline: Inline) -> None:
    match content, inline:
        case _, Text(text=""):
            pass
        case [*_, Text(text=before)], Text(text=after):
            content[-1] = Text(before + after)
        case _:
            content.append(inline)
