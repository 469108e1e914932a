"""A tenant's instructions for callers who know the tenant alone, such as the answer API."""

from __future__ import annotations

from collections.abc import Callable

from app.pipeline.answer import Answerer


class InstructedAnswers:
    """An :class:`Answerer` in front of another. ``instructions_of``: a tenant's, as they are now; empty where it has none."""

    def __init__(self, answers: Answerer, instructions_of: Callable[[str], str]) -> None:
        self._answers, self._instructions_of = answers, instructions_of

    async def answer(
        self, question: str, context: str = "", *, tenant: str = "default", instructions: str = "", fresh: bool = False
    ) -> str:
        wanted = instructions or self._instructions_of(tenant)
        return await self._answers.answer(question, context, tenant=tenant, instructions=wanted, fresh=fresh)
