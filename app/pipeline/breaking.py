"""Cutting a line of styled text in two: how much of it stands before a place, and which place reads best.

Places are counted in code points of what the reader sees; a line break counts one.
"""

from __future__ import annotations

import re
from dataclasses import replace

from app.pipeline.document import Code, Inline, Inlines, LineBreak, Link, Text
from app.pipeline.graphemes import boundary_before

SENTENCE_END = re.compile(r"\n|[.!?…]+[\"'”’)\]]*(?=\s)|[。！？；]+[」』”’）】》\"']*")
PAUSE = re.compile(r"\s+|[，、：]")
ADDRESS = re.compile(r"https?://[!-~]+")
UNBROKEN = "\ufffc"  # stands for a character of what is not cut where it can be helped


def first(content: Inlines, count: int) -> tuple[Inlines, int]:
    """The first ``count`` code points, styled as they were, and how many there are."""
    found: list[Inline] = []
    used = 0
    for inline in content:
        if used >= count:
            break
        part, length = _first(inline, count - used)
        found.append(part)
        used += length
    return tuple(found), used


def _first(inline: Inline, count: int) -> tuple[Inline, int]:
    match inline:
        case Text(text=text) | Code(text=text):
            return (inline if len(text) <= count else replace(inline, text=text[:count])), min(len(text), count)
        case LineBreak():
            return inline, 1
        case _:
            children, length = first(inline.children, count)
            return replace(inline, children=children), length


def without(content: Inlines, count: int) -> Inlines:
    """What is left after the first ``count`` code points."""
    return _without(content, count)[0]


def _without(content: Inlines, count: int) -> tuple[Inlines, int]:
    """What is left, and how many of ``count`` were not there to be taken off."""
    for index, inline in enumerate(content):
        if count <= 0:
            return content[index:], 0
        match inline:
            case Text(text=text) | Code(text=text):
                if len(text) > count:
                    return (replace(inline, text=text[count:]), *content[index + 1 :]), 0
                count -= len(text)
            case LineBreak():
                count -= 1
            case _:
                children, count = _without(inline.children, count)
                if children:
                    return (replace(inline, children=children), *content[index + 1 :]), 0
    return (), count


def place_to_break(content: Inlines, most: int, *, anywhere: bool) -> int:
    """Where to cut ``content``, which goes on after ``most``, so that at most so much stands before: after a sentence, after a
    clause or word, or, where that may be ``anywhere``, before a link or code, else between two characters. A good place that
    would leave less than half is passed over for a lesser one that leaves more. 0: there is no such place."""
    text, whole = _outline(first(content, most + 1)[0])
    characters = list(text)
    for start, end in whole:
        characters[start:end] = UNBROKEN * (end - start)
    masked = "".join(characters)
    sentence, pause = _last(SENTENCE_END, masked, most), _last(PAUSE, masked, most)
    for place in (sentence, pause):
        if place * 2 >= most:
            return place
    if (sentence or pause) or not anywhere:
        return sentence or pause
    start = next((start for start, end in whole if start < most < end), 0)
    return start or boundary_before(text, most) or most


def _last(pattern: re.Pattern[str], text: str, most: int) -> int:
    return max((found.end() for found in pattern.finditer(text) if found.end() <= most), default=0)


def _outline(content: Inlines) -> tuple[str, list[tuple[int, int]]]:
    """What the reader sees, and from where to where stands what should stay whole: code, links, addresses."""
    text: list[str] = []
    whole: list[tuple[int, int]] = []
    _trace(content, 0, text, whole)
    return "".join(text), whole


def _trace(content: Inlines, start: int, text: list[str], whole: list[tuple[int, int]]) -> int:
    for inline in content:
        begun = start
        match inline:
            case Text(text=words) | Code(text=words):
                text.append(words)
                start += len(words)
            case LineBreak():
                text.append("\n")
                start += 1
            case _:
                start = _trace(inline.children, start, text, [] if isinstance(inline, Link) else whole)
        match inline:
            case Text(text=words):
                whole += [(begun + found.start(), begun + found.end()) for found in ADDRESS.finditer(words)]
            case Code() | Link():
                whole.append((begun, start))
    return start


def strip(content: Inlines) -> Inlines:
    """Without white space and line breaks at either end."""
    return _strip_end(_strip_start(content))


def _strip_start(content: Inlines) -> Inlines:
    while content:
        inline = _edge(content[0], start=True)
        if inline is not None:
            return content if inline is content[0] else (inline, *content[1:])
        content = content[1:]
    return ()


def _strip_end(content: Inlines) -> Inlines:
    while content:
        inline = _edge(content[-1], start=False)
        if inline is not None:
            return content if inline is content[-1] else (*content[:-1], inline)
        content = content[:-1]
    return ()


def _edge(inline: Inline, *, start: bool) -> Inline | None:
    """An outermost part without the white space at its outer end; None where nothing is left."""
    match inline:
        case Text(text=text):
            stripped = text.lstrip() if start else text.rstrip()
            return None if not stripped else inline if stripped == text else Text(stripped)
        case Code(text=text):
            return inline if text.strip() else None
        case LineBreak():
            return None
        case _:
            children = _strip_start(inline.children) if start else _strip_end(inline.children)
            return None if not children else inline if children is inline.children else replace(inline, children=children)
