"""Which sequence lives in which row of the KV cache.

Rows are kept dense: decoding sequences fill rows ``0 … n-1``, so that one step takes them as one contiguous batch without
gathering; the sequence that is being prefilled, if any, has row ``n``. When a sequence leaves, the last row moves into its
place. The copy of one sequence's keys and values costs about a step, once a request; a hole would cost a row of every step.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.inference.sequence import Sequence


@dataclass(frozen=True)
class Move:
    """Copy the first ``length`` tokens of row ``source`` to row ``target``; moves are made in the order given."""

    source: int
    target: int
    length: int


class Slots:
    """Bookkeeping alone: the bytes are the cache's."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.decoding: list[Sequence] = []
        self.prefilling: Sequence | None = None

    def __len__(self) -> int:
        return len(self.decoding) + (self.prefilling is not None)

    @property
    def free(self) -> bool:
        return len(self) < self.count

    def take(self, sequence: Sequence) -> None:
        """Give ``sequence`` the row behind the decoding ones. Raises ValueError if there is none or it is in use."""
        if self.prefilling is not None or not self.free:
            raise ValueError(f"no slot to prefill in: {len(self)} of {self.count} are taken")
        self.prefilling = sequence

    def promote(self) -> None:
        """The prefilled sequence decodes from now on; its row already is the next of the batch."""
        if self.prefilling is None:
            raise ValueError("no sequence is being prefilled")
        self.decoding.append(self.prefilling)
        self.prefilling = None

    def release(self, sequence: Sequence) -> list[Move]:
        """Free the row of ``sequence``; returns what to copy so that the rows stay dense."""
        if sequence is self.prefilling:
            self.prefilling = None
            return []
        hole, last = self.decoding.index(sequence), len(self.decoding) - 1
        moves = []
        if hole != last:
            self.decoding[hole] = self.decoding[last]
            moves.append(Move(last, hole, self.decoding[hole].cached))
        self.decoding.pop()
        if self.prefilling is not None:
            moves.append(Move(last + 1, last, self.prefilling.prefilled))
        return moves
