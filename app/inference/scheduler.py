"""Slot-based continuous batching: what the next step of the engine computes.

First come, first served. A step is at most one chunk of one prompt and one token for every decoding sequence, so that a long
prompt delays its neighbours' tokens by a chunk each, never by the whole prompt. Chunks begin at multiples of the chunk size,
whatever the neighbours do: a sequence is computed in the same pieces alone and in company, and its greedy answer is the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.inference.sequence import Sequence
from app.inference.slots import Move, Slots


@dataclass(frozen=True)
class Chunk:
    """Prompt tokens ``start … end-1`` of ``sequence``, to be computed in cache row ``row``."""

    sequence: Sequence
    row: int
    start: int
    end: int

    @property
    def last(self) -> bool:
        return self.end == len(self.sequence.prompt)


@dataclass(frozen=True)
class Step:
    """``decode[i]`` lives in cache row ``i``."""

    prefill: Chunk | None
    decode: tuple[Sequence, ...]


class Scheduler:
    """Pure state: no clock, no thread, no tensor."""

    def __init__(self, slots: int, chunk: int) -> None:
        self.slots = Slots(slots)
        self.chunk = chunk
        self.waiting: deque[Sequence] = deque()

    def __len__(self) -> int:
        return len(self.waiting) + len(self.slots)

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def schedule(self) -> Step | None:
        """The next step, or None when there is nothing to do. Admits the next waiting sequence to a free slot."""
        if self.slots.prefilling is None and self.waiting and self.slots.free:
            self.slots.take(self.waiting.popleft())
        decode = tuple(self.slots.decoding)
        sequence = self.slots.prefilling
        if sequence is None:
            return Step(None, decode) if decode else None
        start = sequence.prefilled
        end = min(start + self.chunk, len(sequence.prompt))
        return Step(Chunk(sequence, len(decode), start, end), decode)

    def prefilled(self, chunk: Chunk) -> None:
        """The chunk is in the cache; after the last one its sequence decodes."""
        chunk.sequence.prefilled = chunk.end
        if chunk.last:
            self.slots.promote()

    def remove(self, sequence: Sequence) -> list[Move]:
        """Forget a finished or cancelled sequence wherever it is; returns the copies that keep the rows dense."""
        if sequence in self.waiting:
            self.waiting.remove(sequence)
            return []
        return self.slots.release(sequence)

    def cancelled(self) -> list[Sequence]:
        held = [*self.slots.decoding, *([self.slots.prefilling] if self.slots.prefilling else []), *self.waiting]
        return [sequence for sequence in held if sequence.cancelled]
