"""Tenants and roles beside a process' work: reloaded, watched by a metric, and each change in the audit log before it holds."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Gauge

from app.auth.roles import SHIPPED
from app.telemetry.audit.actions import ROLES_CHANGED, TENANTS_CHANGED
from app.telemetry.audit.log import PROCESS
from app.telemetry.audit.record import Audit
from app.tenants.access import Access, Sources
from app.tenants.changes import Change
from app.tenants.reloading import Reloading

ACTIONS: Final[dict[str, str]] = {"tenant": TENANTS_CHANGED, "role": ROLES_CHANGED}


@contextlib.asynccontextmanager
async def following(sources: Sources, access: Access, audit: Audit, registry: CollectorRegistry) -> AsyncIterator[Reloading]:
    """``access``: as ``sources`` gave it at the start. A change that the audit log does not take does not hold: the old stays,
    and the next look tries again. Who edited a file is not known here, so the process is the actor. Raises
    :class:`app.telemetry.audit.record.AuditUnavailable`."""
    files: dict[str, Path | None] = {"tenant": sources.tenants_file, "role": sources.roles_file or SHIPPED}

    async def changed(different: tuple[Change, ...]) -> None:
        for kind, action in ACTIONS.items():
            if of_kind := [change for change in different if change.kind == kind]:
                await audit.record(action, actor=PROCESS, **_told(files[kind]), **_named(of_kind))

    async def failed(mistakes: tuple[str, ...]) -> None:
        for kind, action in ACTIONS.items():
            file = files[kind]
            of_file = [mistake for mistake in mistakes if file is not None and mistake.startswith(f"{file.name}:")]
            if of_file:
                await audit.record(action, actor=PROCESS, outcome="refused", mistakes=len(of_file), **_told(file))

    for kind, action in ACTIONS.items():
        await audit.record(action, actor=PROCESS, **_told(files[kind]))
    reloading = Reloading(sources, access, changed=changed, failed=failed)
    failing = Gauge(
        "assistant_access_reload_failed",
        "1 while the files of tenants and roles are wrong, so that what was loaded before holds.",
        registry=registry,
    )
    failing.set_function(lambda: float(reloading.failing))
    looking = asyncio.create_task(reloading.run())
    try:
        yield reloading
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


def _told(file: Path | None) -> dict[str, str]:
    """Which file, and in which state."""
    if file is None:
        return {"file": "none"}
    try:
        return {"file": file.name, "digest": hashlib.sha256(file.read_bytes()).hexdigest()}
    except OSError:
        return {"file": file.name}


def _named(different: Iterable[Change]) -> dict[str, str]:
    words: tuple[Literal["added", "removed", "changed"], ...] = ("added", "removed", "changed")
    named = {word: " ".join(change.name for change in different if change.what == word) for word in words}
    return {word: names for word, names in named.items() if names}
