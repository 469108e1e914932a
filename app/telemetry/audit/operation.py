"""An operation that does not happen without a record: one before it, one of what came of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from app.telemetry.audit.record import Audit, AuditUnavailable, Detail

BEGUN: Final = "begun"
DONE: Final = "done"
FAILED: Final = "failed"
UNKNOWN: Final = "unknown"
NOT_FOUND: Final = "not_found"


@dataclass(slots=True)
class Outcome:
    """What the second record says; :data:`FAILED` where an exception ends the operation and nothing else was said."""

    word: str = ""


@asynccontextmanager
async def operation(
    audit: Audit, action: str, *, actor: str, tenant: str = "", subject: str = "", **details: Detail
) -> AsyncIterator[Outcome]:
    """``async with operation(audit, INSTALL_FINISHED, actor=…): …``. Raises :class:`AuditUnavailable` before anything is done.
    Where the second record alone cannot be kept, the operation stands, and so does the first."""

    async def record(outcome: str) -> None:
        await audit.record(action, actor=actor, tenant=tenant, subject=subject, outcome=outcome, **details)

    await record(BEGUN)
    outcome = Outcome()
    try:
        yield outcome
    except BaseException:
        outcome.word = outcome.word or FAILED
        raise
    finally:
        with contextlib.suppress(AuditUnavailable):
            await record(outcome.word or DONE)


class NoAudit:
    """Where no audit log is set up: whatever needs a record does not happen."""

    async def record(
        self, action: str, *, actor: str, tenant: str = "", subject: str = "", outcome: str = DONE, **details: Detail
    ) -> None:
        raise AuditUnavailable("no audit log is set up in this process")
