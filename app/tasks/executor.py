"""Carry a matched task out: evaluate its parameters, check them, act on the platform, say what was done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

from app.pipeline.event import Event
from app.pipeline.phrases import Phrases, phrases_for
from app.pipeline.responses import Response
from app.platforms.platform import CalendarEvent, Platform
from app.tasks.actions import Kind
from app.tasks.dates import parse_date, today
from app.tasks.template import Match

Arguments = Mapping[str, str | date]


def prepare(match: Match, event: Event) -> Arguments | Response:
    """The action's arguments, or what to ask the sender back.

    ``today`` is the day on which the event was *received*: a retry after midnight asks for the same thing under the same key.
    """
    phrases = phrases_for(event.text)
    values = {**match.groups, "today": today(event.received_at).isoformat()}
    arguments: dict[str, str | date] = {}
    for name, parameter in match.template.action.parameters.items():
        expression = match.template.params.get(name)
        text = expression.evaluate(values).strip() if expression else ""
        if not text:
            if parameter.required:
                return Response(phrases.missing.format(parameter=_called(name, phrases), example=phrases.example))
            continue
        if len(text) > parameter.longest:
            return Response(
                phrases.too_long_value.format(parameter=_called(name, phrases), limit=parameter.longest, length=len(text))
            )
        if parameter.kind is Kind.DATE:
            day = parse_date(text)
            if day is None:
                return Response(phrases.invalid_date.format(value=text))
            arguments[name] = day
        else:
            arguments[name] = text
    return MappingProxyType(arguments)


async def execute(match: Match, event: Event, arguments: Arguments, platform: Platform, key: str) -> Response:
    """Raises what :class:`Platform` raises. ``key``: the idempotency key of this step."""
    made = await match.template.action.carry_out(platform, event, arguments, key)
    return confirmation(arguments, made, phrases_for(event.text))


def confirmation(arguments: Arguments, made: CalendarEvent, phrases: Phrases) -> Response:
    text = phrases.created.format(title=arguments["summary"], date=arguments["start"])
    return Response(f"{text}\n{made.url}" if made.url else text)


def _called(parameter: str, phrases: Phrases) -> str:
    return phrases.parameters.get(parameter, parameter)
