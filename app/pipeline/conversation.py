"""What was said before in a conversation, so that a question may refer to it: a bounded window, kept in Redis for a while.

A conversation's turns lie under a hash of tenant and conversation, and no other tenant's request can name that hash. A turn is
a question and its answer; the newest whole turns that fit are kept, in the order in which they were answered. An event adds one
turn, however often it is processed. While Redis is away or full there is no context; the question is answered all the same.

Nothing here is logged, and no key holds a name.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from app.pipeline.answer import Answerer, QuestionTooLong
from app.pipeline.answer_metrics import ConversationMetrics
from app.pipeline.language import Language, language_of
from app.pipeline.redis_breaker import Breaker, Scripts
from app.pipeline.redis_client import RedisClient, RedisUnavailable, Script
from app.settings import AnswerSettings

PREFIX: Final = "{assistant}:context"
MOST_CONVERSATIONS: Final = 10_000  # the longest untouched is forgotten for one more; Redis itself evicts nothing
CUT: Final = "…"
SCRIPTS = ("remember", "recall", "forget")
# Not the prompt's own words: a model must not take an old question for the one to answer.
SPEAKERS: Final = {Language.CHINESE: ("用户", "助手"), Language.ENGLISH: ("User", "Assistant")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """``turns``: 0 keeps nothing. ``characters``: of questions and answers together. ``seconds``: after the last turn."""

    turns: int = 6
    characters: int = 4_000
    seconds: float = 3600.0
    conversations: int = MOST_CONVERSATIONS


@dataclass(frozen=True, slots=True)
class Turn:
    question: str = field(repr=False)
    answer: str = field(repr=False)

    @property
    def characters(self) -> int:
        return len(self.question) + len(self.answer)


class Conversations:
    def __init__(self, redis: Scripts, window: Window, metrics: ConversationMetrics, prefix: str = PREFIX) -> None:
        self._redis, self._window, self._metrics, self._prefix = redis, window, metrics, prefix
        self._scripts = load_scripts()

    @classmethod
    def from_settings(cls, settings: AnswerSettings, redis: RedisClient, registry: CollectorRegistry) -> Conversations:
        window = Window(turns=settings.context_turns, characters=settings.context_characters, seconds=settings.context_seconds)
        return cls(Breaker(redis), window, ConversationMetrics(registry))

    async def recall(self, tenant: str, conversation_key: str, question: str = "") -> str:
        """What stands in the prompt of ``question``, in its language; without one, in that of the last. Empty where nothing was
        said, or Redis is away."""
        if self._window.turns == 0:
            return ""
        try:
            lines = await self._redis.run(self._scripts["recall"], [self._prefix], [conversation_id(tenant, conversation_key)])
        except RedisUnavailable:
            self._metrics.failed("recall")
            return ""
        return rendered([_turn(line) for line in lines], question)

    async def remember(self, tenant: str, conversation_key: str, event_key: str, question: str, answer: str) -> None:
        """Add a turn, unless ``event_key`` has one among those that are kept."""
        window = self._window
        if window.turns == 0:
            return
        turn = fitted(Turn(_encodable(question), _encodable(answer)), window.characters)
        arguments = (
            conversation_id(tenant, conversation_key),
            _digest(event_key),
            json.dumps([turn.question, turn.answer], ensure_ascii=False),
            turn.characters,
            window.turns,
            window.characters,
            round(window.seconds * 1000),
            window.conversations,
        )
        try:
            await self._redis.run(self._scripts["remember"], [self._prefix], arguments)
        except RedisUnavailable:
            self._metrics.failed("remember")

    async def forget(self, tenant: str, conversation_key: str) -> bool:
        """For an operator. Whether there was something; raises :class:`RedisUnavailable`."""
        found = await self._redis.run(self._scripts["forget"], [self._prefix], [conversation_id(tenant, conversation_key)])
        return bool(found)


async def answered_within(
    answerer: Answerer, question: str, context: str, *, tenant: str, instructions: str = "", fresh: bool = False
) -> str:
    """An answer in the light of what was said before, where the model can read that much. Raises as ``answerer`` does."""
    if context:
        try:
            return await answerer.answer(question, context, tenant=tenant, instructions=instructions, fresh=fresh)
        except QuestionTooLong:
            pass  # perhaps the question alone is not: nobody sees how long its context is
    return await answerer.answer(question, tenant=tenant, instructions=instructions, fresh=fresh)


def conversation_id(tenant: str, conversation_key: str) -> str:
    """64 hexadecimal digits: a hash of the JSON of both, which keeps them apart, whatever they contain."""
    return _digest(tenant, conversation_key)


def _digest(*names: str) -> str:
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def _encodable(text: str) -> str:
    """Half a surrogate pair, which a model may say, cannot be stored."""
    return text.encode(errors="replace").decode()


def fitted(turn: Turn, characters: int) -> Turn:
    """``turn`` within ``characters``: the answer loses its beginning, a question of more than half of them its end."""
    question = _start(turn.question, max(characters // 2, characters - len(turn.answer)))
    return Turn(question, _end(turn.answer, characters - len(question)))


def _start(text: str, limit: int) -> str:
    return text if len(text) <= limit else (text[: limit - 1] + CUT) * (limit > 0)


def _end(text: str, limit: int) -> str:
    return text if len(text) <= limit else (CUT + text[len(text) - limit + 1 :]) * (limit > 0)


def rendered(turns: list[Turn], question: str = "") -> str:
    """Two lines a turn, who speaks and what; further lines of a text are indented, so that none can pass for another turn."""
    if not turns:
        return ""
    user, assistant = SPEAKERS[language_of(question or turns[-1].question)]
    lines = (f"{who}: {_indented(text)}" for turn in turns for who, text in ((user, turn.question), (assistant, turn.answer)))
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n  ".join(text.splitlines())


def _turn(line: str) -> Turn:
    question, answer = json.loads(line.split(" ", 2)[2])
    return Turn(question, answer)


def load_scripts() -> dict[str, Script]:
    folder = Path(__file__).parent / "scripts" / "conversations"
    return {name: Script((folder / f"{name}.lua").read_text(encoding="utf-8")) for name in SCRIPTS}
