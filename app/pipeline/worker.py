"""The worker: takes events from the queue, keeps their leases while they are worked on, and settles how each attempt ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from app.pipeline.outcome import Acknowledge, DeadLetter, Decision, Drop, Park, Retry, decide
from app.pipeline.processor import Processor, patiently
from app.pipeline.queue import Lease, LeaseLost, Queue, QueueUnavailable
from app.telemetry.logs import get_logger

WAIT_SECONDS = 1.0  # for an event, or for a free slot, before the loop turns again and is seen to turn
RECONNECT_SECONDS = 0.5  # between looks at a queue that is away
RELEASE_SECONDS = 2.0  # to give leases back when the drain is over


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPolicy:
    concurrency: int = 4
    lease_seconds: float = 8.0  # as the queue's


class Worker:
    """``settled(platform, ending)`` is told how each attempt ended: a state's word, or why the queue could not be told."""

    def __init__(
        self,
        queue: Queue,
        processor: Processor,
        policy: WorkerPolicy,
        settled: Callable[[str, str], None] = lambda _platform, _ending: None,
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
        self._queue = queue
        self._processor = processor
        self._policy = policy
        self._settled = settled
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._turned_at = time.monotonic()
        self._log = get_logger(worker=self.name)

    @property
    def idle_seconds(self) -> float:
        """Since the loop last turned; it turns about every second, busy or not."""
        return time.monotonic() - self._turned_at

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    async def run(self) -> None:
        """Take events until :meth:`drain`."""
        away = False
        try:
            while not self._stopping.is_set():
                self._turned_at = time.monotonic()
                if len(self._tasks) >= self._policy.concurrency:
                    await asyncio.wait(self._tasks, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                    continue
                try:
                    lease = await self._queue.lease(self.name, WAIT_SECONDS)
                except QueueUnavailable as error:
                    if not away:
                        self._log.warning("queue away", reason=str(error))
                    away = True
                    await asyncio.sleep(RECONNECT_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
                    continue
                if away:
                    self._log.info("queue back")
                away = False
                if lease is not None and self._stopping.is_set():
                    await self._give_back(lease)
                elif lease is not None:
                    self._start(lease)
        finally:
            self._ended.set()

    def stop(self) -> None:
        """Take nothing more; what runs goes on."""
        self._stopping.set()

    async def drain(self, seconds: float) -> None:
        """Take nothing more; let what runs finish for ``seconds``, then break it off and give its leases back."""
        self.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()  # within a wait: the last lease may come in it
                while self._tasks:
                    await asyncio.wait(self._tasks)
        if self._tasks:
            self._log.warning("drain over", broken_off=len(self._tasks))
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=RELEASE_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), RELEASE_SECONDS)

    def _start(self, lease: Lease) -> None:
        task = asyncio.create_task(self._work(lease))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, lease: Lease) -> None:
        log = self._log.bind(event_key=lease.event.key, attempt=lease.attempt, token=lease.token)
        start = time.monotonic()
        work = asyncio.create_task(self._processor.process(lease))
        renewal = asyncio.create_task(self._renew(lease))
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                log.warning("lease lost", seconds=round(time.monotonic() - start, 3))
                return
            error = work.exception()
            decision = decide(error, lease.attempt, lease.tried_seconds, random.random())  # noqa: S311 (jitter)
            if error is not None and isinstance(decision, Retry) and decision.reason.startswith("fault"):
                log.error("fault", type=type(error).__name__, at=_place(error))
            state = await self._settle(lease, decision)
            self._settled(lease.event.platform, state)
            seconds = round(time.monotonic() - start, 3)
            log.info("attempt ended", outcome=state, reason=getattr(decision, "reason", None), seconds=seconds)
        except asyncio.CancelledError:
            await self._release(lease, work)
            log.info("attempt broken off: this process stops")
            raise
        finally:
            for task in (work, renewal):
                task.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)

    async def _settle(self, lease: Lease, decision: Decision) -> str:
        """Tell the queue; returns the word for the log. What the queue cannot be told, it finds out when the lease expires."""
        queue, seconds = self._queue, self._policy.lease_seconds
        try:
            match decision:
                case Acknowledge():
                    await patiently(lambda: queue.acknowledge(lease), seconds)
                    return "done"
                case Retry(delay_seconds=delay, reason=reason, counted=counted):
                    return await patiently(lambda: queue.retry(lease, delay, reason, counted=counted), seconds)
                case DeadLetter(reason=reason):
                    await patiently(lambda: queue.dead_letter(lease, reason), seconds)
                    return "dead"
                case Park(reason=reason):
                    await patiently(lambda: queue.park(lease, reason), seconds)
                    return "unknown"
                case Drop():
                    return "dropped"
        except (LeaseLost, QueueUnavailable) as error:
            return f"not settled: {error}"

    async def _release(self, lease: Lease, work: asyncio.Task[None]) -> None:
        """Give the lease back, so that another worker need not wait until it expires. Where an attempt must not be repeated
        blindly the lease is left to expire instead: the queue then knows whether an intent was open."""
        work.cancel()
        await asyncio.wait({work})
        if self._processor.repeatable(lease.event):
            await self._give_back(lease)

    async def _give_back(self, lease: Lease) -> None:
        with contextlib.suppress(LeaseLost, QueueUnavailable):
            await self._queue.retry(lease, 0.0, "the worker stopped", counted=False)

    async def _renew(self, lease: Lease) -> None:
        """Returns when the lease is lost, or must be taken for lost because the queue was away for its length."""
        seconds = self._policy.lease_seconds
        held_until = time.monotonic() + seconds
        while True:
            await asyncio.sleep(seconds / 3)
            try:
                await self._queue.renew(lease)
                held_until = time.monotonic() + seconds
            except LeaseLost:
                return
            except QueueUnavailable:
                if time.monotonic() >= held_until:
                    return


def _place(error: BaseException) -> str:
    """File and line of the innermost frame: a traceback's message could quote what somebody said."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
