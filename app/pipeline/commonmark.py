"""CommonMark as models write it: what markdown-it parses, with its few ways of losing text closed.

Beside the standard: tables and strikethrough; no HTML, so ``<b>`` is text; emphasis that opens or closes beside a Chinese,
Japanese or Korean character, which the standard's rules for punctuation forbid (``**注意：**请…``, see
https://github.com/commonmark/commonmark-spec/issues/650). What would vanish stays text: reference definitions, links that lead
nowhere a reader could go, cells beyond a table's header, containers nested deeper than anyone reads.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from markdown_it import MarkdownIt
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_block import StateBlock, blockquote, list_block, table
from markdown_it.rules_block.table import escapedSplit, getLine
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType

SCHEMES = ("http://", "https://", "mailto:")
CONTAINER_LEVELS = 24  # a quote counts one, a list two; markdown-it drops what lies deeper than its own limit
PARSER_LEVELS = 40  # bounds the time that brackets take which never close

BlockRule = Callable[[StateBlock, int, int, bool], bool]


class Reader(MarkdownIt):
    def __init__(self) -> None:
        super().__init__("zero")
        self.inline = _Inline()
        self.configure("commonmark", {"html": False, "maxNesting": PARSER_LEVELS})
        self.enable(["table", "strikethrough"]).disable("reference")
        rules = self.block.ruler
        rules.at("table", _table, {"alt": ["paragraph", "reference"]})
        rules.at("blockquote", _shallow(blockquote), {"alt": ["paragraph", "reference", "blockquote", "list"]})
        rules.at("list", _shallow(list_block), {"alt": ["paragraph", "reference", "blockquote"]})

    def validateLink(self, url: str) -> bool:  # noqa: N802 as markdown-it calls it
        return url.lower().startswith(SCHEMES)

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802
        return link


class _Inline(ParserInline):
    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = _State(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


class _State(StateInline):
    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803
        found = super().scanDelims(start, canSplitWord)
        if not canSplitWord:  # "_", which is part of names
            return found
        before = self.src[start - 1] if start else " "
        end = start + found.length
        after = self.src[end] if end < self.posMax else " "
        return Scanned(
            found.can_open or (_is_wide(before) and not after.isspace()),
            found.can_close or (_is_wide(after) and not before.isspace()),
            found.length,
        )


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")


def _shallow(rule: BlockRule) -> BlockRule:
    return lambda state, start, end, silent: state.level < CONTAINER_LEVELS and rule(state, start, end, silent)


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """markdown-it's rule ignores cells that the header has no column for; here they go into the row's last cell."""
    first = len(state.tokens)
    if not table(state, start, end, silent):
        return False
    if silent:
        return True
    made = state.tokens[first:]
    columns = sum(token.type == "th_open" for token in made)
    last = {token.map[0]: token for token in made if token.type == "inline" and token.map}  # of each line
    for line, cell in last.items():
        if beyond := _cells(getLine(state, line))[columns:]:
            cell.content = " | ".join([cell.content, *beyond])
    return True


def _cells(line: str) -> list[str]:
    """As markdown-it splits a row."""
    cells = escapedSplit(line.strip())
    if cells and not cells[0]:
        cells.pop(0)
    if cells and not cells[-1]:
        cells.pop()
    return [cell.strip() for cell in cells]
