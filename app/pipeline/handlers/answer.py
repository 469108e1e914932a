"""Ask the model."""

from __future__ import annotations

from app.pipeline.answer import AnswerClient, QuestionTooLong
from app.pipeline.event import Event
from app.pipeline.phrases import phrases_for
from app.pipeline.responses import Response
from app.pipeline.router import AnswerRoute


async def handle_answer(route: AnswerRoute, event: Event, client: AnswerClient) -> Response:
    """Raises :class:`app.platforms.platform.Retryable` or :class:`GivenUp` as the client does."""
    phrases = phrases_for(event.text)
    try:
        text = await client.answer(route.question)
    except QuestionTooLong:
        return Response(phrases.too_long)
    # An empty message is none: say that there is no answer rather than send nothing.
    return Response(text or phrases.not_answered)
