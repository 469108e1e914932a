"""One event's way, once leased: respond, render, send; each step journalled, each effect under its idempotency key."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from app.pipeline.event import Event
from app.pipeline.idempotency import idempotency_key
from app.pipeline.pacing import Pacer
from app.pipeline.queue import Lease, Queue, QueueUnavailable
from app.pipeline.responder import Attempt, Responder
from app.platforms.platform import GivenUp, OutcomeUnknown, Platform, Retryable

T = TypeVar("T")
PATIENCE_SECONDS = 5.0  # how long a step waits for a queue that is away (a restart of Redis) before the attempt is dropped
LONGEST_PACE_SECONDS = 30.0  # beyond it the attempt gives its place to another conversation

# Names of journalled steps; they are stages of the trace too.
RENDERED = "rendered"  # the response exists; its value is the list of messages in which the platform shows it, in JSON
SENT = "sent"  # of several messages the first; the others are sent-2, sent-3 …
TASK = "task"


class Processor:
    def __init__(self, queue: Queue, responder: Responder, platforms: Mapping[str, Platform], pacer: Pacer) -> None:
        self._queue = queue
        self._responder = responder
        self._platforms = platforms
        self._pacer = pacer

    def repeatable(self, event: Event) -> bool:
        """Whether an attempt at ``event`` may be broken off anywhere and begun again."""
        platform = self._platforms.get(event.platform)
        return platform is None or platform.idempotent

    async def process(self, lease: Lease) -> None:
        """Returns when the response is delivered. Raises an outcome of :mod:`app.platforms.platform`, or what the queue raises.

        What an earlier attempt recorded is sent as it is: the model may say something else the second time, and an idempotency
        key with another body would be refused, or worse, accepted.
        """
        event = lease.event
        platform = self._platforms.get(event.platform)
        if platform is None:
            raise GivenUp(f'no platform "{event.platform}" is set up here')
        recorded = lease.steps.get(RENDERED)
        parts: Sequence[str] = json.loads(recorded) if recorded is not None else await self._respond(lease, platform)
        for number, part in enumerate(parts, start=1):
            if (step := sent_step(number)) not in lease.steps:
                await self._send(lease, platform, step, part)

    async def _respond(self, lease: Lease, platform: Platform) -> Sequence[str]:
        """The messages to send, recorded."""
        attempt = Attempt(
            event=lease.event,
            number=lease.attempt,
            platform=platform,
            note=lambda stage, detail: patiently(lambda: self._queue.note(lease, stage, detail)),
            effect=lambda act: self._effect(lease, platform, TASK, act),
        )
        said = await self._responder.respond(attempt)
        parts = platform.render(said.response)
        await patiently(lambda: self._queue.record_outcome(lease, RENDERED, json.dumps(parts, ensure_ascii=False)))
        if said.remember is not None:
            await said.remember()
        return parts

    async def _send(self, lease: Lease, platform: Platform, step: str, part: str) -> None:
        event = lease.event
        pace = platform.pace(event)
        if pace is not None:
            wait = await self._pacer.reserve(pace.key, pace.seconds, LONGEST_PACE_SECONDS)
            if wait > LONGEST_PACE_SECONDS:
                raise Retryable(f"{pace.key} is to be left alone for {wait:.0f} s more", wait, counted=False)
            await asyncio.sleep(wait)
        try:
            sent = await self._effect(lease, platform, step, lambda key: platform.send(event, part, key))
        except Retryable as error:
            if pace is not None and error.retry_after:
                await self._pacer.penalise(pace.key, error.retry_after)
            raise
        await patiently(lambda: self._queue.record_outcome(lease, step, sent))

    async def _effect(self, lease: Lease, platform: Platform, step: str, act: Callable[[str], Awaitable[T]]) -> T:
        """Do ``act`` under its key. Without keys, the intent is recorded first, and a failure of unknown kind is *unknown*."""
        if not platform.idempotent:
            await patiently(lambda: self._queue.record_intent(lease, step))
        try:
            return await act(idempotency_key(lease.event.key, step))
        except (Retryable, GivenUp, OutcomeUnknown):
            raise
        except Exception as error:
            if platform.idempotent:
                raise
            raise OutcomeUnknown(f"{step}: {type(error).__name__}") from error


def sent_step(number: int) -> str:
    """Of the message ``number``, from 1 on."""
    return SENT if number == 1 else f"{SENT}-{number}"


async def patiently(act: Callable[[], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
    """Repeat ``act``, which is safe to repeat, while the queue is away; after ``seconds`` its :class:`QueueUnavailable`."""
    deadline = time.monotonic() + seconds
    pause = 0.05
    while True:
        try:
            return await act()
        except QueueUnavailable:
            if time.monotonic() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.5)
