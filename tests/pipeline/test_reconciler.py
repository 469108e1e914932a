"""An unknown outcome is settled by one answer alone: the message is there. Nothing is sent, whatever the platform says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.pipeline.event import Event
from app.pipeline.idempotency import idempotency_key
from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.pacing import MemoryPacer
from app.pipeline.processor import RENDERED
from app.pipeline.queue import QueuePolicy, State
from app.pipeline.reconciler import FOUND, LEFT_SECONDS, MISSING, TURNS_SECONDS, UNTOLD, Reconciler, open_part, turn_at
from app.platforms.platform import Askable, OutcomeUnknown, Retryable
from app.platforms.slack.client import SlackPlatform

PARTS = json.dumps(["one", "two"])


class Platform:
    """Answers questions, and would notice a send."""

    name, idempotent = "generic", False

    def __init__(self) -> None:
        self.arrived: set[str] = set()
        self.asked: list[str] = []
        self.trouble: Exception | None = None

    def findable(self, part: str) -> bool:
        return part != "file"

    async def find(self, event: Event, key: str) -> bool:
        self.asked.append(key)
        if self.trouble is not None:
            raise self.trouble
        return key in self.arrived

    async def send(self, event: Event, part: str, key: str) -> str:
        raise AssertionError("the reconciler sends nothing")


class Bench:
    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.queue = MemoryQueue(QueuePolicy(), clock=lambda: self.now)
        self.platform = Platform()
        self.told: list[tuple[str, str]] = []
        self.pacer = MemoryPacer(lambda: self.now)
        self.reconciler = self.another()

    def another(self) -> Reconciler:
        """Of another worker, on the same queue."""
        platforms: Any = {"generic": self.platform}
        return Reconciler(self.queue, platforms, self.pacer, lambda *told: self.told.append(told), lambda: self.now)

    async def park(self, event: Event, *, parts: str | None = PARTS, sent: tuple[str, ...] = ()) -> str:
        await self.queue.deliver(event)
        lease = await self.queue.lease("w")
        assert lease is not None
        if parts is not None:
            await self.queue.record_outcome(lease, RENDERED, parts)
        for step in sent:
            await self.queue.record_outcome(lease, step, "id")
        await self.queue.park(lease, "no answer came")
        return event.key

    async def look(self, later: float = TURNS_SECONDS[0]) -> None:
        self.now += later
        await self.reconciler.look()

    async def state(self, key: str) -> State:
        trace = await self.queue.trace(key)
        assert trace is not None
        return trace.state


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_what_is_found_is_done_and_the_event_goes_on_behind_it(bench: Bench, make_event: Any) -> None:
    key = await bench.park(make_event())
    bench.platform.arrived = {idempotency_key(key, "sent")}
    await bench.look()
    assert bench.told == [("generic", FOUND)]
    lease = await bench.queue.lease("w")
    assert lease is not None
    assert dict(lease.steps) == {RENDERED: PARTS, "sent": ""}
    assert lease.attempt == 1


async def test_the_message_that_is_open_is_asked_about_and_no_other(bench: Bench, make_event: Any) -> None:
    key = await bench.park(make_event(), sent=("sent",))
    bench.platform.arrived = {idempotency_key(key, "sent")}
    await bench.look()
    assert bench.platform.asked == [idempotency_key(key, "sent-2")]
    assert await bench.state(key) == State.UNKNOWN


@pytest.mark.parametrize("trouble", [None, Retryable("429", 30), OutcomeUnknown("too many messages")])
async def test_what_is_not_found_or_not_told_waits_for_a_person(
    bench: Bench, make_event: Any, trouble: Exception | None
) -> None:
    key = await bench.park(make_event())
    bench.platform.trouble = trouble
    for _ in range(10):
        await bench.look()
    assert set(bench.told) == {("generic", MISSING if trouble is None else UNTOLD)}
    assert await bench.state(key) == State.UNKNOWN


@pytest.mark.parametrize("parts", [None, json.dumps(["file"])])
async def test_what_cannot_be_asked_about_is_not(bench: Bench, make_event: Any, parts: str | None) -> None:
    key = await bench.park(make_event(), parts=parts)
    await bench.look()
    assert bench.platform.asked == []
    assert await bench.state(key) == State.UNKNOWN


async def test_it_is_asked_once_a_turn_whoever_looks_and_left_in_the_end(bench: Bench, make_event: Any) -> None:
    await bench.park(make_event())
    other = bench.another()
    await bench.look(TURNS_SECONDS[0] - 1)
    assert bench.platform.asked == []
    for _ in range(int(LEFT_SECONDS)):
        await bench.look(1.0)
        await other.look()
    assert len(bench.platform.asked) == len(TURNS_SECONDS)


async def test_what_became_unknown_again_is_asked_about_again(bench: Bench, make_event: Any) -> None:
    key = await bench.park(make_event())
    await bench.look()
    assert await bench.queue.replay(key)
    lease = await bench.queue.lease("w")
    assert lease is not None
    await bench.queue.park(lease, "no answer came")
    await bench.look()
    assert len(bench.platform.asked) == 2


async def test_dead_letters_are_not_asked_about(bench: Bench, make_event: Any) -> None:
    event = make_event()
    await bench.queue.deliver(event)
    lease = await bench.queue.lease("w")
    assert lease is not None
    await bench.queue.record_outcome(lease, RENDERED, PARTS)
    await bench.queue.dead_letter(lease, "refused")
    await bench.look()
    assert bench.platform.asked == []


async def test_a_platform_that_breaks_does_not_keep_the_others_from_being_asked(bench: Bench, make_event: Any) -> None:
    for number in range(3):
        await bench.park(make_event(str(number)))
    bench.platform.trouble = Retryable("away")
    await bench.look()
    assert len(bench.platform.asked) == 3


@pytest.mark.parametrize(
    ("age", "turn"), [(0, None), (4.9, None), (5, 1), (29, 1), (30, 2), (600, 4), (1799, 4), (1800, None), (10**6, None)]
)
def test_turns(age: float, turn: int | None) -> None:
    assert turn_at(age) == turn


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ({}, None),
        ({RENDERED: PARTS}, ("sent", "one")),
        ({RENDERED: PARTS, "sent": ""}, ("sent-2", "two")),
        ({RENDERED: PARTS, "sent": "", "sent-2": ""}, None),
        ({"task": "x"}, None),
    ],
)
def test_the_open_part_is_the_first_without_an_outcome(steps: dict[str, str], expected: tuple[str, str] | None) -> None:
    assert open_part(steps) == expected


def test_slack_can_be_asked() -> None:
    assert issubclass(SlackPlatform, Askable)
