"""The engine: one thread that prefills and decodes, asked from any other thread.

The loop holds no lock while it computes. Others only append to an inbox or set a flag, which the loop looks at between two
steps, so a cancelled request leaves its slot within one step.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.inference.runner import Runner
from app.inference.sampling import sample
from app.inference.scheduler import Chunk, Scheduler
from app.inference.sequence import FinishReason, Sequence
from app.telemetry.logs import get_logger

CHUNK = 256  # prompt tokens a step: large enough for the matrix products, small enough for the neighbours' next token
IDLE_SECONDS = 5.0  # after which the cache's memory is given back

OnFinish = Callable[[Sequence], None]


class Engine:
    """``submit`` and ``cancel`` from any thread; ``on_finish`` is called on the engine's thread and must not block."""

    def __init__(self, runner: Runner, chunk: int = CHUNK) -> None:
        self._runner = runner
        self._scheduler = Scheduler(runner.cache.slots, chunk)
        self._random = np.random.default_rng()
        self._listeners: dict[Sequence, OnFinish] = {}
        self._inbox: deque[Sequence] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._progress_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """End every sequence as cancelled and the thread with them; waits at most ``seconds``."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def submit(self, sequence: Sequence, on_finish: OnFinish) -> None:
        """Queue ``sequence``. The caller has checked that its ids are the model's and that it fits into a slot."""
        with self._changed:
            if not self._listeners:
                self._progress_at = time.monotonic()
            self._listeners[sequence] = on_finish
            sequence.arrived_at = time.monotonic()
            self._inbox.append(sequence)
            self._changed.notify()

    def cancel(self, sequence: Sequence) -> None:
        sequence.cancelled = True
        with self._changed:
            self._changed.notify()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stalled_seconds(self) -> float:
        """How long there has been work without a finished step; 0 when idle."""
        return time.monotonic() - self._progress_at if self._listeners else 0.0

    @property
    def running(self) -> int:
        """Sequences that hold a slot."""
        return len(self._scheduler.slots)

    @property
    def waiting(self) -> int:
        """Sequences that have none yet."""
        return len(self._inbox) + len(self._scheduler.waiting)

    def _run(self) -> None:
        while self._collect():
            for sequence in self._scheduler.cancelled():
                self._finish(sequence, "cancelled")
            step = self._scheduler.schedule()
            if step is not None:
                if step.prefill is not None:
                    self._prefill(step.prefill)
                if step.decode:
                    self._decode(step.decode)
            self._progress_at = time.monotonic()
        for sequence in [*self._listeners]:
            self._finish(sequence, "cancelled")

    def _collect(self) -> bool:
        """Take what was submitted; sleeps while there is nothing to do. False when the engine stops."""
        with self._changed:
            idle = not self._inbox and not len(self._scheduler) and not self._stopping
            if idle and not self._changed.wait(IDLE_SECONDS):
                self._runner.cache.release_memory()
                self._changed.wait_for(lambda: self._inbox or self._stopping)
            while self._inbox:
                self._scheduler.add(self._inbox.popleft())
            return not self._stopping

    def _prefill(self, chunk: Chunk) -> None:
        sequence = chunk.sequence
        if sequence.started_at is None:
            sequence.started_at = time.monotonic()
        try:
            logits = self._runner.prefill(chunk.row, sequence.prompt[chunk.start : chunk.end], chunk.start)
        except Exception:
            get_logger().exception("prefill failed", prompt_tokens=len(sequence.prompt))
            self._finish(sequence, "error")
            return
        self._scheduler.prefilled(chunk)
        if chunk.last:
            self._take((sequence,), [logits])

    def _decode(self, batch: tuple[Sequence, ...]) -> None:
        try:
            logits = self._runner.decode([s.generated[-1] for s in batch], [s.cached for s in batch])
        except Exception:
            get_logger().exception("decode step failed: its rows are computed one by one")
            self._decode_singly(batch)
            return
        self._take(batch, list(logits))

    def _decode_singly(self, batch: tuple[Sequence, ...]) -> None:
        """One bad row fails a whole step; this finds it, so that its neighbours go on."""
        results: list[NDArray[np.float32] | None] = []
        for row, sequence in enumerate(batch):
            try:
                results.append(self._runner.prefill(row, sequence.generated[-1:], sequence.cached).copy())
            except Exception:
                get_logger().exception("row failed", prompt_tokens=len(sequence.prompt))
                results.append(None)
        self._take(batch, results)

    def _take(self, batch: tuple[Sequence, ...], logits: list[NDArray[np.float32] | None]) -> None:
        """Give each sequence its next token, then let the finished leave: rows move only when every token is in its place."""
        for sequence, row in zip(batch, logits, strict=True):
            try:
                if row is None:
                    raise ValueError("the model could not be run on this sequence")
                sequence.append(sample(row, sequence.temperature, self._random), time.monotonic())
            except ValueError as error:
                get_logger().error("sequence failed", reason=str(error), prompt_tokens=len(sequence.prompt))
                sequence.finish_reason = "error"
        for sequence in batch:
            if sequence.finish_reason is not None:
                self._finish(sequence, sequence.finish_reason)

    def _finish(self, sequence: Sequence, reason: FinishReason) -> None:
        sequence.finish_reason = reason
        sequence.finished_at = time.monotonic()
        if sequence not in self._inbox:
            self._runner.cache.move(self._scheduler.remove(sequence))
        with self._changed:
            on_finish = self._listeners.pop(sequence)
        on_finish(sequence)
