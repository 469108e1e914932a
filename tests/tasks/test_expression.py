from __future__ import annotations

import pytest

from app.tasks.expression import LONGEST, ExpressionError, parse

VALUES = {"title": "周会", "date": "", "today": "2026-11-23"}


@pytest.mark.parametrize(
    ("text", "value", "names"),
    [
        ("{title}", "周会", {"title"}),
        ("{date or today}", "2026-11-23", {"date", "today"}),
        ("{ date or today }", "2026-11-23", {"date", "today"}),
        ("{date or 'never'}", "never", {"date"}),
        ("{date or (date or title)}", "周会", {"date", "title"}),
        ("{date or '}'}", "}", {"date"}),
        ("会议：{title}（{today}）", "会议：周会（2026-11-23）", {"title", "today"}),
        ("plain", "plain", set()),
        ("{{title}}", "{title}", set()),
        ("{'text'}", "text", set()),
        ("{date or ''}", "", {"date"}),
        ("", "", set()),
    ],
)
def test_what_is_allowed_is_evaluated(text: str, value: str, names: set[str]) -> None:
    expression = parse(text)
    assert expression.evaluate(VALUES) == value
    assert expression.names == names


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("{title.__class__}", "column 2", "title.__class__"),
        ("on {title.upper()}", "column 5", "title.upper()"),
        ("{title[0]}", "column 2", "title[0]"),
        ("{周会 or title()}", "column 8", "title()"),
        ("{title + date}", "column 2", "title + date"),
        ("{title and date}", "column 2", "title and date"),
        ("{not title}", "column 2", "not title"),
        ("{(lambda: 1)()}", "column 2", "(lambda: 1)()"),
        ("{[x for x in title]}", "column 2", "[x for x in title]"),
        ("{f'{title}'}", "column 2", "f'{title}'"),
        ("{date or 1}", "column 10", "1"),
        ("{True}", "column 2", "True"),
        ("{b'x'}", "column 2", "b'x'"),
        ("{title := date}", "column 2", "title := date"),
        ("{title; date}", "column 2", "title; date"),
        ("{class}", "column 2", "class"),
        ("{title", "column 1", "never closed"),
        ("title}", "column 6", "without"),
        ("{}", "column 1", "empty"),
        ("{  }", "column", "empty"),
        ("{" + "(" * 500 + ")" * 500 + "}", "column 2", "not an expression"),
        ("{'a\x00'}", "column", "not an expression"),
        ("x" * (LONGEST + 1), "1025 characters", "at most 1024"),
    ],
)
def test_all_else_is_refused_with_its_place(text: str, place: str, found: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert place in str(caught.value)
    assert found in str(caught.value)


def test_a_value_is_never_evaluated_itself() -> None:
    assert parse("{title}").evaluate({"title": "{today} {{ __import__('os') }}"}) == "{today} {{ __import__('os') }}"
