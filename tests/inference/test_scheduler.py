from __future__ import annotations

from app.inference.scheduler import Scheduler, Step
from app.inference.sequence import Sequence


def sequence(prompt: int, max_tokens: int = 3) -> Sequence:
    return Sequence(prompt=list(range(prompt)), max_tokens=max_tokens, end_ids=frozenset())


def run(scheduler: Scheduler) -> Step | None:
    """Schedule a step and pretend that it was computed; every token is 1."""
    step = scheduler.schedule()
    if step is None:
        return None
    taken = list(step.decode)
    if step.prefill is not None:
        scheduler.prefilled(step.prefill)
        taken += [step.prefill.sequence] if step.prefill.last else []
    for item in taken:
        item.append(1, now=0.0)
    for item in taken:
        if item.finish_reason:
            scheduler.remove(item)
    return step


def test_nothing_to_do_is_no_step() -> None:
    assert Scheduler(2, 4).schedule() is None


def test_a_prompt_is_prefilled_in_chunks_of_a_fixed_size() -> None:
    scheduler = Scheduler(1, 4)
    scheduler.add(sequence(10))
    spans = []
    while (step := run(scheduler)) and step.prefill:
        spans.append((step.prefill.start, step.prefill.end))
    assert spans == [(0, 4), (4, 8), (8, 10)]


def test_decoding_goes_on_beside_a_long_prompt() -> None:
    scheduler = Scheduler(2, 4)
    short, long = sequence(2, max_tokens=10), sequence(40)
    scheduler.add(short)
    run(scheduler)
    scheduler.add(long)
    for _ in range(5):
        step = run(scheduler)
        assert step and step.prefill and step.prefill.sequence is long
        assert step.decode == (short,)
    assert len(short.generated) == 6


def test_a_request_joins_while_others_decode_and_takes_the_next_row() -> None:
    scheduler = Scheduler(3, 8)
    first, second = sequence(3, max_tokens=9), sequence(3, max_tokens=9)
    scheduler.add(first)
    run(scheduler)
    run(scheduler)
    scheduler.add(second)
    step = run(scheduler)
    assert step and step.prefill and step.prefill.row == 1
    step = run(scheduler)
    assert step and step.decode == (first, second)


def test_first_come_first_served_when_slots_are_short() -> None:
    scheduler = Scheduler(2, 8)
    sequences = [sequence(2, max_tokens=4) for _ in range(6)]
    for item in sequences:
        scheduler.add(item)
    order = []
    while step := run(scheduler):
        assert len(step.decode) <= 2
        if step.prefill:
            order.append(step.prefill.sequence)
    assert order == sequences
    assert all(len(item.generated) == 4 for item in sequences)
    assert len(scheduler) == 0


def test_a_cancelled_sequence_leaves_from_wherever_it_is() -> None:
    scheduler = Scheduler(2, 4)
    decoding, prefilling, waiting = sequence(2, 50), sequence(20), sequence(2)
    for item in (decoding, prefilling, waiting):
        scheduler.add(item)
        if item is decoding:
            run(scheduler)
    run(scheduler)
    for item in (decoding, prefilling, waiting):
        item.cancelled = True
    assert set(scheduler.cancelled()) == {decoding, prefilling, waiting}
    for item in scheduler.cancelled():
        scheduler.remove(item)
    assert len(scheduler) == 0
    assert scheduler.schedule() is None


def test_a_slot_freed_by_a_cancelled_prompt_serves_the_next() -> None:
    scheduler = Scheduler(1, 4)
    first, second = sequence(20), sequence(2)
    scheduler.add(first)
    scheduler.add(second)
    run(scheduler)
    scheduler.remove(first)
    step = run(scheduler)
    assert step and step.prefill and step.prefill.sequence is second


def test_an_end_token_ends_a_sequence_and_is_not_part_of_it() -> None:
    item = Sequence(prompt=[1], max_tokens=9, end_ids=frozenset({7}))
    item.append(5, now=1.0)
    item.append(7, now=2.0)
    assert (item.generated, item.finish_reason, item.first_token_at) == ([5], "stop", 1.0)
