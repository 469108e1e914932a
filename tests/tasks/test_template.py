from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

import app.tasks.template
from app.tasks.actions import registry
from app.tasks.template import Library, LibraryError, load_library

ISSUE = r"""
- name: 创建日程
  pattern: 创建(?:一个)?(?P<title>.*?)的日程(?:在(?P<date>\d{4}-\d{2}-\d{2}))?
  action:
    api: calendar.create
    params:
      summary: "{title}"
      start: "{date or today}"
"""
GOOD = {
    "name": "t",
    "pattern": "do (?P<x>.+)",
    "action": {"api": "calendar.create", "params": {"summary": "{x}", "start": "{today}"}},
}


@pytest.fixture
def library() -> Library:
    return load_library(None, registry())


def test_the_template_stands_in_the_library_as_the_issue_has_it() -> None:
    folder = Path(app.tasks.template.__file__).parent / "library"
    texts = [path.read_text(encoding="utf-8").strip() for path in folder.glob("*.yaml")]
    assert ISSUE.strip() in texts


@pytest.mark.parametrize(
    ("text", "title", "date"),
    [
        ("创建一个周会的日程在2026-12-01", "周会", "2026-12-01"),
        ("创建周会的日程", "周会", ""),
        ("  创建一个周会的日程。\n", "周会", ""),
        ("创建一个周会的日程！！", "周会", ""),
        ("创建一个 周会 的日程", "周会", ""),
        ("创建一个的日程", "", ""),
        ("创建一个我的日程的日程在2026-12-01", "我的日程", "2026-12-01"),
        ("创建一个周会的日程在2026-02-30", "周会", "2026-02-30"),  # no such day: said so later, to the sender
        ("create an event called Weekly on 2026-12-01", "Weekly", "2026-12-01"),
        ("Please add a meeting named Q4 review!", "Q4 review", ""),
        ("Create an event called on 2026-12-01", "", "2026-12-01"),
        ("schedule a meeting called lunch on the roof", "lunch on the roof", ""),
    ],
)
def test_a_command_is_matched_whole(library: Library, text: str, title: str, date: str) -> None:
    match = library.match(text)
    assert match is not None
    assert dict(match.groups) == {"title": title, "date": date}


@pytest.mark.parametrize(
    "text",
    [
        "如何创建一个会议的日程?",
        "创建一个会议的日程?",
        "创建一个会议的日程？",
        "请告诉我创建一个会议的日程在2026-12-01的办法",
        "创建一个周会的日程在明天",
        "创建一个周会\n的日程",
        "I want to create an event called X",
        "create an event called X?",
        "",
    ],
)
def test_a_message_that_only_contains_a_command_is_none(library: Library, text: str) -> None:
    assert library.match(text) is None


def write(folder: Path, content: object, name: str = "a.yaml") -> Path:
    text = content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def mistakes(folder: Path) -> str:
    with pytest.raises(LibraryError) as caught:
        load_library(folder, registry())
    return str(caught.value)


def test_every_mistake_is_named_at_once_with_file_template_field_and_what_is_allowed(tmp_path: Path) -> None:
    write(
        tmp_path,
        [
            {**GOOD, "name": "one", "pattern": r"(a)\1", "patern": "x"},
            {**GOOD, "name": "two", "action": {"api": "calender.create", "params": {}}},
            {**GOOD, "name": "three", "action": {"api": "calendar.create", "params": {"sumary": "{x}", "start": "{tody}"}}},
            {**GOOD, "name": "four", "action": {"api": "calendar.create", "params": {"summary": "{x.y}", "start": 2026}}},
            "five",
            {"name": "six"},
            {**GOOD, "name": "seven", "pattern": "(?P<today>x)"},
            {**GOOD, "name": "eight", "pattern": ".*"},
        ],
    )
    write(tmp_path, [{**GOOD, "name": "t"}, {**GOOD, "name": "t"}], "b.yaml")
    write(tmp_path, "- name: [", "c.yaml")
    write(tmp_path, "name: x", "d.yaml")
    (tmp_path / "e.yaml").write_bytes(b"\xff")
    found = mistakes(tmp_path)
    for line in (
        'a.yaml: template 1 "one": unknown field "patern"; did you mean "pattern"?',
        'a.yaml: template 1 "one": pattern: invalid escape sequence: \\1; RE2 syntax is allowed',
        'a.yaml: template 2 "two": action.api: unknown action "calender.create"; did you mean "calendar.create"?',
        'a.yaml: template 3 "three": action.params: unknown parameter "sumary"; did you mean "summary"?',
        'a.yaml: template 3 "three": action.params: summary is missing',
        'a.yaml: template 3 "three": action.params.start: unknown name "tody"; did you mean "today"? allowed: today, x',
        'a.yaml: template 4 "four": action.params.summary: column 2: "x.y" is not allowed here',
        'a.yaml: template 4 "four": action.params.start: is a number; text is expected: put it in quotes',
        "a.yaml: template 5: is text; a mapping with name, pattern, action is expected",
        'a.yaml: template 6 "six": pattern is missing',
        'a.yaml: template 7 "seven": pattern: the group name "today" is taken',
        'a.yaml: template 8 "eight": pattern: matches the empty message',
        'b.yaml: template 2: name: "t" is taken by b.yaml: template 1',
        "c.yaml: line 1, column 10: not valid YAML",
        "d.yaml: is a mapping; a list of templates is expected",
        "e.yaml: cannot be read (not UTF-8)",
    ):
        assert line in found, line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- name: a\n  name: b", 'the key "name" stands twice'),
        ("- !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("- {name: a, when: 2026-02-30}", "not valid YAML"),
        ("- ? [a]\n  : b", "not valid YAML"),
        ("", "is empty; a list of templates is expected"),
        ("[" * 600 + "]" * 600, "a.yaml: nests too deep"),
    ],
)
def test_hostile_or_sloppy_yaml_is_refused_plainly(tmp_path: Path, text: str, message: str) -> None:
    assert message in mistakes(write(tmp_path, text))


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(?<!a)b", r"(a)\1", "(", "a{2000}", r"((a{100}){100}){100}x"])
def test_patterns_that_re2_cannot_run_in_linear_time_and_space_are_refused(tmp_path: Path, pattern: str) -> None:
    assert "pattern: " in mistakes(write(tmp_path, [{**GOOD, "pattern": pattern}]))


@pytest.mark.parametrize(
    ("pattern", "text"), [("(a+)+b", "a" * 100_000), ("(.*)(.*)(.*)(.*)x", "a" * 100_000), ("(a|aa)+b", "a" * 100_000)]
)
def test_a_pattern_that_would_hang_a_backtracking_engine_takes_linear_time(tmp_path: Path, pattern: str, text: str) -> None:
    params = {"summary": "x", "start": "{today}"}
    write(tmp_path, [{**GOOD, "pattern": pattern, "action": {"api": "calendar.create", "params": params}}])
    library = load_library(tmp_path, registry())
    start = time.monotonic()
    assert library.match(text) is None
    assert time.monotonic() - start < 2


def test_the_first_template_that_matches_wins_by_file_and_place(tmp_path: Path) -> None:
    write(tmp_path, [{**GOOD, "name": "later"}], "b.yaml")
    write(tmp_path, [{**GOOD, "name": "first"}, {**GOOD, "name": "second"}], "a.yaml")
    match = load_library(tmp_path, registry()).match("do it")
    assert match is not None
    assert match.template.name == "first"


def test_an_empty_folder_is_an_empty_library_and_a_missing_one_a_mistake(tmp_path: Path) -> None:
    assert load_library(tmp_path, registry()).match("创建周会的日程") is None
    with pytest.raises(LibraryError, match="no such directory"):
        load_library(tmp_path / "none", registry())
