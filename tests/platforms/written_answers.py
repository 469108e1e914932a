"""Answers as models write them, for the property tests of the tree, its renderers and the splitting."""

from __future__ import annotations

import re

from hypothesis import strategies as st

WORDS = st.text(st.sampled_from("abcxyzÄß你好世界会议テ스트émoji9"), min_size=1, max_size=8).filter(
    lambda word: not word[0].isdigit()
)
GLYPHS_SHOWN = ["🎉", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301", "한글", "ᄀ\u1161", "☀️", "क्षि"]
GLYPHS = st.sampled_from(GLYPHS_SHOWN)
PUNCTUATION = st.sampled_from(
    [", ", ". ", "。", "！", "，", " ", " ", " ", "\n", "  \n", " - ", " * ", " #", "_", "**", "`", "[", "](", "~", "<", "|"]
)
PLAIN = st.lists(st.one_of(WORDS, GLYPHS, PUNCTUATION), min_size=1, max_size=12).map("".join)


def _around(mark: str) -> st.SearchStrategy[str]:
    return st.lists(WORDS, min_size=1, max_size=4).map(lambda words: f"{mark}{' '.join(words)}{mark}")


STYLED = st.one_of(
    PLAIN,
    PLAIN,
    _around("**"),
    _around("*"),
    _around("~~"),
    _around("`"),
    st.builds("[{}](https://{}.example/path)".format, WORDS, st.sampled_from(["a", "long" * 10])),
    st.just('![图](https://p.example/i.png "title")'),
    st.just("<https://auto.example/x>"),
)
LINE = st.lists(STYLED, min_size=1, max_size=6).map(" ".join)
CODE_LINES = st.lists(
    st.sampled_from(["def f(x):", "    return x", "", "# 注释", "```", "~~~", "x" * 90, "打印" * 20]), max_size=12
)


def _code(language: str, lines: list[str]) -> str:
    return "\n".join([f"~~~~{language}", *lines, "~~~~"])


def _list(mark: str, items: list[str]) -> str:
    return "\n".join(_indented(mark.format(index), item) for index, item in enumerate(items, 1))


def _indented(mark: str, text: str) -> str:
    first, *others = text.split("\n")
    return "\n".join([mark + first, *((" " * len(mark) + line if line else "") for line in others)])


def _quote(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.split("\n"))


def _table(rows: list[list[str]]) -> str:
    cells = [[cell.replace("\n", " ").replace("|", "/").strip() or "x" for cell in row] for row in rows]
    header, *others = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([header, "|---|---|", *others])


SIMPLE = st.one_of(
    LINE,
    LINE,
    st.builds("{} {}".format, st.sampled_from(["#", "##", "######"]), PLAIN),
    st.builds(_code, st.sampled_from(["", "python", "text main.py"]), CODE_LINES),
    st.builds(_table, st.lists(st.lists(PLAIN, min_size=2, max_size=2), min_size=1, max_size=5)),
    st.just("---"),
)
BLOCKS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(_list, st.sampled_from(["- ", "* ", "{}. ", "{}) "]), st.lists(inner, min_size=1, max_size=4)),
        inner.map(_quote),
        st.lists(inner, min_size=2, max_size=3).map("\n\n".join),
    ),
    max_leaves=8,
)
ANSWERS = st.lists(BLOCKS, min_size=1, max_size=5).map("\n\n".join)
LIST_NUMBER = re.compile(r"(?m)^([\s>*+.)-]*)\d{1,9}(?=[.)](?:\s|$))")


def letters(text: str) -> str:
    """What must not be lost: letters and digits, less the numbers of list items, which are counted anew."""
    while (less := LIST_NUMBER.sub(r"\1", text)) != text:
        text = less
    return "".join(filter(str.isalnum, text))


def holds(text: str, wanted: str) -> bool:
    """Whether all of ``wanted`` stands in ``text``, in its order."""
    rest = iter(text)
    return all(character in rest for character in wanted)
