"""An answer too long for one message, as several.

``split`` knows neither a platform's format nor its unit: it asks the platform's own ``render`` and ``measure``. A piece takes
whole blocks while they fit; what fits into a piece of its own goes there whole; only what does not is torn: lists between
their items, code between its lines under a fence of its own in each piece, tables between rows under the same header,
paragraphs as :mod:`app.pipeline.breaking` says. A heading stays with what it heads. What follows a torn item stands beside the
list, which goes on with its number. Where a limit is too small for the format itself, the format goes before the text does.

The time is linear in the length: what is asked for its size is looked at no further than until it is too much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.pipeline.breaking import first, place_to_break, strip, without
from app.pipeline.document import (
    Block,
    Blocks,
    Code,
    CodeBlock,
    Document,
    Heading,
    Inline,
    Inlines,
    Items,
    LineBreak,
    Link,
    Paragraph,
    Quote,
    Rule,
    Table,
    Text,
)
from app.pipeline.graphemes import boundary_before

Measure = Callable[[str], int]
Render = Callable[[Document], str]
Size = Callable[[Blocks], int]


def split(document: Document, limit: int, measure: Measure, render: Render) -> tuple[str, ...]:
    """The rendered pieces, each of at most ``limit``; none for a document without blocks.

    Raises ``ValueError`` where ``limit`` does not even hold one character in the platform's format.
    """

    def size(blocks: Blocks) -> int:
        count = limit + 1
        while True:
            part, used = _opening(blocks, count)
            found = measure(render(Document(part)))
            if found > limit or used < count:
                return found
            count *= 2  # a measure that counts less than one for a character

    pieces: list[str] = []
    rest = document.blocks
    while rest:
        head, rest = _take(rest, _Room(limit, size, size))
        if not head:
            raise ValueError(f"a limit of {limit} does not hold one character in this format")
        pieces.append(render(Document(head)))
    return tuple(pieces)


@dataclass(frozen=True, slots=True)
class _Room:
    """What a piece has left. ``size``: of the piece with these blocks at its end; ``alone``: of a piece that holds just these;
    a size above ``limit`` says no more than that. ``empty``: nothing stands in the piece yet."""

    limit: int
    size: Size
    alone: Size
    empty: bool = True

    def fits(self, blocks: Blocks) -> bool:
        return self.size(blocks) <= self.limit

    def after(self, before: Blocks) -> _Room:
        return replace(self, size=lambda blocks: self.size(before + blocks), empty=False) if before else self

    def most(self, build: Callable[[int], Blocks | None], start: int = 1) -> int:
        """The largest number of which ``build`` makes blocks that fit; where it is large, perhaps a tenth less, since a good
        place to break is before it anyway. ``build`` makes None of more than there is. Texts are much alike throughout, so the
        size of a part tells where to look next; where that misleads, the distance is halved."""
        low, guess = 0, start
        high: int | None = None
        while True:
            blocks = build(guess)
            size = self.limit + 1 if blocks is None else self.size(blocks)
            if size > self.limit:
                high = guess
                guess = (low + high) // 2
            else:
                low = guess
                if low >= LARGE and size >= self.limit * ENOUGH:
                    return low
                guess = int(low * min(self.limit * AIM / max(size, 1), GROWTH))
                if high is not None and not low < guess < high:
                    guess = (low + high) // 2
                guess = max(guess, low + 1)
            if high is not None and high - low <= max(1, low // LARGE):
                return low


LARGE = 32
ENOUGH, AIM = 0.9, 0.95  # of the limit
GROWTH = 8.0  # at most from one look to the next


def _take(blocks: Blocks, room: _Room) -> tuple[Blocks, Blocks]:
    """What goes into the room, and what is left; nothing goes where a piece of its own serves better."""
    if room.fits(blocks):
        return blocks, ()
    count = room.most(lambda n: blocks[:n] if n <= len(blocks) else None)
    whole, following, others = blocks[:count], blocks[count], blocks[count + 1 :]
    if room.alone((following,)) > room.limit:
        head, tail = _tear(following, room.after(whole))
        if head:
            return whole + head, tail + others
        if room.empty and not whole:
            simpler = _simpler(following)
            return _take(simpler + others, room) if simpler is not None else ((), blocks)
    kept = count
    while kept and isinstance(blocks[kept - 1], Heading):
        kept -= 1
    if not kept and room.empty:
        kept = count
    return blocks[:kept], blocks[kept:]


def _tear(block: Block, room: _Room) -> tuple[Blocks, Blocks]:
    """As much of ``block``, which is too long for any piece, as goes into the room, and what is left of it."""
    match block:
        case Paragraph(content=content):
            return _tear_content(content, room, Paragraph)
        case Heading(level=level, content=content):
            return _tear_content(content, room, lambda content: Heading(level, content))
        case CodeBlock():
            return _tear_code(block, room)
        case Items():
            return _tear_items(block, room)
        case Quote(blocks=blocks):
            inside = replace(
                room, size=lambda blocks: room.size((Quote(blocks),)), alone=lambda blocks: room.alone((Quote(blocks),))
            )
            begun, left = _take(blocks, inside)
            return (Quote(begun),) if begun else (), (Quote(left),) if left else ()
        case Table(header=header, rows=rows):
            count = room.most(lambda n: (Table(header, rows[:n]),) if n <= len(rows) else None)
            return ((Table(header, rows[:count]),), (Table(header, rows[count:]),)) if count else ((), (block,))
        case Rule():
            return (), (block,)


def _tear_content(content: Inlines, room: _Room, build: Callable[[Inlines], Block]) -> tuple[Blocks, Blocks]:
    def beginning(count: int) -> Blocks | None:
        part, used = first(content, count)
        return (build(part),) if used == count else None

    most = room.most(beginning, _guess(room))
    while most > 0:
        place = place_to_break(content, most, anywhere=room.empty)
        head, tail = strip(first(content, place)[0]), strip(without(content, place))
        if head and room.fits((build(head),)):
            return (build(head),), (build(tail),) if tail else ()
        most = place - 1  # the format may need more for less, such as a mark that it has to escape at an end
    return (), (build(content),)


def _tear_code(block: CodeBlock, room: _Room) -> tuple[Blocks, Blocks]:
    text = block.text
    most = room.most(lambda n: (replace(block, text=text[:n]),) if n <= len(text) else None, _guess(room))
    line_end = text.rfind("\n", 0, most + 1)
    if line_end > 0:
        head, tail = text[:line_end], text[line_end + 1 :]
    elif room.empty and most:
        place = boundary_before(text, most) or most
        head, tail = text[:place], text[place:]
    else:
        return (), (block,)
    left = (CodeBlock(tail.lstrip("\n"), block.language),) if tail.strip() else ()
    if head.strip():
        return (replace(block, text=head.rstrip("\n")),), left
    return _take(left, room)


def _guess(room: _Room) -> int:
    """How much of a text to try first: an eighth is of use whatever a character counts."""
    return max(1, room.limit // 8)


def _tear_items(block: Items, room: _Room) -> tuple[Blocks, Blocks]:
    """The rest of a torn item stands before the list that goes on, so it needs no room within it."""

    def part(first: int, last: int | None = None) -> Items:
        return replace(block, items=block.items[first:last], start=block.start + first)

    items = block.items
    count = room.most(lambda n: (part(0, n),) if n <= len(items) else None)
    if count == len(items):
        return (block,), ()
    if room.alone((part(count, count + 1),)) > room.limit:
        inside = replace(
            room,
            size=lambda blocks: room.size((replace(block, items=(*items[:count], blocks)),)),
            alone=lambda blocks: room.alone((replace(block, items=(blocks,), start=block.start + count),)),
            empty=room.empty and not count,
        )
        head, tail = _take(items[count], inside)
        if head:
            going_on = (part(count + 1),) if items[count + 1 :] else ()
            return (replace(block, items=(*items[:count], head)),), tail + going_on
    return ((part(0, count),), (part(count),)) if count else ((), (block,))


def _simpler(block: Block) -> Blocks | None:
    """The same text with less of a format; None where there is none left."""
    match block:
        case Paragraph(content=content):
            return None if all(isinstance(inline, Text | LineBreak) for inline in content) else (Paragraph(_bare(content)),)
        case Heading(content=content):
            return (Paragraph(content),)
        case CodeBlock(text=text, language="", caption=""):
            content = strip(_lines(text))
            return (Paragraph(content),) if content else ()
        case CodeBlock(text=text, language=language, caption=caption):
            return (Paragraph((Text(f"{language} {caption}".strip()),)), CodeBlock(text))
        case Items(items=items):
            return tuple(block for blocks in items for block in blocks)
        case Quote(blocks=blocks):
            return blocks
        case Table(header=header, rows=rows):
            return tuple(Paragraph(content) for row in (header, *rows) if (content := strip(_row(row))))
        case Rule():
            return ()


def _bare(content: Inlines) -> Inlines:
    found: list[Inline] = []
    for inline in content:
        match inline:
            case Text() | LineBreak():
                found.append(inline)
            case Code(text=text):
                found.append(Text(text))
            case Link(children=children, url=url, title=title):
                found += (*_bare(children), Text(f" ({url} {title})" if title else f" ({url})"))
            case _:
                found += _bare(inline.children)
    return tuple(found)


def _lines(text: str) -> Inlines:
    return tuple(inline for line in text.split("\n") for inline in (Text(line), LineBreak(hard=True)))


def _row(cells: tuple[Inlines, ...]) -> Inlines:
    return tuple(inline for cell in cells for inline in (*cell, Text(" | ")))[:-1]


def _opening(blocks: Blocks, count: int) -> tuple[Blocks, int]:
    """So much of the beginning that it holds ``count`` code points, and how much that is: less than ``count`` where it is
    all there is. A block, an item and a row count one more each."""
    found: list[Block] = []
    used = 0
    for block in blocks:
        if used >= count:
            break
        part, length = _opening_of(block, count - used)
        found.append(part)
        used += length
    return tuple(found), used


def _opening_of(block: Block, count: int) -> tuple[Block, int]:
    match block:
        case Paragraph(content=content) | Heading(content=content):
            part, used = first(content, count)
            return replace(block, content=part), used + 1
        case CodeBlock(text=text):
            return replace(block, text=text[:count]), min(len(text), count) + 1
        case Items(items=items):
            found: list[Blocks] = []
            used = 1
            for blocks in items:
                if used >= count:
                    break
                opening, length = _opening(blocks, count - used)
                found.append(opening)
                used += length + 1
            return replace(block, items=tuple(found)), used
        case Quote(blocks=blocks):
            opening, used = _opening(blocks, count)
            return Quote(opening), used + 1
        case Table(header=header, rows=rows):
            taken, used = 0, 1
            while taken < len(rows) and used < count:
                used += 1 + sum(first(cell, count)[1] for cell in rows[taken])
                taken += 1
            return Table(header, rows[:taken]), used
        case Rule():
            return block, 1
