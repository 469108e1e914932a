"""A document as CommonMark again, for platforms that read it, and as plain text, for what reads neither.

The Markdown leads back to the same document; characters are escaped only where they would be read as markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable

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

# Markup wherever it stands: code, asterisks that touch a word, underscores at a word's edge, links, tags, entities, strikes,
# backslashes that would escape.
MARKUP = re.compile(
    r"`|\*(?! )|(?<=\S)\*|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[])|<(?=[A-Za-z/!?])|&(?=#?\w+;)"
    r"|~(?=~)|(?<=~)~|\\(?=[!-/:-@\[-`{-~]|$)"
)
# Markup where a line begins: headings, quotes, lists, rules and the underlines of headings and tables.
LINE_MARKUP = re.compile(r"(?:#{1,6}(?=\s|$)|>|[-+*](?=\s|$)|(?=[-=|:]+[-=|: ]*$)|(?:([-_*]) *)(?:\1 *){2,}$|~~~)")
NUMBER = re.compile(r"(\d{1,9})([.)])(?=\s|$)")
RUNS = re.compile(r"`+")


def to_markdown(document: Document) -> str:
    return _markdown(document.blocks)


def _markdown(blocks: Blocks) -> str:
    """Two lists of one kind side by side need other markers, or they would be one."""
    found: list[str] = []
    alternate = False
    for before, block in zip((None, *blocks), blocks, strict=False):
        alternate = _is_same_list(before, block) and not alternate
        found.append(_markdown_block(block, alternate=alternate))
    return "\n\n".join(found)


def _is_same_list(before: Block | None, block: Block) -> bool:
    return isinstance(before, Items) and isinstance(block, Items) and before.ordered == block.ordered


def _markdown_block(block: Block, *, alternate: bool) -> str:
    match block:
        case Paragraph(content=content):
            return _escape_lines(_markdown_line(content))
        case Heading(level=level, content=content):
            # Of one line, whatever it was.
            line = re.sub(r"(?<= )#+$|^#+$", r"\\\g<0>", _markdown_line(content).replace("\n", " "))
            return f"{'#' * level} {line}"
        case CodeBlock(text=text, language=language, caption=caption):
            fence = "`" * max(3, 1 + max((len(run) for run in RUNS.findall(text)), default=0))
            return f"{fence}{language}{f' {caption}' if caption else ''}\n{text}\n{fence}"
        case Items(items=items, ordered=ordered, start=start):
            separator = "\n" if all(_is_short(blocks) for blocks in items) else "\n\n"
            mark = _numbers(start, ")" if alternate else ".") if ordered else _bullets("+" if alternate else "-")
            return separator.join(_item(mark(index), blocks) for index, blocks in enumerate(items))
        case Quote(blocks=blocks):
            return _quoted(_markdown(blocks))
        case Table(header=header, rows=rows):
            return "\n".join([_markdown_row(header), "|" + " --- |" * len(header), *map(_markdown_row, rows)])
        case Rule():
            return "***"  # of no sign that begins a list here


def _is_short(blocks: Blocks) -> bool:
    """One paragraph, perhaps with a list below it: such items need no empty lines between them."""
    match blocks:
        case () | (Paragraph(),) | (Paragraph(), Items()):
            return True
    return False


def _numbers(start: int, delimiter: str) -> Callable[[int], str]:
    return lambda index: f"{start + index}{delimiter} "


def _bullets(bullet: str) -> Callable[[int], str]:
    return lambda index: f"{bullet} "


def _item(mark: str, blocks: Blocks) -> str:
    text = _markdown(blocks) if not _is_short(blocks) else "\n".join(_markdown((block,)) for block in blocks)
    return _indented(mark, text)


def _indented(mark: str, text: str) -> str:
    first, *others = text.split("\n")
    return "\n".join(
        [f"{mark}{first}" if first else mark.rstrip(), *(f"{' ' * len(mark)}{line}" if line else "" for line in others)]
    )


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" if line else ">" for line in text.split("\n"))


def _markdown_row(cells: tuple[Inlines, ...]) -> str:
    texts = [re.sub(r" *\n", "<br>", _markdown_line(cell)).replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(texts)} |"


def _markdown_line(content: Inlines) -> str:
    found: list[str] = []
    for inline, after in zip(content, (*content[1:], None), strict=True):
        text = _markdown_inline(inline)
        if text.endswith("!") and isinstance(after, Link):  # would be a picture
            text = text[:-1] + "\\!"
        found.append(text)
    return "".join(found)


def _markdown_inline(inline: Inline) -> str:
    match inline:
        case Text(text=text):
            return MARKUP.sub(r"\\\g<0>", text)
        case Code(text=text):
            fence = "`" * (1 + max((len(run) for run in RUNS.findall(text)), default=0))
            # One space goes from each end when it is read, unless there is nothing else.
            padding = " " if text.strip(" ") and (text[0] in "` " or text[-1] in "` ") else ""
            return f"{fence}{padding}{text}{padding}{fence}"
        case LineBreak(hard=hard):
            return "  \n" if hard else "\n"
        case Strong(children=children):
            return _around("**", children)
        case Emphasis(children=children):
            return _around("*", children)
        case Strike(children=children):
            return _around("~~", children)
        case Link(children=children, url=url, title=title):
            if children == (Text(url),) and not title and re.fullmatch(r"https?://[^\s<>]+", url):
                return f"<{url}>"
            label = re.sub(r"(?<!\\)[\[\]]", r"\\\g<0>", _markdown_line(children))
            target = re.sub(r"[<>\\]", r"\\\g<0>", url)
            target = f"<{target}>" if re.search(r"[\s()<>\\]", url) else url
            return f"[{label}]({target}{_title(title)})"


def _title(title: str) -> str:
    escaped = re.sub(r'["\\]', r"\\\g<0>", title)
    return f' "{escaped}"' if title else ""


def _around(mark: str, children: Inlines) -> str:
    """White space at an edge stands outside, where the mark would not be read as one."""
    text = _markdown_line(children)
    inner = text.strip()
    if not inner:
        return text
    before, _, after = text.partition(inner)
    return f"{before}{mark}{inner}{mark}{after}"


def _escape_lines(text: str) -> str:
    return "\n".join(map(_escape_line, text.split("\n")))


def _escape_line(line: str) -> str:
    if NUMBER.match(line):
        return NUMBER.sub(r"\1\\\2", line, count=1)
    return f"\\{line}" if LINE_MARKUP.match(line) else line


def to_plain(document: Document) -> str:
    return _plain(document.blocks)


def _plain(blocks: Blocks) -> str:
    return "\n\n".join(filter(None, map(_plain_block, blocks)))


def _plain_block(block: Block) -> str:
    match block:
        case Paragraph(content=content) | Heading(content=content):
            return _plain_line(content)
        case CodeBlock(text=text, language=language, caption=caption):
            return f"{language} {caption}\n{text}".strip() if caption or not text else text
        case Items(items=items, ordered=ordered, start=start):
            mark = _numbers(start, ".") if ordered else _bullets("-")
            separator = "\n" if all(_is_short(blocks) for blocks in items) else "\n\n"
            return separator.join(
                _indented(mark(index), ("\n" if _is_short(blocks) else "\n\n").join(map(_plain_block, blocks)))
                for index, blocks in enumerate(items)
            )
        case Quote(blocks=blocks):
            return _quoted(_plain(blocks))
        case Table(header=header, rows=rows):
            return "\n".join(" | ".join(_plain_line(cell).replace("\n", " ") for cell in row) for row in (header, *rows))
        case Rule():
            return "---"


def _plain_line(content: Inlines) -> str:
    return "".join(map(_plain_inline, content))


def _plain_inline(inline: Inline) -> str:
    match inline:
        case Text(text=text) | Code(text=text):
            return text
        case LineBreak():
            return "\n"
        case Link(children=children, url=url, title=title):
            label = _plain_line(children)
            target = url if not title else f"{url} {title}"
            return label if target in (label, f"mailto:{label}") else f"{label} ({target})"
        case Strong(children=children) | Emphasis(children=children) | Strike(children=children):
            return _plain_line(children)
