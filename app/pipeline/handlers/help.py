"""Say what the assistant can do."""

from __future__ import annotations

from app.pipeline.event import Event
from app.pipeline.phrases import phrases_for
from app.pipeline.responses import Response


def handle_help(event: Event) -> Response:
    return Response(phrases_for(event.text).help)
