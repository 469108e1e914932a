"""The audit log of one process: a chain, the thread that writes it, and its head in Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from app.pipeline.redis_client import RedisClient
from app.telemetry.audit.actions import PROCESS_STARTED, PROCESS_STOPPED, RECORDS_LOST
from app.telemetry.audit.heads import Heads, HeadsUnavailable, RedisHeads
from app.telemetry.audit.metrics import AuditMetrics
from app.telemetry.audit.record import AuditUnavailable, Detail, Entry, Head, first, seal
from app.telemetry.audit.sinks import FileSink, Sink, StreamSink
from app.telemetry.logs import get_logger

RECORD_SECONDS: Final = 5.0  # as long may a record take; a disk that hangs must not hang a caller
ANCHOR_SECONDS: Final = 1.0  # between two moves of the head: what a killed process leaves unanchored at most
ANCHOR_AGAIN_SECONDS: Final = 5.0  # after Redis did not take it
LARGEST_BATCH: Final = 256  # records to one fsync
MOST_WAITING: Final = 4096  # behind a disk that hangs
PROCESS: Final = "process"  # the actor of what a process does by itself


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: Entry
    done: asyncio.Future[None]


class AuditLog:
    """:class:`app.telemetry.audit.record.Audit`. Those who record at the same time share one write and one fsync, in the order
    in which they came; a write that fails fails all of them and leaves the chain as it was.

    Between :meth:`start` and :meth:`aclose`, in one event loop.
    """

    def __init__(
        self,
        sink: Sink,
        writer: str,
        service: str,
        metrics: AuditMetrics,
        heads: Heads | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sink = sink
        self._service = service
        self._metrics = metrics
        self._heads = heads
        self._clock = clock
        self._head = first(writer)  # moved by the writing thread alone
        self._anchored = 0  # seq
        self._waiting: list[_Waiting] = []
        self._lost = 0
        self._closed = True
        self._writing: asyncio.Task[None] | None = None
        self._anchoring: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")

    async def start(self) -> None:
        """Raises :class:`AuditUnavailable`: a process that cannot keep its first record is not to run."""
        self._closed = False
        try:
            await self.record(PROCESS_STARTED, actor=PROCESS, service=self._service, host=socket.gethostname(), pid=os.getpid())
        except AuditUnavailable:
            self._closed = True
            raise
        self._anchoring = asyncio.create_task(self._anchor())

    async def record(
        self, action: str, *, actor: str, tenant: str = "", subject: str = "", outcome: str = "done", **details: Detail
    ) -> None:
        entry = Entry(action=action, actor=actor, tenant=tenant, subject=subject, outcome=outcome, details=details)
        if self._closed:
            raise AuditUnavailable("the audit log is closed: this process is stopping")
        if len(self._waiting) >= MOST_WAITING:
            self._lost += 1
            self._metrics.failed(1)
            raise AuditUnavailable(f"{MOST_WAITING} records wait to be written: the disk of the audit log hangs")
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                await waiting.done
        except TimeoutError:
            raise AuditUnavailable(f"the audit log did not take a record within {RECORD_SECONDS:.0f} s") from None

    async def aclose(self) -> None:
        """The last record, and its head. Never raises: a process that stops must come to its end."""
        if not self._closed:
            with contextlib.suppress(AuditUnavailable):
                await self.record(PROCESS_STOPPED, actor=PROCESS, service=self._service)
        self._closed = True
        if self._writing is not None:
            # A disk that hangs keeps the thread; its record was given up already.
            await asyncio.wait([self._writing], timeout=RECORD_SECONDS)
        if self._anchoring is not None:
            self._anchoring.cancel()
            await asyncio.wait([self._anchoring])
            await self._advance()
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._writing is None or self._writing.done():
            self._sink.close()

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
            lost, entries = self._lost, [waiting.entry for waiting in batch]
            if lost:
                entries.insert(0, Entry(action=RECORDS_LOST, actor=PROCESS, outcome="failed", details={"count": lost}))
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._write, entries)
            except Exception as error:  # whatever it was, those who wait hear of it, and the chain is as it was
                self._refuse(batch, error)
                continue
            self._lost -= lost
            for entry in entries:
                self._metrics.kept(entry.action)
            for waiting in batch:
                if not waiting.done.done():  # who waited may have gone
                    waiting.done.set_result(None)
            self._news.set()
            if self._heads is not None:
                self._metrics.unanchored(self._head.seq - self._anchored)

    def _write(self, entries: Sequence[Entry]) -> None:
        """In the thread. Raises :class:`OSError`."""
        head, at, lines = self._head, self._clock(), []
        for entry in entries:
            record = seal(entry, head, at)
            head = record.head
            lines.append(record.line)
        self._sink.write(b"".join(lines), at.date())
        self._head = head

    def _refuse(self, batch: Sequence[_Waiting], error: Exception) -> None:
        self._lost += len(batch)
        self._metrics.failed(len(batch))
        reason = getattr(error, "strerror", None) or type(error).__name__
        get_logger().error("audit_not_written", reason=reason, records=len(batch))
        for waiting in batch:
            if not waiting.done.done():
                waiting.done.set_exception(AuditUnavailable(f"the audit log cannot be written: {reason}"))

    async def _anchor(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if await self._advance():
                await asyncio.sleep(ANCHOR_SECONDS)
            else:
                self._news.set()
                await asyncio.sleep(ANCHOR_AGAIN_SECONDS)

    async def _advance(self) -> bool:
        head: Head = self._head
        if self._heads is None or head.seq == self._anchored:
            return True
        try:
            moved = await self._heads.advance(head)
        except HeadsUnavailable as error:
            get_logger().warning("audit_not_anchored", reason=str(error), records=head.seq - self._anchored)
            return False
        if not moved:
            get_logger().error("audit_head_elsewhere", writer=head.writer, seq=head.seq)
            return False
        self._anchored = head.seq
        self._metrics.unanchored(self._head.seq - self._anchored)
        return True


@asynccontextmanager
async def auditing(
    directory: Path | None, redis: RedisClient | None, registry: CollectorRegistry, service: str, descriptor: int = 1
) -> AsyncIterator[AuditLog]:
    """The process's audit log, from its first record to its last. ``directory`` None: one line a record to ``descriptor``,
    standard output unless another is named. Raises :class:`AuditUnavailable` where it cannot begin."""
    writer = new_writer()
    sink = FileSink(directory, writer) if directory else StreamSink(descriptor)
    log = AuditLog(sink, writer, service, AuditMetrics(registry), RedisHeads(redis) if redis else None)
    try:
        await log.start()
        yield log
    finally:
        await log.aclose()


def new_writer() -> str:
    """The name of this run of this process: host, process id and chance, fit for the name of a file."""
    host = re.sub(r"[^A-Za-z0-9.]+", "-", socket.gethostname())[:64].strip(".-") or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
