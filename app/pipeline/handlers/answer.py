"""Ask the model."""

from __future__ import annotations

from dataclasses import dataclass

from app.pipeline.answer import Answerer, QuestionTooLong
from app.pipeline.conversation import answered_within
from app.pipeline.event import Event
from app.pipeline.phrases import phrases_for
from app.pipeline.responses import Response
from app.pipeline.router import AnswerRoute
from app.tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Answered:
    """``text``: what the model said; None where it said nothing that a conversation should remember."""

    response: Response
    text: str | None = None


async def handle_answer(route: AnswerRoute, event: Event, answers: Answerer, *, context: str, tenant: Tenant) -> Answered:
    """Raises :class:`app.platforms.platform.Retryable` or :class:`GivenUp` as the client does."""
    phrases = phrases_for(event.text)
    try:
        text = await answered_within(answers, route.question, context, tenant=tenant.name, instructions=tenant.instructions)
    except QuestionTooLong:
        return Answered(Response(phrases.too_long))
    # An empty message is none: say that there is no answer rather than send nothing.
    return Answered(Response(text), text) if text else Answered(Response(phrases.not_answered))
