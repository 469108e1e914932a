"""The file against the rules of RFC 5545, by a reader of its own: unfolded, parsed line by line, unescaped."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.platforms.calendar_file import calendar_file
from app.platforms.platform import CalendarEntry

NOW = datetime(2026, 11, 25, 4, 30, 15, 999, tzinfo=UTC)
CONTENT_LINE = re.compile(r"(?P<name>[A-Z-]+)(?P<parameters>(?:;[A-Z-]+=[^\";:,]+)*):(?P<value>.*)", re.DOTALL)


def read(content: str) -> list[tuple[str, str, str]]:
    """Name, parameters and raw value of each content line."""
    assert content.endswith("\r\n")
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", content), "a bare line end"
    physical = content.split("\r\n")[:-1]
    assert all(len(line.encode()) <= 75 for line in physical)
    lines: list[str] = []
    for line in physical:
        if line.startswith(" "):
            lines[-1] += line[1:]
        else:
            lines.append(line)
    found = [CONTENT_LINE.fullmatch(line) for line in lines]
    assert all(found)
    return [(match["name"], match["parameters"], match["value"]) for match in found if match]


def unescape(value: str) -> str:
    assert not re.search(r"(?<!\\)(?:\\\\)*[;,]", value), "a separator that is not escaped"
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] in "nN" else match[1], value)


def properties(entry: CalendarEntry, uid: str = "u1") -> dict[str, str]:
    return {name + parameters: value for name, parameters, value in read(calendar_file(entry, uid, NOW).content)}


def test_a_whole_day_ends_with_the_next_days_date() -> None:
    found = properties(CalendarEntry(summary="周会", start=date(2026, 12, 31)))
    assert (found["DTSTART;VALUE=DATE"], found["DTEND;VALUE=DATE"]) == ("20261231", "20270101")


def test_a_time_of_day_is_given_in_utc_and_lasts_an_hour() -> None:
    found = properties(CalendarEntry(summary="s", start=datetime(2026, 12, 1, 7, tzinfo=timezone(timedelta(hours=8)))))
    assert (found["DTSTART"], found["DTEND"]) == ("20261130T230000Z", "20261201T000000Z")


def test_the_file_publishes_one_event() -> None:
    attachment = calendar_file(CalendarEntry(summary="s", start=date(2026, 12, 1), attendees=("ou_1",)), "e_1", NOW)
    lines = read(attachment.content)
    assert [value for name, _, value in lines if name in ("BEGIN", "END")] == ["VCALENDAR", "VEVENT", "VEVENT", "VCALENDAR"]
    names = [name for name, _, _ in lines]
    assert names[:2] == ["BEGIN", "VERSION"]
    # What RFC 5546 §3.2.1 demands of a published event, each once, and what it forbids.
    assert all(names.count(name) == 1 for name in ("METHOD", "PRODID", "UID", "DTSTAMP", "DTSTART", "SUMMARY", "ORGANIZER"))
    assert "ATTENDEE" not in names
    found = {name: value for name, _, value in lines}
    assert (found["METHOD"], found["VERSION"], found["UID"]) == ("PUBLISH", "2.0", "e_1")
    assert found["DTSTAMP"] == "20261125T043015Z"
    assert attachment.name == "event.ics"
    assert attachment.media_type == "text/calendar; charset=utf-8; method=PUBLISH"


@pytest.mark.parametrize(
    ("summary", "raw"),
    [
        ("a,b;c\\d", r"a\,b\;c\\d"),
        ("one\r\ntwo\rthree\nfour", r"one\ntwo\nthree\nfour"),
        ("tab\tbell\x07", "tab\tbell"),
        ("END:VEVENT\r\nBEGIN:VALARM", r"END:VEVENT\nBEGIN:VALARM"),
    ],
)
def test_what_a_summary_holds_is_a_value_and_no_structure(summary: str, raw: str) -> None:
    assert properties(CalendarEntry(summary=summary, start=date(2026, 12, 1)))["SUMMARY"] == raw


@settings(deadline=None)
@given(st.text(st.one_of(st.sampled_from("会議🎉é,;\\\n "), st.characters(exclude_categories=["Cs", "Cc"])), max_size=300))
def test_any_summary_comes_back_whole_from_lines_of_75_bytes(summary: str) -> None:
    found = properties(CalendarEntry(summary=summary, start=date(2026, 12, 1)))
    assert unescape(found["SUMMARY"]) == summary
