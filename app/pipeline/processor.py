"""One event's way, once leased: route, handle, send; each step journalled, each effect under its idempotency key."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from app.auth.roles import Roles
from app.pipeline.answer import AnswerClient
from app.pipeline.event import Event
from app.pipeline.handlers.answer import handle_answer
from app.pipeline.handlers.help import handle_help
from app.pipeline.handlers.task import handle_task
from app.pipeline.idempotency import idempotency_key
from app.pipeline.phrases import phrases_for
from app.pipeline.queue import Lease, Queue, QueueUnavailable
from app.pipeline.responses import Response
from app.pipeline.router import AnswerRoute, DeniedRoute, HelpRoute, TaskRoute, permission_of, route
from app.platforms.platform import GivenUp, OutcomeUnknown, Platform, Retryable, TaskFailed
from app.tasks.template import Library

T = TypeVar("T")
PATIENCE_SECONDS = 5.0  # how long a step waits for a queue that is away (a restart of Redis) before the attempt is dropped

# Names of journalled steps; they are stages of the trace too.
HANDLED = "handled"  # the response exists; its value is the list of messages in which the platform shows it, in JSON
SENT = "sent"  # of several messages the first; the others are sent-2, sent-3 …
TASK = "task"


class Processor:
    """``denied`` hears of what somebody wanted and may not, by platform and permission."""

    def __init__(
        self,
        queue: Queue,
        answers: AnswerClient,
        library: Library,
        platforms: Mapping[str, Platform],
        roles: Roles,
        denied: Callable[[str, str], None] = lambda _platform, _permission: None,
    ) -> None:
        self._queue = queue
        self._answers = answers
        self._library = library
        self._platforms = platforms
        self._roles = roles
        self._denied = denied

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
        recorded = lease.steps.get(HANDLED)
        parts: Sequence[str] = json.loads(recorded) if recorded is not None else await self._handle(lease, platform)
        for number, part in enumerate(parts, start=1):
            step = SENT if number == 1 else f"{SENT}-{number}"
            if step not in lease.steps:
                await self._send(lease, platform, step, part)

    async def _send(self, lease: Lease, platform: Platform, step: str, part: str) -> None:
        sent = await self._effect(lease, platform, step, lambda key: platform.send(lease.event, part, key))
        await patiently(lambda: self._queue.record_outcome(lease, step, sent))

    async def _handle(self, lease: Lease, platform: Platform) -> Sequence[str]:
        """The messages to send, recorded."""
        event = lease.event
        chosen = route(event, self._library)
        await patiently(lambda: self._queue.note(lease, "routed", str(chosen)))
        permission = permission_of(chosen)
        if permission is not None and not self._roles.permits(event, permission):
            self._denied(event.platform, permission)
            chosen = DeniedRoute()
        match chosen:
            case DeniedRoute():
                response = Response(phrases_for(event.text).denied)
            case TaskRoute(match=match):
                response = await handle_task(match, event, platform, lambda act: self._effect(lease, platform, TASK, act))
            case AnswerRoute():
                response = await handle_answer(chosen, event, self._answers)
            case HelpRoute():
                response = handle_help(event)
        parts = platform.render(response)
        await patiently(lambda: self._queue.record_outcome(lease, HANDLED, json.dumps(parts, ensure_ascii=False)))
        return parts

    async def _effect(self, lease: Lease, platform: Platform, step: str, act: Callable[[str], Awaitable[T]]) -> T:
        """Do ``act`` under its key. Without keys, the intent is recorded first, and a failure of unknown kind is *unknown*."""
        if not platform.idempotent:
            await patiently(lambda: self._queue.record_intent(lease, step))
        try:
            return await act(idempotency_key(lease.event.key, step))
        except (Retryable, GivenUp, OutcomeUnknown, TaskFailed):
            raise
        except Exception as error:
            if platform.idempotent:
                raise
            raise OutcomeUnknown(f"{step}: {type(error).__name__}") from error


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
