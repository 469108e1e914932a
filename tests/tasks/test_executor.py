from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from app.pipeline.event import Event
from app.pipeline.responses import Response
from app.platforms.platform import CalendarEntry, CalendarEvent
from app.tasks.actions import registry
from app.tasks.executor import execute, prepare
from app.tasks.template import Match, load_library

LATE = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)  # the 24th in Shanghai
EARLY = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)  # the 22nd in New York


def said(text: str, received_at: datetime = LATE) -> tuple[Match, Event]:
    event = Event(id="1", platform="generic", tenant="t", conversation="c", sender="alice", text=text, received_at=received_at)
    match = load_library(None, registry()).match(text)
    assert match is not None
    return match, event


@pytest.fixture(params=["UTC", "Asia/Shanghai", "America/New_York"])
def time_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("moment", [LATE, EARLY])
def test_without_a_date_the_day_is_that_of_the_message_in_utc_in_every_time_zone(time_zone: str, moment: datetime) -> None:
    prepared = prepare(*said("创建周会的日程", moment))
    assert prepared == {"summary": "周会", "start": date(2026, 11, 23)}


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("创建一个的日程", "缺少标题。请补充后再发一次，例如：创建一个周会的日程在2026-12-01"),
        ("创建一个 的日程在2026-12-01", "缺少标题。请补充后再发一次，例如：创建一个周会的日程在2026-12-01"),
        ("创建周会的日程在2026-02-30", "“2026-02-30”不是有效的日期。请使用存在的日期，格式为 YYYY-MM-DD，例如 2026-12-01。"),
        (f"创建{'会' * 300}的日程", "标题太长：最多 255 个字符，收到 300 个。"),
        (
            "create an event called on 2026-12-01",
            "The title is missing. Please send it again with one, for example: create an event called Weekly on 2026-12-01",
        ),
        (
            "create an event called X on 2026-02-30",
            '"2026-02-30" is not a valid date. Please use a date that exists, as YYYY-MM-DD, for example 2026-12-01.',
        ),
    ],
)
def test_what_cannot_be_carried_out_is_asked_back_in_the_senders_language(text: str, asked: str) -> None:
    assert prepare(*said(text)) == Response(asked)


class Calendar:
    name = "generic"
    idempotent = True

    def __init__(self, url: str = "") -> None:
        self.url = url
        self.calls: list[tuple[CalendarEntry, str]] = []

    async def send(self, event: Event, part: str, key: str) -> str:
        raise AssertionError("a task does not send by itself")

    async def create_calendar_event(self, event: Event, entry: CalendarEntry, key: str) -> CalendarEvent:
        self.calls.append((entry, key))
        return CalendarEvent(id="1", url=self.url)


@pytest.mark.parametrize(
    ("text", "url", "reply"),
    [
        ("创建一个周会的日程在2026-12-01", "", "已创建日程：周会（2026-12-01）"),
        ("创建一个周会的日程", "https://c/1", "已创建日程：周会（2026-11-23）\nhttps://c/1"),
        ("create an event called Weekly on 2026-12-01", "https://c/1", "Created the event: Weekly (2026-12-01)\nhttps://c/1"),
        ("创建一个{title}的日程", "", "已创建日程：{title}（2026-11-23）"),
    ],
)
async def test_the_confirmation_names_title_date_and_link_in_the_senders_language(text: str, url: str, reply: str) -> None:
    match, event = said(text)
    arguments = prepare(match, event)
    assert not isinstance(arguments, Response)
    calendar = Calendar(url)
    assert await execute(match, event, arguments, calendar, "key") == Response(reply)
    ((entry, key),) = calendar.calls
    assert (entry.attendees, key) == (("alice",), "key")
