"""Asks a platform what became of an unknown outcome, where it can tell (:class:`app.platforms.platform.Askable`).

Only one answer settles anything: the message *is there*. Then its step is recorded as done, and the event goes on with what
comes behind it. "Not there" proves nothing, since what was on its way may yet arrive: the event goes on waiting for a person,
as one does that cannot be asked about. Nothing is ever sent from here.

Every worker runs one, and each asks in turn: a *turn* is a moment after the event was parked, the same for all of them, and the
first to claim it in Redis has it. An event is asked about once a turn, so :data:`TURNS_SECONDS` bounds how often in all.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from app.pipeline.event import Event
from app.pipeline.idempotency import idempotency_key
from app.pipeline.pacing import Pacer
from app.pipeline.processor import RENDERED, sent_step
from app.pipeline.queue import Position, Queue, QueueUnavailable, SetAside, State
from app.platforms.platform import Askable, GivenUp, OutcomeUnknown, Platform, Retryable
from app.telemetry.logs import get_logger

TURNS_SECONDS: Final = (5.0, 30.0, 120.0, 600.0)  # after it was parked; what a call takes to arrive is over by the first
LEFT_SECONDS: Final = 1800.0  # then nobody asks any more
LOOK_SECONDS: Final = 2.0  # between looks at what is parked
PAGE: Final = 100

FOUND, MISSING, UNTOLD = "found", "missing", "untold"
ANSWERS: Final = (FOUND, MISSING, UNTOLD)


class Reconciler:
    """``told(platform, answer)`` hears what came of each question: one of :data:`ANSWERS`. ``clock``: seconds since 1970."""

    def __init__(
        self,
        queue: Queue,
        platforms: Mapping[str, Platform],
        pacer: Pacer,
        told: Callable[[str, str], None] = lambda _platform, _answer: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._platforms = {name: platform for name, platform in platforms.items() if isinstance(platform, Askable)}
        self._pacer = pacer
        self._told = told
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled; at once where no platform can be asked."""
        while self._platforms:
            try:
                await self.look()
            except QueueUnavailable:
                pass  # the worker beside this says so
            except Exception as error:
                get_logger().error("the reconciler failed", type=type(error).__name__)  # its message may quote somebody
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Ask about every parked event whose turn it is. Raises :class:`QueueUnavailable`."""
        now = self._clock()
        position: Position | None = Position(datetime.fromtimestamp(now, UTC) - timedelta(seconds=LEFT_SECONDS), "")
        while position is not None:
            page = await self._queue.set_aside(PAGE, state=State.UNKNOWN, after=position)
            for aside in page:
                turn = turn_at(now - aside.at.timestamp())
                platform = self._platforms.get(aside.key.partition(":")[0])
                if turn is not None and platform is not None and await self._claim(aside, turn):
                    await self._ask(aside.key, platform)
            position = page[-1].position if len(page) == PAGE else None

    async def _claim(self, aside: SetAside, turn: int) -> bool:
        key = f"ask:{turn}:{round(aside.at.timestamp() * 1000)}:{aside.key}"
        return await self._pacer.reserve(key, LEFT_SECONDS, 0.0) == 0.0

    async def _ask(self, key: str, platform: Askable) -> None:
        unsettled = await self._queue.unsettled(key)
        question = open_part(unsettled.steps) if unsettled else None
        if unsettled is None or question is None:
            return
        step, part = question
        answer = await _answer(platform, unsettled.event, step, part)
        self._told(unsettled.event.platform, answer)
        resolved = answer == FOUND and await self._queue.resolve(key, step)
        get_logger().info("asked for an unknown outcome", event_key=key, step=step, answer=answer, resolved=resolved)


def turn_at(age_seconds: float) -> int | None:
    """The number of the last turn that came; None before the first, and once the event is left to people."""
    passed = sum(age_seconds >= moment for moment in TURNS_SECONDS)
    return passed if passed and age_seconds < LEFT_SECONDS else None


def open_part(steps: Mapping[str, str]) -> tuple[str, str] | None:
    """The step and message of which it is unknown whether it was sent. Messages go in their order, so it is the first without
    an outcome. None where it was not a message: nothing was rendered yet, or all of them went."""
    parts = json.loads(steps.get(RENDERED, "[]"))
    return next(((step, part) for number, part in enumerate(parts, 1) if (step := sent_step(number)) not in steps), None)


async def _answer(platform: Askable, event: Event, step: str, part: str) -> str:
    if not platform.findable(part):
        return UNTOLD
    try:
        found = await platform.find(event, idempotency_key(event.key, step))
    except (Retryable, GivenUp, OutcomeUnknown):
        return UNTOLD
    return FOUND if found else MISSING
