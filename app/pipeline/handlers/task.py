"""Carry a task out, or ask back for what is missing, or say honestly that it cannot be done here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.pipeline.event import Event
from app.pipeline.phrases import phrases_for
from app.pipeline.responses import Response
from app.platforms.platform import Platform, TaskFailed
from app.tasks.executor import execute, prepare
from app.tasks.template import Match

# Runs an act that has an effect, giving it its idempotency key.
Effect = Callable[[Callable[[str], Awaitable[Response]]], Awaitable[Response]]


async def handle_task(match: Match, event: Event, platform: Platform, effect: Effect) -> Response:
    """Raises what the platform raises."""
    prepared = prepare(match, event)
    if isinstance(prepared, Response):
        return prepared

    async def act(key: str) -> Response:
        try:
            return await execute(match, event, prepared, platform, key)
        except TaskFailed as failure:
            phrases = phrases_for(event.text)
            text = phrases.unsupported if failure.reason == "unsupported" else phrases.refused
            return Response(text, match.template.action.instead(event, prepared, key))

    return await effect(act)
