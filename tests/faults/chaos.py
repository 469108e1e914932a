"""Faults at random moments of a flow, by a seed; and what must be true of the queue's own record afterwards."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from fleet import Fleet, until

from app.pipeline.queue import State
from app.pipeline.redis_queue import PREFIX

FINAL = frozenset(state.value for state in (State.DONE, State.DEAD, State.UNKNOWN))
RELEASED = FINAL | {"retry"}  # stages that end a lease
# Longer than the lease of 2 s, so that a worker wakes late; shorter than what platforms wait for an answer; longer than Redis'
# time-out.
STOP_SECONDS = {"worker": 3.0, "gateway": 1.0, "redis": 0.8}
FAULTS = [(victim, kind) for victim in STOP_SECONDS for kind in ("kill", "stop")] + [("worker", "kill"), ("worker", "stop")]


@dataclass(frozen=True)
class Fault:
    after: int  # so many events are through
    victim: str
    kind: str
    worker: int
    wait_seconds: float  # then, so that it does not always meet the same step

    def __str__(self) -> str:
        which = f"{self.victim} {self.worker}" if self.victim == "worker" else self.victim
        return f"{self.kind} {which} after {self.after}"


def schedule(seed: int, events: int, workers: int) -> list[Fault]:
    """Every fault of :data:`FAULTS`, spread over the flow in an order and at moments that ``seed`` decides."""
    dice = random.Random(seed)
    order = dice.sample(FAULTS, len(FAULTS))
    moments = sorted(dice.sample(range(events // 50, events * 9 // 10), len(order)))
    return [
        Fault(after, victim, kind, dice.randrange(workers), dice.random() / 10)
        for after, (victim, kind) in zip(moments, order, strict=True)
    ]


def break_things(fleet: Fleet, redis: Any, faults: list[Fault], through: Callable[[], int]) -> None:
    """Each fault once ``through()`` events are answered. What was killed is started again at once, what was stopped later."""
    for fault in faults:
        until(lambda fault=fault: through() >= fault.after, 60, lambda fault=fault: f"only {through()} through: no {fault}")
        time.sleep(fault.wait_seconds)
        victim: Any = {"worker": fleet.workers[fault.worker], "gateway": fleet.gateway, "redis": redis}[fault.victim]
        if fault.kind == "kill":
            victim.kill()
            victim.start()
        else:
            victim.pause()
            time.sleep(STOP_SECONDS[fault.victim])
            victim.resume()


class Record(NamedTuple):
    """What the queue knows of an event. ``timeline``: milliseconds, stage, detail."""

    state: str
    attempts: int
    timeline: list[tuple[int, str, str]]


def records(redis: Any) -> dict[str, Record]:
    """Of every event, by its key; read past the application."""
    found: dict[str, Record] = {}
    for name in redis.command("KEYS", f"{PREFIX}:event:*"):
        key = str(name).removeprefix(f"{PREFIX}:event:")
        state, attempts = redis.command("HMGET", name, "state", "attempts")
        lines = [line.split(" ", 2) for line in redis.command("LRANGE", f"{PREFIX}:timeline:{key}", 0, -1)]
        found[key] = Record(state, int(attempts), [(int(at), stage, detail) for at, stage, detail in lines])
    return found


def in_order(found: dict[str, Record], conversation_of: Callable[[str], str]) -> Counter[str]:
    """Checks that at most one event of a conversation was in flight at any time and that they ended in the order of their
    acceptance; counts the stages that were met."""
    stages: Counter[str] = Counter()
    held: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    ended: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, record in found.items():
        conversation, begun = conversation_of(key), None
        for at, stage, detail in record.timeline:
            stages[f"{stage}: {detail}" if stage == "retry" else stage] += 1
            if stage == "leased":
                assert begun is None, f"{key} was leased twice at once"
                begun = at
            elif stage in RELEASED and begun is not None:
                held[conversation].append((begun, at, key))
                begun = None
        assert begun is None, f"{key} is still held"
        first_end = next(at for at, stage, _ in record.timeline if stage in FINAL)
        ended[conversation].append((record.timeline[0][0], first_end))
    for conversation, intervals in held.items():
        intervals.sort()
        for (_, end, one), (begin, _, other) in itertools.pairwise(intervals):
            assert end <= begin, f"{one} and {other} of {conversation} were in flight together"
    for conversation, pairs in ended.items():
        pairs.sort()
        assert all(earlier[0] == later[0] or earlier[1] <= later[1] for earlier, later in itertools.pairwise(pairs)), (
            f"{conversation} was not answered in order"
        )
    return stages
