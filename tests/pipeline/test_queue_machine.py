"""Random interleavings of everything that can happen to a queue, on both implementations, held against a model of the promises.

The model knows nothing of how a queue works: a conversation is a list, an event has a state, and the rules say what may follow.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from app.pipeline.event import Event
from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.queue import Delivery, Lease, LeaseLost, QueuePolicy, State
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import PREFIX, RedisQueue
from app.settings import RedisSettings

MAX_ATTEMPTS = 3
LIMIT = 8
ASIDE = (State.DEAD, State.UNKNOWN)


@dataclass
class Modelled:
    """What must be true of one event."""

    event: Event
    state: State = State.QUEUED
    attempts: int = 0
    excused: int = 0
    token: int = 0
    intent: bool = False
    steps: dict[str, str] = field(default_factory=dict)
    forgotten: bool = False  # discarded: a mere duplicate from now on
    waits: bool = False  # for a retry's delay, which only `pass_time` ends


class Machine(RuleBasedStateMachine):
    """Subclasses make the queue and let time pass."""

    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.queue: Any = self.make(QueuePolicy(limit=LIMIT, max_attempts=MAX_ATTEMPTS))
        self.events: dict[str, Modelled] = {}
        self.conversations: dict[str, list[str]] = {}  # unfinished event keys, in order
        self.last_token = 0

    def make(self, policy: QueuePolicy) -> Any:
        raise NotImplementedError

    def pass_time(self) -> None:
        raise NotImplementedError

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @rule(id=st.integers(0, 9), conversation=st.sampled_from("abc"))
    def deliver(self, id: int, conversation: str) -> None:
        event = self.event(id, conversation)
        expected = self.accept(event)
        assert self.run(self.queue.deliver(event)) == expected

    @rule(target=leases)
    def lease(self) -> Lease | None:
        """Adds to the bundle in any case: which conversation is first is a matter of milliseconds, and what Hypothesis may draw
        next must not depend on it."""
        heads = [self.events[keys[0]] for keys in self.conversations.values() if keys]
        due = [head for head in heads if head.state != State.LEASED and not head.waits]
        found: Lease | None = self.run(self.queue.lease("w"))
        if found is None:
            assert not due, "something was due and was not leased"
            return None
        entry = self.events[found.event.key]
        assert entry in due, "leased out of order, twice, or before its time"
        assert found.token > self.last_token, "fencing tokens must grow"
        assert dict(found.steps) == entry.steps
        entry.attempts += 1
        assert found.attempt == entry.attempts
        entry.state, entry.token, self.last_token = State.LEASED, found.token, found.token
        return found

    @rule(lease=leases)
    def renew(self, lease: Lease | None) -> None:
        self.act(lease, self.queue.renew, None)

    @rule(lease=leases)
    def intend(self, lease: Lease | None) -> None:
        if entry := self.act(lease, lambda held: self.queue.record_intent(held, "sent"), None):
            entry.intent = True

    @rule(lease=leases, value=st.sampled_from(["", "v"]))
    def outcome(self, lease: Lease | None, value: str) -> None:
        if entry := self.act(lease, lambda held: self.queue.record_outcome(held, "sent", value), None):
            entry.intent, entry.steps["sent"] = False, value

    @rule(lease=leases)
    def acknowledge(self, lease: Lease | None) -> None:
        if entry := self.act(lease, self.queue.acknowledge, State.DONE):
            self.finish(entry, State.DONE)

    @rule(lease=leases, delayed=st.booleans(), counted=st.booleans())
    def retry(self, lease: Lease | None, delayed: bool, counted: bool) -> None:
        seconds = 600.0 if delayed else 0.0

        def retry(held: Lease) -> Any:
            return self.queue.retry(held, seconds, "r", counted=counted)

        entry = self.act(lease, retry, State.RETRYING, State.DEAD)
        if entry:
            entry.excused += not counted
            if entry.attempts - entry.excused >= MAX_ATTEMPTS:
                self.finish(entry, State.DEAD)
            else:
                entry.state, entry.intent, entry.waits = State.RETRYING, False, delayed

    @rule(lease=consumes(leases), unknown=st.booleans())
    def put_aside(self, lease: Lease | None, unknown: bool) -> None:
        act = self.queue.park if unknown else self.queue.dead_letter
        state = State.UNKNOWN if unknown else State.DEAD
        if entry := self.act(lease, lambda held: act(held, "r"), state):
            self.finish(entry, state)

    @rule()
    def every_worker_crashes_and_time_passes(self) -> None:
        self.pass_time()
        for entry in self.events.values():
            entry.waits = False
            if entry.state == State.LEASED:
                entry.token = 0
                if entry.intent:
                    self.finish(entry, State.UNKNOWN)
                elif entry.attempts - entry.excused >= MAX_ATTEMPTS:
                    self.finish(entry, State.DEAD)
                else:
                    entry.state = State.RETRYING
        # Expired leases are found when somebody asks for work: who asks may get some, which is then lost as well.
        if found := self.run(self.queue.lease("w")):
            entry = self.events[found.event.key]
            assert entry.state in (State.QUEUED, State.RETRYING)
            assert self.conversations[entry.event.conversation_key][0] == entry.event.key
            entry.attempts += 1
            entry.state, entry.token, self.last_token = State.LEASED, found.token, found.token

    @rule(id=st.integers(0, 9), replay=st.booleans())
    def mend(self, id: int, replay: bool) -> None:
        key = f"generic:t:{id}"
        entry = self.events.get(key)
        found = self.run(self.queue.replay(key) if replay else self.queue.discard(key))
        assert found == (entry is not None and entry.state in ASIDE and not entry.forgotten)
        if found and entry:
            if replay:
                entry.state, entry.attempts, entry.excused, entry.token = State.QUEUED, 0, 0, 0
                self.conversations[entry.event.conversation_key].append(key)
            else:
                entry.forgotten = True

    @rule(id=st.integers(0, 9), step=st.sampled_from(["sent", "sent-2"]))
    def find_out(self, id: int, step: str) -> None:
        """Somebody asked the platform about an unknown outcome: the step had taken place."""
        key = f"generic:t:{id}"
        entry = self.events.get(key)
        unknown = entry is not None and entry.state == State.UNKNOWN and not entry.forgotten
        unsettled = self.run(self.queue.unsettled(key))
        assert (unsettled is not None) == unknown
        assert self.run(self.queue.resolve(key, step, "found")) == unknown
        if unknown and entry:
            assert (unsettled.event, dict(unsettled.steps)) == (entry.event, entry.steps)
            entry.steps.setdefault(step, "found")
            entry.state, entry.attempts, entry.excused, entry.token = State.QUEUED, 0, 0, 0
            self.conversations[entry.event.conversation_key].append(key)

    @rule(ids=st.lists(st.integers(0, 9), min_size=2, max_size=6), conversation=st.sampled_from("abc"))
    def deliver_at_once(self, ids: list[int], conversation: str) -> None:
        """Many callers in one moment, who share a commit; some bring the same message."""
        events = [self.event(id, conversation) for id in ids]

        async def together() -> list[Delivery]:
            return await asyncio.gather(*(self.queue.deliver(event) for event in events))

        expected = [self.accept(event) for event in events]
        assert self.run(together()) == expected

    @invariant()
    def what_the_queue_counts_is_what_is_there(self) -> None:
        stats = self.run(self.queue.stats())
        states = [entry.state for entry in self.events.values() if not entry.forgotten]
        assert stats.backlog == sum(len(keys) for keys in self.conversations.values())
        assert (stats.leased, stats.dead, stats.unknown) == tuple(
            states.count(state) for state in (State.LEASED, State.DEAD, State.UNKNOWN)
        )

    @staticmethod
    def event(id: int, conversation: str) -> Event:
        return Event(
            id=str(id),
            platform="generic",
            tenant="t",
            conversation=conversation,
            sender="s",
            text="x",
            received_at=datetime.now(UTC),
        )

    def accept(self, event: Event) -> Delivery:
        """What the queue has to say to ``event``, which the model takes in where that is yes."""
        unfinished = sum(entry.state != State.DONE and not entry.forgotten for entry in self.events.values())
        if event.key in self.events:
            return Delivery.DUPLICATE
        if unfinished >= LIMIT:
            return Delivery.REFUSED
        self.events[event.key] = Modelled(event)
        self.conversations.setdefault(event.conversation_key, []).append(event.key)
        return Delivery.ACCEPTED

    def act(self, lease: Lease | None, act: Callable[[Lease], Any], *repeated: State | None) -> Modelled | None:
        """The event where the act took effect; None where the lease was lost, or the act had been done with it already."""
        if lease is None:
            return None
        work, entry = act(lease), self.events[lease.event.key]
        mine = entry.token == lease.token
        if mine and entry.state == State.LEASED:
            self.run(work)
            return entry
        if mine and entry.state in repeated:
            self.run(work)
            return None
        with pytest.raises(LeaseLost):
            self.run(work)
        return None

    def finish(self, entry: Modelled, state: State) -> None:
        entry.state, entry.intent, entry.waits = state, False, False
        if state == State.DONE:
            entry.steps.clear()
        self.conversations[entry.event.conversation_key].remove(entry.event.key)

    def teardown(self) -> None:
        """Nothing is lost: whatever was accepted can be worked off, each conversation in its order."""
        self.pass_time()
        for entry in self.events.values():
            if entry.state == State.LEASED and (entry.intent or entry.attempts - entry.excused >= MAX_ATTEMPTS):
                self.finish(entry, State.UNKNOWN if entry.intent else State.DEAD)
        while found := self.run(self.queue.lease("w")):
            keys = self.conversations[found.event.conversation_key]
            assert keys.pop(0) == found.event.key
            self.run(self.queue.acknowledge(found))
        assert not any(self.conversations.values()), "accepted events were never leased"
        self.close()
        self.runner.close()

    def close(self) -> None:
        pass


def limits(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        database=None,
    )


def test_in_memory() -> None:
    class InMemory(Machine):
        def make(self, policy: QueuePolicy) -> MemoryQueue:
            self.ahead = 0.0
            return MemoryQueue(policy, clock=lambda: time.time() + self.ahead)

        def pass_time(self) -> None:
            self.ahead += 3600

    run_state_machine_as_test(InMemory, settings=limits(60))


def test_in_redis(redis_server: Any) -> None:
    class InRedis(Machine):
        def make(self, policy: QueuePolicy) -> RedisQueue:
            redis_server.command("FLUSHALL")
            self.client = connect(
                RedisSettings(redis_url=redis_server.url, redis_password=redis_server.password, redis_timeout_seconds=10)
            )
            return RedisQueue(self.client, policy)

        def pass_time(self) -> None:
            for name in ("leases", "ready"):
                for member in self.run(self.client.command("ZRANGE", f"{PREFIX}:{name}", 0, -1)):
                    self.run(self.client.command("ZADD", f"{PREFIX}:{name}", 1, member))

        def close(self) -> None:
            self.run(self.client.close())

    run_state_machine_as_test(InRedis, settings=limits(40))
