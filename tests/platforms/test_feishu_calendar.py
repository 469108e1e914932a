"""Calendar entries on the emulated Feishu: two steps, both or neither."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from feishu.calendars import PRIMARY
from feishu.emulator import Emulator
from test_feishu_sending import asked, platform_at

from app.platforms.feishu.calendar import FeishuCalendar, created, times
from app.platforms.feishu.client import FeishuPlatform
from app.platforms.platform import CalendarEntry, Retryable, TaskFailed

KEY = "evt_" + "c" * 33
ENTRY = CalendarEntry(summary="周会", start=date(2026, 12, 1), attendees=("ou_ada",))
ATTENDEES, ENTRIES = "/attendees$", "/events$"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(app_secret="app-secret-canary") as running:
        yield running


@pytest.fixture
async def platform(emulator: Emulator) -> AsyncIterator[FeishuPlatform]:
    made = platform_at(emulator)
    yield made
    await made.aclose()


async def impatient(_seconds: float) -> None:
    """Waits between attempts to undo are not what these tests are about."""


def calendar_of(platform: FeishuPlatform) -> FeishuCalendar:
    return FeishuCalendar(platform._api, None, impatient)


async def test_an_entry_is_created_and_its_sender_invited(emulator: Emulator, platform: FeishuPlatform) -> None:
    made = await platform.create_calendar_event(asked(emulator), ENTRY, KEY)
    (entry,) = emulator.calendars.entries
    assert (made.id, entry["summary"], entry["attendees"]) == (entry["event_id"], "周会", ["ou_ada"])
    assert entry["start_time"] == entry["end_time"] == {"date": "2026-12-01"}
    assert made.url.startswith("https://applink.feishu.cn/")


async def test_a_repeated_key_is_one_entry_and_one_invitation(emulator: Emulator, platform: FeishuPlatform) -> None:
    event = asked(emulator)
    assert await platform.create_calendar_event(event, ENTRY, KEY) == await platform.create_calendar_event(event, ENTRY, KEY)
    assert [entry["attendees"] for entry in emulator.calendars.entries] == [["ou_ada"]]
    await platform.create_calendar_event(event, ENTRY, "evt_other")
    assert len(emulator.calendars.entries) == 2


@pytest.mark.parametrize("path", [ENTRIES, ATTENDEES])
async def test_an_answer_that_is_lost_on_either_step_is_finished_by_the_same_key(
    emulator: Emulator, platform: FeishuPlatform, path: str
) -> None:
    event = asked(emulator)
    emulator.fail(path, kind="reset", after_effect=True)
    with pytest.raises(Retryable):
        await platform.create_calendar_event(event, ENTRY, KEY)
    await platform.create_calendar_event(event, ENTRY, KEY)
    assert [entry["attendees"] for entry in emulator.calendars.entries] == [["ou_ada"]]


@pytest.mark.parametrize("fault", [{"code": 190004, "status": 429}, {"code": 190003, "status": 500}, {"status": 503}])
async def test_an_invitation_that_fails_for_now_leaves_the_entry_for_the_next_attempt(
    emulator: Emulator, platform: FeishuPlatform, fault: dict[str, Any]
) -> None:
    event = asked(emulator)
    emulator.fail(ATTENDEES, **fault)
    with pytest.raises(Retryable):
        await platform.create_calendar_event(event, ENTRY, KEY)
    assert len(emulator.calendars.entries) == 1
    await platform.create_calendar_event(event, ENTRY, KEY)
    assert [entry["attendees"] for entry in emulator.calendars.entries] == [["ou_ada"]]


async def test_an_invitation_that_is_refused_takes_the_entry_away_again(emulator: Emulator, platform: FeishuPlatform) -> None:
    emulator.calendars.strangers.add("ou_ada")
    with pytest.raises(TaskFailed, match="another organisation") as failed:
        await platform.create_calendar_event(asked(emulator), ENTRY, KEY)
    assert failed.value.reason == "refused"
    assert emulator.calendars.entries == []
    assert any(call.startswith("DELETE") for call in emulator.calls)


async def test_a_withdrawal_that_fails_for_now_is_repeated(emulator: Emulator, platform: FeishuPlatform) -> None:
    emulator.calendars.strangers.add("ou_ada")
    emulator.fail(r"_0$", 190004, status=429, times=2)
    with pytest.raises(TaskFailed) as failed:
        await calendar_of(platform).create(asked(emulator), ENTRY, KEY)
    assert "stands" not in str(failed.value)
    assert emulator.calendars.entries == []


@pytest.mark.parametrize("fault", [{"code": 190004, "status": 429, "times": 100}, {"code": 193002, "status": 403}])
async def test_a_withdrawal_that_cannot_be_done_says_that_the_entry_stands(
    emulator: Emulator, platform: FeishuPlatform, fault: dict[str, Any]
) -> None:
    emulator.calendars.strangers.add("ou_ada")
    emulator.fail(r"_0$", **fault)
    with pytest.raises(TaskFailed, match=r"the entry \S+_0 stands in the calendar without guests"):
        await calendar_of(platform).create(asked(emulator), ENTRY, KEY)
    assert len(emulator.calendars.entries) == 1


async def test_an_entry_that_somebody_else_took_away_needs_no_withdrawal(emulator: Emulator, platform: FeishuPlatform) -> None:
    emulator.calendars.strangers.add("ou_ada")
    emulator.fail(r"_0$", 193003, status=403, times=1, after_effect=True)
    with pytest.raises(TaskFailed) as failed:
        await platform.create_calendar_event(asked(emulator), ENTRY, KEY)
    assert "stands" not in str(failed.value)


async def test_a_missing_permission_is_a_refusal_that_names_it(emulator: Emulator, platform: FeishuPlatform) -> None:
    emulator.fail(ENTRIES, 99991672, msg="Access denied. One of the following scopes is required: [calendar:calendar]")
    with pytest.raises(TaskFailed, match="add calendar:calendar in the console"):
        await platform.create_calendar_event(asked(emulator), ENTRY, KEY)


async def test_a_calendar_that_does_not_exist_names_the_setting(emulator: Emulator) -> None:
    platform = platform_at(emulator, calendar_id="feishu.cn_wrong@group.calendar.feishu.cn")
    with pytest.raises(TaskFailed, match="FEISHU_CALENDAR_ID"):
        await platform.create_calendar_event(asked(emulator), ENTRY, KEY)
    await platform.aclose()


async def test_the_applications_own_calendar_is_asked_for_once_a_team(emulator: Emulator, platform: FeishuPlatform) -> None:
    for tenant in ("tenant1", "tenant1", "tenant2"):
        await platform.create_calendar_event(asked(emulator, tenant=tenant), ENTRY, f"evt_{len(emulator.calls)}")
    assert sum(call.endswith("/primary") for call in emulator.calls) == 2


async def test_a_configured_calendar_is_not_asked_for(emulator: Emulator) -> None:
    platform = platform_at(emulator, calendar_id=PRIMARY)
    await platform.create_calendar_event(asked(emulator), ENTRY, KEY)
    assert not any(call.endswith("/primary") for call in emulator.calls)
    await platform.aclose()


async def test_nobody_to_invite_is_one_step(emulator: Emulator, platform: FeishuPlatform) -> None:
    await platform.create_calendar_event(asked(emulator), CalendarEntry(summary="x", start=date(2026, 12, 1)), KEY)
    assert not any("attendees" in call for call in emulator.calls)


def test_a_moment_is_sent_in_seconds_with_its_zone_and_an_hour_long() -> None:
    start = datetime(2026, 12, 1, 2, 30, tzinfo=timezone(timedelta(hours=8)))
    assert times(CalendarEntry(summary="x", start=start.astimezone(UTC))) == {
        "start_time": {"timestamp": "1796063400", "timezone": "UTC"},
        "end_time": {"timestamp": "1796067000", "timezone": "UTC"},
    }


@pytest.mark.parametrize(
    "data", [{}, {"event": 5}, {"event": {}}, {"event": {"event_id": ""}}, {"event": {"event_id": "a\nb"}}]
)
def test_an_entry_without_a_name_is_asked_for_again(data: dict[str, Any]) -> None:
    with pytest.raises(Retryable):
        created(data)


def test_a_link_that_is_no_web_address_is_not_shown() -> None:
    assert created({"event": {"event_id": "e", "app_link": "javascript:alert(1)"}}).url == ""
