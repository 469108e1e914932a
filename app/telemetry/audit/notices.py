"""Records of what is only told: refusals and the like, which nothing waits for and which strangers can cause by the million.

The first of a kind is recorded at once, then one a minute for as long as it goes on, each with how many came since the one
before it. So none is dropped without being counted, and nobody fills the disk.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from app.telemetry.audit.record import Audit, AuditUnavailable, Detail

PERIOD_SECONDS: Final = 60.0
MOST_KEYS: Final = 1024  # senders told apart at a time; the others of a kind share one record a minute


_Key = tuple[str, str, str, str]


@dataclass(slots=True)
class _Period:
    timer: asyncio.TimerHandle
    suppressed: int = 0
    last: _Notice | None = None


@dataclass(frozen=True, slots=True)
class _Notice:
    action: str
    actor: str
    tenant: str
    subject: str
    outcome: str
    details: dict[str, Detail]


class Notices:
    """In one event loop. A record that cannot be kept is the log's to tell (metric, log line, the next record); whoever was
    refused stays refused."""

    def __init__(self, audit: Audit, period_seconds: float = PERIOD_SECONDS) -> None:
        self._audit = audit
        self._seconds = period_seconds
        self._periods: dict[_Key, _Period] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def note(
        self,
        action: str,
        *,
        reason: str,
        platform: str = "",
        actor: str = "",
        tenant: str = "",
        subject: str = "",
        outcome: str = "refused",
        each: str = "",
        **details: Detail,
    ) -> None:
        """Returns at once. ``reason`` and ``platform`` are words of ours: with ``action`` they are a kind. ``each``: tells
        senders who are known apart, such as a principal's name; never what a stranger chooses."""
        if platform:
            details = {"platform": platform, **details}
        notice = _Notice(action, actor, tenant, subject, outcome, {"reason": reason, **details})
        key = (action, reason, platform, each)
        if key not in self._periods and len(self._periods) >= MOST_KEYS:
            key = (action, reason, platform, "")
        if period := self._periods.get(key):
            period.suppressed += 1
            period.last = notice
        else:
            self._tell(notice)
            self._begin(key)

    async def aclose(self) -> None:
        """Record what was counted and not told yet."""
        for key in list(self._periods):
            self._end(key, again=False)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(self, key: _Key) -> None:
        self._periods[key] = _Period(asyncio.get_running_loop().call_later(self._seconds, self._end, key))

    def _end(self, key: _Key, *, again: bool = True) -> None:
        period = self._periods.pop(key)
        period.timer.cancel()
        if period.last is not None:
            self._tell(period.last, suppressed=period.suppressed)
            if again:
                self._begin(key)

    def _tell(self, notice: _Notice, **count: Detail) -> None:
        task = asyncio.create_task(self._record(notice, count))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _record(self, notice: _Notice, count: dict[str, Detail]) -> None:
        try:
            await self._audit.record(
                notice.action,
                actor=notice.actor,
                tenant=notice.tenant,
                subject=notice.subject,
                outcome=notice.outcome,
                **{**notice.details, **count},
            )
        except AuditUnavailable:
            return  # told by the log itself
