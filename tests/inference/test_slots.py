from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inference.cache import KVCache
from app.inference.sequence import Sequence
from app.inference.slots import Move, Slots


def sequence(length: int = 3) -> Sequence:
    return Sequence(prompt=[1] * length, max_tokens=5, end_ids=frozenset(), prefilled=length)


def filled(count: int, lengths: list[int]) -> tuple[Slots, list[Sequence]]:
    slots, sequences = Slots(count), [sequence(length) for length in lengths]
    for item in sequences:
        slots.take(item)
        slots.promote()
    return slots, sequences


def test_the_last_row_moves_into_the_hole_with_what_it_has_cached() -> None:
    slots, (first, second, third) = filled(4, [3, 5, 7])
    assert slots.release(first) == [Move(source=2, target=0, length=7)]
    assert slots.decoding == [third, second]


def test_the_last_sequence_leaves_without_a_copy() -> None:
    slots, (_, last) = filled(2, [3, 5])
    assert slots.release(last) == []


def test_the_prefilling_row_follows_so_that_decoding_rows_stay_a_prefix() -> None:
    slots, (first, second) = filled(4, [3, 5])
    prompt = sequence(9)
    prompt.prefilled = 4
    slots.take(prompt)
    assert slots.release(first) == [Move(1, 0, 5), Move(2, 1, 4)]
    assert slots.decoding == [second]
    slots.promote()
    assert slots.decoding == [second, prompt]


def test_a_full_or_busy_row_is_not_given_twice() -> None:
    slots, _ = filled(2, [1, 1])
    with pytest.raises(ValueError, match="2 of 2"):
        slots.take(sequence())
    busy = Slots(2)
    busy.take(sequence())
    with pytest.raises(ValueError, match="1 of 2"):
        busy.take(sequence())


@given(st.lists(st.integers(0, 5), max_size=60))
def test_whatever_comes_and_goes_every_sequence_finds_its_own_cache(choices: list[int]) -> None:
    """Each row is filled with its sequence's number; after any order of arrivals and departures it still is."""
    slots = Slots(4)
    cache = KVCache(layers=1, slots=4, kv_heads=1, capacity=8, head_size=1)
    numbers: dict[Sequence, int] = {}
    for choice in choices:
        if choice < 2 and slots.free and slots.prefilling is None:
            item = sequence(1 + len(numbers) % 8)
            numbers[item] = len(numbers) + 1
            slots.take(item)
            for tensor in cache.tensors:
                tensor[len(slots.decoding), :, : item.cached] = numbers[item]
        elif choice == 2 and slots.prefilling is not None:
            slots.promote()
        elif choice > 2 and len(slots):
            held = [*slots.decoding, *([slots.prefilling] if slots.prefilling else [])]
            cache.move(slots.release(held[choice % len(held)]))
        rows = [*slots.decoding, *([slots.prefilling] if slots.prefilling else [])]
        for row, item in enumerate(rows):
            for tensor in cache.tensors:
                assert np.all(tensor[row, :, : item.cached] == numbers[item])


def test_given_back_memory_reads_as_zero_and_can_be_used_again() -> None:
    cache = KVCache(layers=2, slots=2, kv_heads=1, capacity=64, head_size=16)
    cache.tensors[3][:] = 7
    cache.release_memory()
    assert not cache.tensors[3].any()
    cache.tensors[3][:] = 5
    assert cache.tensors[3].min() == 5
