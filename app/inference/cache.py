"""The KV cache: fixed slots ``[slots, kv_heads, capacity, head_size]`` for each layer's keys and values.

Past and present of the graph are the same memory, so a step appends in place: a cache that grows by concatenation is 13 %
slower. The memory is one anonymous mapping: pages cost nothing until a token is written to them, and are given back when the
engine is idle.
"""

from __future__ import annotations

import contextlib
import math
import mmap
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from app.inference.slots import Move


class KVCache:
    """``tensors[2 * layer]`` holds the layer's keys, ``tensors[2 * layer + 1]`` its values; float32."""

    def __init__(self, *, layers: int, slots: int, kv_heads: int, capacity: int, head_size: int) -> None:
        self.slots, self.capacity = slots, capacity
        self.row_shape = (kv_heads, capacity, head_size)
        shape = (2 * layers, slots, *self.row_shape)
        # Private: pages of a shared mapping would survive MADV_DONTNEED.
        self._memory = mmap.mmap(-1, math.prod(shape) * 4, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError, AttributeError):
            # A huge page (2 MB) spans several heads: a short prompt would make a whole slot resident.
            self._memory.madvise(mmap.MADV_NOHUGEPAGE)
        self._all = np.frombuffer(self._memory, dtype=np.float32).reshape(shape)
        self.tensors: list[NDArray[np.float32]] = list(self._all)

    def move(self, moves: Iterable[Move]) -> None:
        for move in moves:
            self._all[:, move.target, :, : move.length] = self._all[:, move.source, :, : move.length]

    def release_memory(self) -> None:
        """Give the pages back; what was cached is zero afterwards. Only while no sequence lives in a slot."""
        with contextlib.suppress(OSError, AttributeError):
            self._memory.madvise(mmap.MADV_DONTNEED)
