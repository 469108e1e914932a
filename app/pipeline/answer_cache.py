"""Answers told again: a question that the same tenant asked before, of the same model, costs no second inference.

Asked at the same time, it costs one: within a process the callers share one wait (:class:`SingleFlight`), and among processes
one has a lease in Redis and asks, while the others look several times a second. The one that asks renews its lease; if it dies,
the next takes over. If the model refuses or fails, all who waited are told so, rather than ask it one after another.

A cache is no place where a question can get lost: while Redis is away or full, or the model's digest is not known, the model is
asked directly, which is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Final, Protocol

import httpx2
from prometheus_client import CollectorRegistry

from app.pipeline.answer import AnswerClient, Answerer, InferenceTimedOut, ModelAnswer
from app.pipeline.answer_metrics import AnswerCacheMetrics, Source
from app.pipeline.answer_outcome import answered, failed, text_of
from app.pipeline.answer_store import LEASE_SECONDS, AnswerStore, Hit, Lead, Told, Wait
from app.pipeline.model_identity import ModelIdentity
from app.pipeline.phrases import CHINESE, ENGLISH
from app.pipeline.question_key import question_key
from app.pipeline.redis_breaker import Breaker
from app.pipeline.redis_client import RedisClient, RedisUnavailable
from app.pipeline.single_flight import SingleFlight
from app.platforms.platform import GivenUp, Retryable
from app.settings import AnswerSettings

MAX_ANSWER_BYTES: Final = 16 * 1024  # what is longer is not kept: with 10,000 entries at most 160 MB
FIRST_LOOK_SECONDS: Final = 0.025  # between looks at what another asks; doubles …
LAST_LOOK_SECONDS: Final = 0.2  # … up to this
# What we say ourselves where there is no answer. A model may have learned to say it too.
FALLBACKS: Final = frozenset(
    phrase.strip() for phrases in (CHINESE, ENGLISH) for phrase in (phrases.not_answered, phrases.too_long, phrases.denied)
)


class Model(Protocol):
    """As :class:`app.pipeline.answer.AnswerClient`."""

    async def ask(self, question: str, context: str = "", instructions: str = "") -> ModelAnswer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    question: str = field(repr=False)
    context: str = field(repr=False)
    tenant: str
    instructions: str = field(repr=False)

    def key(self, digest: str) -> str:
        return question_key(self.question, self.context, tenant=self.tenant, digest=digest, instructions=self.instructions)


class CachedAnswers:
    """An :class:`Answerer` in front of ``model``. ``wait_seconds``: how long a caller waits for another's answer."""

    def __init__(
        self,
        model: Model,
        store: AnswerStore,
        identity: ModelIdentity,
        metrics: AnswerCacheMetrics,
        *,
        wait_seconds: float,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._model, self._store, self._identity, self._metrics = model, store, identity, metrics
        self._wait_seconds, self._lease_seconds = wait_seconds, lease_seconds
        self._flights: SingleFlight[tuple[str, Source]] = SingleFlight()

    async def answer(
        self, question: str, context: str = "", *, tenant: str = "default", instructions: str = "", fresh: bool = False
    ) -> str:
        """As :class:`Answerer`. An answer that is ``fresh`` replaces the one that was kept."""
        asked = Asked(question=question, context=context, tenant=tenant, instructions=instructions)
        digest = None if fresh else await self._identity.digest()
        if digest is None:
            text, source = await self._ask(asked), Source.BYPASS if fresh else Source.UNIDENTIFIED
        else:
            key = asked.key(digest)
            (text, source), led = await self._flights.run(key, lambda: self._look(asked, key))
            if source is Source.MISS and not led:
                source = Source.WAIT
        self._metrics.answered(source)
        return text

    async def _look(self, asked: Asked, key: str) -> tuple[str, Source]:
        """Find the answer, wait for it, or be the one that asks."""
        token, waited, pause = secrets.token_hex(16), "", FIRST_LOOK_SECONDS
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                found = await self._store.look(key, token, waited, self._lease_seconds)
            except RedisUnavailable:
                self._metrics.failed("look")
                return (await self._model_answer(asked)).text, Source.UNAVAILABLE
            match found:
                case Hit(text):
                    return text, Source.WAIT if waited else Source.HIT
                case Told(outcome):
                    return text_of(outcome), Source.WAIT
                case Lead():
                    return await self._lead(asked, key, token), Source.MISS
                case Wait(other):
                    waited = other
            if time.monotonic() >= deadline:
                raise InferenceTimedOut(f"the same question, asked before, was not answered within {self._wait_seconds:g} s")
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
            pause = min(pause * 2, LAST_LOOK_SECONDS)

    async def _lead(self, asked: Asked, key: str, token: str) -> str:
        """Ask the model while others wait for it."""
        renewal = asyncio.create_task(self._renew(key, token))
        try:
            answer = await self._model_answer(asked)
        except (Retryable, GivenUp) as error:
            await self._do("settle", self._store.settle(key, token, failed(error)))
            raise
        except BaseException:  # the caller has gone, or a fault of ours: no reason for others not to be answered
            await self._do("settle", self._store.settle(key, token))
            raise
        finally:
            renewal.cancel()
        own = asked.key(answer.digest) if answer.digest else None
        kept = own is not None and is_kept(answer.text) and await self._do("keep", self._store.keep(own, answer.text, token))
        if not kept or own != key:  # nothing stands where they look
            await self._do("settle", self._store.settle(key, token, answered(answer.text)))
        return answer.text

    async def _ask(self, asked: Asked) -> str:
        """Ask the model on nobody else's behalf, and keep what it says for those who come."""
        answer = await self._model_answer(asked)
        if answer.digest and is_kept(answer.text):
            await self._do("keep", self._store.keep(asked.key(answer.digest), answer.text))
        return answer.text

    async def _model_answer(self, asked: Asked) -> ModelAnswer:
        answer = await self._model.ask(asked.question, asked.context, asked.instructions)
        self._identity.learned(answer.digest)
        return answer

    async def _renew(self, key: str, token: str) -> None:
        held = True
        while held:
            await asyncio.sleep(self._lease_seconds / 3)
            try:
                held = await self._store.renew(key, token, self._lease_seconds)
            except RedisUnavailable:
                self._metrics.failed("renew")

    async def _do(self, step: str, work: Awaitable[object]) -> bool:
        """Whether Redis did it. The answer is there: nobody waits for Redis to come back."""
        with contextlib.suppress(RedisUnavailable):
            await work
            return True
        self._metrics.failed(step)
        return False


def is_kept(text: str) -> bool:
    """Whether ``text`` is an answer worth telling again, and one that fits."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return bool(text.strip()) and text.strip() not in FALLBACKS and size <= MAX_ANSWER_BYTES


@contextlib.asynccontextmanager
async def answering(
    settings: AnswerSettings,
    client: AnswerClient,
    *,
    redis: RedisClient,
    inference: httpx2.AsyncClient,
    inference_url: str,
    registry: CollectorRegistry,
    wait_seconds: float,
) -> AsyncIterator[Answerer]:
    """The answerer that the settings want: ``client`` itself where they switch the cache off. Ends before ``inference`` is
    closed."""
    if settings.answer_cache_seconds == 0:
        yield client
        return
    store = AnswerStore(Breaker(redis), live_seconds=settings.answer_cache_seconds, entries=settings.answer_cache_entries)
    identity = ModelIdentity(inference, inference_url)
    try:
        yield CachedAnswers(client, store, identity, AnswerCacheMetrics(registry), wait_seconds=wait_seconds)
    finally:
        await identity.aclose()
