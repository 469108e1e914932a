"""What a task can do: the registry of actions, each with the parameters it takes and how it is carried out on a platform."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from app.pipeline.event import Event
from app.pipeline.responses import Attachment
from app.platforms.calendar_file import calendar_file
from app.platforms.platform import CalendarEntry, CalendarEvent, Platform


class Kind(StrEnum):
    TEXT = "text"
    DATE = "date"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    kind: Kind
    required: bool = True
    longest: int = 255  # characters; the smallest limit of the calendars in view is WeCom's 128, which its module cuts to


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """``carry_out(platform, event, arguments, key)``: arguments are checked against ``parameters`` before. ``instead(event,
    arguments, key)``: the files that the sender is given where the platform cannot do it."""

    name: str
    parameters: Mapping[str, Parameter]
    carry_out: Callable[[Platform, Event, Mapping[str, str | date], str], Awaitable[CalendarEvent]]
    instead: Callable[[Event, Mapping[str, str | date], str], tuple[Attachment, ...]] = lambda _event, _arguments, _key: ()


async def create_calendar_event(
    platform: Platform, event: Event, arguments: Mapping[str, str | date], key: str
) -> CalendarEvent:
    return await platform.create_calendar_event(event, calendar_entry(event, arguments), key)


def calendar_entry(event: Event, arguments: Mapping[str, str | date]) -> CalendarEntry:
    start = arguments["start"]
    if not isinstance(start, date):
        raise TypeError("calendar.create: start is checked to be a date before")
    return CalendarEntry(summary=str(arguments["summary"]), start=start, attendees=(event.sender,))


def entry_as_file(event: Event, arguments: Mapping[str, str | date], key: str) -> tuple[Attachment, ...]:
    """The same file on every attempt: its time stamp is the event's. It invites nobody: platforms' ids are no addresses."""
    entry = replace(calendar_entry(event, arguments), attendees=())
    return (calendar_file(entry, key, event.received_at),)


def registry() -> Mapping[str, Action]:
    """Every action by its name, as templates write it under ``api``."""
    actions = [
        Action(
            name="calendar.create",
            parameters=MappingProxyType({"summary": Parameter(kind=Kind.TEXT), "start": Parameter(kind=Kind.DATE)}),
            carry_out=create_calendar_event,
            instead=entry_as_file,
        )
    ]
    return MappingProxyType({action.name: action for action in actions})
