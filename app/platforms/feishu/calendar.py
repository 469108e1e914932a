"""A calendar entry on Feishu: created in the application's calendar, then the people are invited. Two calls, both or neither.

Sources: https://open.feishu.cn/document/server-docs/calendar-v4/calendar-event/create and
https://open.feishu.cn/document/server-docs/calendar-v4/calendar-event-attendee/create. The ``idempotency_key`` is unique for an
application and a calendar; a UUID is recommended, so one is derived from ours. To invite somebody who is invited already
changes nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from app.pipeline.event import Event
from app.platforms.feishu.api import FeishuApi, path_of
from app.platforms.feishu.errors import EVENT_GONE, Refused
from app.platforms.platform import CalendarEntry, CalendarEvent, GivenUp, Retryable, TaskFailed

DURATION = timedelta(hours=1)  # of an entry that has a time of day
UNDO_ATTEMPTS, UNDO_SECONDS = 3, 1.0
CALENDARS = "/calendar/v4/calendars"
_KEYS = uuid.UUID("6f1c2a0e-5a1b-4c51-9d39-5a3f0d2e7c44")  # a name space of our own


class FeishuCalendar:
    def __init__(
        self,
        api: FeishuApi,
        calendar_id: str | None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``calendar_id``: None for the application's own, which each tenant has one of."""
        self._api, self._calendar_id, self._sleep = api, calendar_id, sleep
        self._primary: dict[str, str] = {}

    async def create(self, event: Event, entry: CalendarEntry, key: str) -> CalendarEvent:
        """Raises :class:`TaskFailed`: it was refused, and nothing is left of it, or it says that something is; or
        :class:`Retryable`: the same key finishes what was begun."""
        team = event.tenant
        try:
            calendar = await self._calendar(team)
            created = await self._create(team, calendar, entry, key)
        except GivenUp as refused:
            raise TaskFailed("refused", str(refused)) from None
        try:
            await self._invite(team, calendar, created.id, entry.attendees)
        except GivenUp as refused:
            await self._undo(team, calendar, created.id, refused)
            raise TaskFailed("refused", str(refused)) from None
        return created

    async def _calendar(self, team: str) -> str:
        if self._calendar_id is not None:
            return self._calendar_id
        if team not in self._primary:
            data = await self._api.call(team, "POST", f"{CALENDARS}/primary", {}, what="its calendar")
            self._primary[team] = _primary_id(data)
        return self._primary[team]

    async def _create(self, team: str, calendar: str, entry: CalendarEntry, key: str) -> CalendarEvent:
        data = await self._api.call(
            team,
            "POST",
            path_of(f"{CALENDARS}/", calendar, "/events"),
            {"summary": entry.summary, "need_notification": False, **times(entry)},
            query={"idempotency_key": str(uuid.uuid5(_KEYS, key)), "user_id_type": "open_id"},
            what="the calendar entry",
        )
        return created(data)

    async def _invite(self, team: str, calendar: str, number: str, attendees: tuple[str, ...]) -> None:
        if not attendees:
            return
        await self._api.call(
            team,
            "POST",
            path_of(f"{CALENDARS}/", calendar, "/events/", number, "/attendees"),
            {"attendees": [{"type": "user", "user_id": one} for one in attendees], "need_notification": True},
            query={"user_id_type": "open_id"},
            what="the invitation",
        )

    async def _undo(self, team: str, calendar: str, number: str, cause: GivenUp) -> None:
        """Take the entry away again. Raises :class:`TaskFailed` where that cannot be done: the entry stands."""
        for attempt in range(1, UNDO_ATTEMPTS + 1):
            try:
                await self._api.call(
                    team,
                    "DELETE",
                    path_of(f"{CALENDARS}/", calendar, "/events/", number),
                    query={"need_notification": "false"},
                    what="the withdrawal",
                )
            except Refused as refused:
                if refused.code in EVENT_GONE:
                    return
                raise _stands(number, cause, refused) from None
            except GivenUp as refused:
                raise _stands(number, cause, refused) from None
            except Retryable as busy:
                if attempt == UNDO_ATTEMPTS:
                    raise _stands(number, cause, busy) from None
                await self._sleep(min(busy.retry_after or UNDO_SECONDS * attempt, 10.0))
            else:
                return


def times(entry: CalendarEntry) -> dict[str, dict[str, str]]:
    """A whole day ends on the day that it begins, as in the documentation's example; its zone is always UTC."""
    start = entry.start
    if isinstance(start, datetime):
        return {"start_time": _moment(start), "end_time": _moment(start + DURATION)}
    return {"start_time": {"date": start.isoformat()}, "end_time": {"date": start.isoformat()}}


def created(data: Mapping[str, Any]) -> CalendarEvent:
    """Raises :class:`Retryable` where the answer names no entry: asked again with the same key, Feishu may do better."""
    made = data.get("event")
    number = made.get("event_id") if isinstance(made, dict) else None
    if not isinstance(made, dict) or not isinstance(number, str) or not 0 < len(number) <= 256 or not number.isprintable():
        raise Retryable("Feishu created a calendar entry without naming it")
    url = made.get("app_link", "")
    # It is shown to people as a link: nothing but a web address.
    usable = isinstance(url, str) and url.startswith(("https://", "http://")) and url.isprintable() and len(url) <= 2048
    return CalendarEvent(id=number, url=url if usable else "")


def _moment(moment: datetime) -> dict[str, str]:
    return {"timestamp": str(int(moment.timestamp())), "timezone": "UTC"}


def _primary_id(data: Mapping[str, Any]) -> str:
    calendars = data.get("calendars")
    first = calendars[0] if isinstance(calendars, list) and calendars else None
    calendar = first.get("calendar") if isinstance(first, dict) else None
    number = calendar.get("calendar_id") if isinstance(calendar, dict) else None
    if not isinstance(number, str) or not 0 < len(number) <= 256:
        raise Retryable("Feishu named no calendar of the application's own")
    return number


def _stands(number: str, cause: GivenUp, why: Exception) -> TaskFailed:
    return TaskFailed("refused", f"{cause}; the entry {number} stands in the calendar without guests, as {why}")
