"""The queue's promises, each asked of both implementations."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from app.pipeline.queue import Delivery, Lease, LeaseLost, Queue, QueuePolicy, State


async def leased(queue: Queue, worker: str = "w1") -> Lease:
    found = await queue.lease(worker)
    assert found is not None
    return found


def stages(trace: Any) -> list[str]:
    return [entry.stage for entry in trace.timeline]


async def test_an_event_goes_in_and_comes_out_as_it_was(queue: Queue, make_event: Any) -> None:
    event = make_event(text='创建一个周会的日程 "\n\x00\u2028', reply_to={"thread": "1.2"})
    assert await queue.deliver(event) == Delivery.ACCEPTED
    lease = await leased(queue)
    assert lease.event == event
    assert lease.attempt == 1
    assert dict(lease.steps) == {}


async def test_of_a_hundred_deliveries_at_once_one_is_accepted(queue: Queue, make_event: Any) -> None:
    found = Counter(await asyncio.gather(*(queue.deliver(make_event()) for _ in range(100))))
    assert found == {Delivery.ACCEPTED: 1, Delivery.DUPLICATE: 99}
    assert (await queue.stats()).backlog == 1


async def test_the_same_id_of_another_tenant_is_another_event(queue: Queue, make_event: Any) -> None:
    assert await queue.deliver(make_event(tenant="a")) == Delivery.ACCEPTED
    assert await queue.deliver(make_event(tenant="b")) == Delivery.ACCEPTED


async def test_a_finished_event_is_a_duplicate_for_a_day_and_no_longer(queue: Queue, harness: Any, make_event: Any) -> None:
    await queue.deliver(make_event())
    await queue.acknowledge(await leased(queue))
    assert await queue.deliver(make_event()) == Delivery.DUPLICATE
    assert await queue.lease("w1") is None
    await harness.expire_finished()
    assert await queue.deliver(make_event()) == Delivery.ACCEPTED


async def test_an_unfinished_event_never_expires(queue: Queue, harness: Any, make_event: Any) -> None:
    await queue.deliver(make_event("dead"))
    await queue.dead_letter(await leased(queue), "broken")
    await queue.deliver(make_event("waiting"))
    await harness.expire_finished()
    assert await queue.deliver(make_event("dead")) == Delivery.DUPLICATE
    assert await queue.deliver(make_event("waiting")) == Delivery.DUPLICATE
    assert (await leased(queue)).event.id == "waiting"


async def test_events_of_a_conversation_are_leased_one_after_another_in_order(queue: Queue, make_event: Any) -> None:
    for id in ("1", "2", "3"):
        await queue.deliver(make_event(id))
    for id in ("1", "2", "3"):
        lease = await leased(queue)
        assert lease.event.id == id
        assert await queue.lease("w2") is None
        await queue.acknowledge(lease)


async def test_an_event_that_arrives_while_its_predecessor_is_in_flight_waits(queue: Queue, make_event: Any) -> None:
    await queue.deliver(make_event("1"))
    first = await leased(queue)
    await queue.deliver(make_event("2"))
    assert await queue.lease("w2") is None
    await queue.acknowledge(first)
    assert (await leased(queue)).event.id == "2"


async def test_another_conversation_flows_while_one_is_held(queue: Queue, make_event: Any) -> None:
    await queue.deliver(make_event("1", conversation="a"))
    await queue.deliver(make_event("2", conversation="b"))
    found = {(await leased(queue)).event.id, (await leased(queue, "w2")).event.id}
    assert found == {"1", "2"}


async def test_a_retried_event_keeps_its_place_and_holds_its_successors_back(
    queue: Queue, harness: Any, make_event: Any
) -> None:
    await queue.deliver(make_event("1"))
    await queue.deliver(make_event("2"))
    assert await queue.retry(await leased(queue), 60, "the service is busy") == State.RETRYING
    assert await queue.lease("w1") is None
    await harness.expire_leases()
    again = await leased(queue)
    assert (again.event.id, again.attempt) == ("1", 2)


async def test_a_crashed_workers_event_is_leased_again_and_the_old_holder_is_fenced_off(
    queue: Queue, harness: Any, make_event: Any
) -> None:
    await queue.deliver(make_event())
    old = await leased(queue, "crashed")
    await harness.expire_leases()
    new = await leased(queue, "w2")
    assert new.event == old.event
    assert new.token > old.token
    for act in (
        queue.renew(old),
        queue.note(old, "routed"),
        queue.record_intent(old, "sent"),
        queue.record_outcome(old, "sent"),
        queue.acknowledge(old),
        queue.retry(old, 0, "late"),
        queue.dead_letter(old, "late"),
        queue.park(old, "late"),
    ):
        with pytest.raises(LeaseLost):
            await act
    await queue.acknowledge(new)


async def test_a_renewed_lease_outlives_its_first_deadline(harness: Any, make_event: Any) -> None:
    queue = harness.make(QueuePolicy(lease_seconds=0.3))
    await queue.deliver(make_event())
    lease = await leased(queue)
    for _ in range(3):
        await asyncio.sleep(0.2)
        await queue.renew(lease)
        assert await queue.lease("w2") is None
    await queue.acknowledge(lease)


async def test_a_waiting_worker_takes_an_expired_lease_over_when_it_expires(harness: Any, make_event: Any) -> None:
    queue = harness.make(QueuePolicy(lease_seconds=0.3))
    await queue.deliver(make_event())
    await leased(queue, "crashed")
    start = time.monotonic()
    taken = await queue.lease("w2", wait_seconds=5)
    assert taken is not None
    assert taken.attempt == 2
    assert 0.2 < time.monotonic() - start < 0.8


async def test_a_waiting_worker_gets_a_new_event_at_once(queue: Queue, make_event: Any) -> None:
    waiting = asyncio.create_task(queue.lease("w1", wait_seconds=5))
    await asyncio.sleep(0.1)  # until it waits
    start = time.monotonic()
    await queue.deliver(make_event())
    assert await waiting is not None
    assert time.monotonic() - start < 0.05


async def test_a_waiting_worker_gets_the_successor_when_its_predecessor_is_done(queue: Queue, make_event: Any) -> None:
    await queue.deliver(make_event("1"))
    await queue.deliver(make_event("2"))
    first = await leased(queue)
    waiting = asyncio.create_task(queue.lease("w2", wait_seconds=5))
    await asyncio.sleep(0.1)  # until it waits
    await queue.acknowledge(first)
    found = await waiting
    assert found is not None
    assert found.event.id == "2"


async def test_waiting_in_vain_ends_on_time(queue: Queue) -> None:
    start = time.monotonic()
    assert await queue.lease("w1", wait_seconds=0.2) is None
    assert 0.15 < time.monotonic() - start < 0.6


async def test_a_poison_event_that_kills_each_worker_is_dead_after_the_last_attempt_and_its_successor_flows(
    queue: Queue, harness: Any, make_event: Any
) -> None:
    await queue.deliver(make_event("poison"))
    await queue.deliver(make_event("next"))
    for attempt in (1, 2, 3):
        lease = await leased(queue, "crashes")
        assert (lease.event.id, lease.attempt) == ("poison", attempt)
        await harness.expire_leases()
    assert (await leased(queue)).event.id == "next"
    trace = await queue.trace(make_event("poison").key)
    assert trace is not None
    assert trace.state == State.DEAD
    assert [aside.key for aside in await queue.set_aside()] == [make_event("poison").key]


async def test_failures_are_counted_and_excused_ones_are_not(queue: Queue, harness: Any, make_event: Any) -> None:
    await queue.deliver(make_event())
    for _ in range(5):
        assert await queue.retry(await leased(queue), 0, "overloaded", counted=False) == State.RETRYING
    found = [await queue.retry(await leased(queue), 0, "fails") for _ in range(3)]
    assert found == [State.RETRYING, State.RETRYING, State.DEAD]
    assert await queue.lease("w1") is None


async def test_a_lease_lost_between_intent_and_outcome_leaves_the_event_unknown(
    queue: Queue, harness: Any, make_event: Any
) -> None:
    await queue.deliver(make_event("1"))
    await queue.deliver(make_event("2"))
    lease = await leased(queue)
    await queue.record_intent(lease, "sent")
    await harness.expire_leases()
    assert (await leased(queue)).event.id == "2"  # and "1" is not sent again by itself
    trace = await queue.trace(lease.event.key)
    assert trace is not None
    assert trace.state == State.UNKNOWN
    assert (await queue.stats()).unknown == 1


async def test_a_recorded_outcome_ends_the_intent_and_is_given_to_the_next_attempt(
    queue: Queue, harness: Any, make_event: Any
) -> None:
    await queue.deliver(make_event())
    lease = await leased(queue)
    await queue.record_intent(lease, "calendar")
    await queue.record_outcome(lease, "calendar", "https://calendar/1")
    await harness.expire_leases()
    assert dict((await leased(queue)).steps) == {"calendar": "https://calendar/1"}


async def test_a_retry_takes_the_intent_back(queue: Queue, harness: Any, make_event: Any) -> None:
    await queue.deliver(make_event())
    lease = await leased(queue)
    await queue.record_intent(lease, "sent")
    await queue.retry(lease, 0, "refused")
    again = await leased(queue)
    await harness.expire_leases()
    assert (await leased(queue)).token > again.token  # leased again, not unknown


async def test_parked_events_wait_for_a_person_who_replays_or_discards_them(queue: Queue, make_event: Any) -> None:
    for id in ("1", "2"):
        await queue.deliver(make_event(id))
        await queue.park(await leased(queue), "no answer")
    assert [(aside.key, aside.state, aside.reason) for aside in await queue.set_aside()] == [
        (make_event("1").key, State.UNKNOWN, "no answer"),
        (make_event("2").key, State.UNKNOWN, "no answer"),
    ]
    assert await queue.replay(make_event("1").key)
    assert await queue.discard(make_event("2").key)
    assert await queue.set_aside() == []
    lease = await leased(queue)
    assert (lease.event.id, lease.attempt) == ("1", 1)
    assert await queue.deliver(make_event("2")) == Delivery.DUPLICATE


async def test_what_is_set_aside_is_read_page_by_page_and_each_event_once(queue: Queue, make_event: Any) -> None:
    """Many are set aside within a millisecond, as they are when a worker is lost; a page may end in between."""
    for number in range(7):
        await queue.deliver(make_event(f"事件 {number}", conversation=f"room {number}"))
    for number in range(7):
        lease = await leased(queue)
        await (queue.dead_letter if number % 2 else queue.park)(lease, "broken")
    everything = await queue.set_aside()
    assert len({aside.key for aside in everything}) == 7
    assert everything == sorted(everything, key=lambda aside: aside.position)
    for size in (1, 2, 3, 7):
        pages, after = [], None
        while page := await queue.set_aside(size, after=after):
            assert len(page) <= size
            pages += page
            after = page[-1].position
        assert pages == everything
    dead = await queue.set_aside(state=State.DEAD)
    assert [aside.key for aside in dead] == [aside.key for aside in everything if aside.state is State.DEAD]
    assert await queue.set_aside(1, state=State.DEAD, after=dead[0].position) == dead[1:2]


async def test_one_event_that_is_set_aside_is_shown_until_a_person_has_decided(queue: Queue, make_event: Any) -> None:
    await queue.deliver(make_event("1"))
    key = make_event("1").key
    assert await queue.show(key) is None
    await queue.park(await leased(queue), "no answer")
    shown = await queue.show(key)
    assert shown is not None
    assert (shown.key, shown.state, shown.reason, shown.attempts) == (key, State.UNKNOWN, "no answer", 1)
    assert [shown] == list(await queue.set_aside())
    await queue.discard(key)
    assert await queue.show(key) is None
    assert await queue.show("generic:default:never") is None


async def test_a_replayed_dead_letter_has_fresh_attempts_and_goes_to_the_end_of_its_conversation(
    queue: Queue, make_event: Any
) -> None:
    await queue.deliver(make_event("1"))
    await queue.dead_letter(await leased(queue), "broken")
    await queue.deliver(make_event("2"))
    assert await queue.replay(make_event("1").key)
    assert not await queue.replay(make_event("1").key)
    assert not await queue.replay("generic:default:never")
    second = await leased(queue)
    assert second.event.id == "2"
    await queue.acknowledge(second)
    first = await leased(queue)
    assert (first.event.id, first.attempt) == ("1", 1)


async def test_the_same_act_with_the_same_lease_may_be_repeated(queue: Queue, make_event: Any) -> None:
    for id, act in (
        ("1", lambda lease: queue.acknowledge(lease)),
        ("2", lambda lease: queue.dead_letter(lease, "broken")),
        ("3", lambda lease: queue.park(lease, "no answer")),
        ("4", lambda lease: queue.retry(lease, 60, "busy")),
    ):
        await queue.deliver(make_event(id, conversation=id))
        lease = await leased(queue)
        await act(lease)
        before = await queue.trace(lease.event.key)
        await act(lease)  # the answer to the first call may have been lost
        assert await queue.trace(lease.event.key) == before


async def test_a_full_backlog_refuses_new_events_and_still_knows_duplicates(harness: Any, make_event: Any) -> None:
    queue = harness.make(QueuePolicy(limit=2))
    await queue.deliver(make_event("1"))
    await queue.dead_letter(await leased(queue), "kept, so it counts")
    assert await queue.deliver(make_event("2")) == Delivery.ACCEPTED
    assert await queue.deliver(make_event("3")) == Delivery.REFUSED
    assert await queue.deliver(make_event("2")) == Delivery.DUPLICATE
    await queue.acknowledge(await leased(queue))
    assert await queue.deliver(make_event("3")) == Delivery.ACCEPTED


async def test_the_trace_tells_the_way_of_an_event(queue: Queue, make_event: Any) -> None:
    event = make_event()
    assert await queue.trace(event.key) is None
    await queue.deliver(event)
    lease = await leased(queue)
    await queue.note(lease, "routed", "answer")
    await queue.record_outcome(lease, "handled", "Paris")
    await queue.retry(lease, 0, "the platform is busy")
    lease = await leased(queue, "w2")
    await queue.record_outcome(lease, "sent")
    await queue.acknowledge(lease)
    trace = await queue.trace(event.key)
    assert trace is not None
    assert (trace.state, trace.attempts) == (State.DONE, 2)
    assert stages(trace) == ["accepted", "leased", "routed", "handled", "retry", "leased", "sent", "done"]
    assert [entry.detail for entry in trace.timeline if entry.stage == "leased"] == ["attempt 1 by w1", "attempt 2 by w2"]
    assert all(entry.at.utcoffset() is not None for entry in trace.timeline)
    assert abs(trace.timeline[0].at.timestamp() - time.time()) < 5
    assert "Paris" not in str(trace)


async def test_the_timeline_is_bounded(queue: Queue, make_event: Any) -> None:
    await queue.deliver(make_event())
    lease = await leased(queue)
    for number in range(100):
        await queue.note(lease, f"step-{number}")
    trace = await queue.trace(lease.event.key)
    assert trace is not None
    assert len(trace.timeline) == 64
    assert trace.timeline[-1].stage == "step-99"


async def test_stats_count_what_waits_and_how_long(queue: Queue, make_event: Any) -> None:
    assert (await queue.stats()).oldest_seconds == 0
    for id in ("1", "2", "3"):
        await queue.deliver(make_event(id, conversation=id))
    await queue.dead_letter(await leased(queue), "broken")
    await leased(queue)
    await asyncio.sleep(0.05)
    stats = await queue.stats()
    assert (stats.backlog, stats.leased, stats.dead, stats.unknown) == (2, 1, 1, 0)
    assert 0.04 < stats.oldest_seconds < 5


async def test_what_waited_long_for_its_first_worker_has_not_been_tried_long(
    queue: Queue, harness: Any, make_event: Any
) -> None:
    await queue.deliver(make_event())
    await asyncio.sleep(0.3)
    first = await leased(queue)
    assert first.tried_seconds == 0
    await queue.retry(first, 0.0, "not now", counted=False)
    await asyncio.sleep(0.3)
    assert (await leased(queue)).tried_seconds >= 0.3


async def test_an_unknown_outcome_that_is_found_goes_on_behind_its_step(queue: Queue, make_event: Any) -> None:
    first, second = make_event("1"), make_event("2")
    for event in (first, second):
        await queue.deliver(event)
    lease = await leased(queue)
    await queue.record_outcome(lease, "rendered", "[]")
    await queue.record_intent(lease, "sent")
    await queue.park(lease, "no answer")
    unsettled = await queue.unsettled(first.key)
    assert unsettled is not None
    assert (unsettled.event, dict(unsettled.steps)) == (first, {"rendered": "[]"})
    assert await queue.resolve(first.key, "sent", "m1")
    assert (await queue.stats()).unknown == 0
    assert not await queue.resolve(first.key, "sent", "m2")
    assert await queue.unsettled(first.key) is None
    with pytest.raises(LeaseLost):
        await queue.record_outcome(lease, "sent", "the worker woke late")
    await queue.acknowledge(await leased(queue))
    again = await leased(queue)
    assert again.event == first
    assert dict(again.steps) == {"rendered": "[]", "sent": "m1"}
    assert again.attempt == 1


async def test_only_an_unknown_outcome_can_be_found(queue: Queue, make_event: Any) -> None:
    event = make_event()
    assert not await queue.resolve(event.key, "sent")
    await queue.deliver(event)
    assert not await queue.resolve(event.key, "sent")
    await queue.dead_letter(await leased(queue), "broken")
    assert await queue.unsettled(event.key) is None
    assert not await queue.resolve(event.key, "sent")
    assert (await queue.stats()).dead == 1
