"""The audit log: can records be written, are those that are there unbroken, do they reach the heads in Redis."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any, Final

from app.doctor.finding import Finding, error, note, ok
from app.doctor.place import Place
from app.pipeline.redis_client import connect
from app.telemetry.audit.heads import Anchored, HeadsUnavailable, RedisHeads
from app.telemetry.audit.sinks import SUFFIX
from app.telemetry.audit.verify import Finding as Flaw
from app.telemetry.audit.verify import Verification, lines_of

CHECK: Final = "audit"
LARGEST_LOG: Final = 256 * 2**20  # bytes; more takes minutes, which a doctor has not
SHOWN: Final = 3
VERIFY: Final = "make audit-verify names each one (docs/audit.md)"


async def look(place: Place) -> list[Finding]:
    settings: Any = place.settings
    directory = getattr(settings, "audit_directory", None)
    if directory is None:
        return [
            ok(
                CHECK,
                "Audit records go to standard output",
                "AUDIT_DIRECTORY is not set; make audit-verify reads the log store",
            )
        ]
    if not _is_writable(directory):
        return [unwritable(directory)]
    files = sorted(directory.glob(f"*{SUFFIX}")) if directory.is_dir() else []
    if sum(file.stat().st_size for file in files) > LARGEST_LOG:
        return [note(CHECK, "The audit log is too long to be read here", str(directory), f"{VERIFY[:1].upper()}{VERIFY[1:]}.")]
    verification = await _verified(files, settings)
    if verification.flaws:  # what was being written just now is whole a moment later
        await asyncio.sleep(1)
        verification = await _verified(files, settings)
    return judge(directory, verification.records, verification.flaws, verification.findings)


def judge(directory: Path, records: int, flaws: int, found: list[Flaw]) -> list[Finding]:
    if not flaws:
        return [ok(CHECK, "The audit log is whole", f"{records} records in {directory}")]
    shown = "; ".join(f"{one.flaw.value} {one.writer} {one.seq} {Path(one.place).name}".strip() for one in found[:SHOWN])
    return [
        error(
            CHECK,
            f"The audit log is not whole: {flaws} flaw{'s' if flaws > 1 else ''}",
            shown + (" …" if flaws > SHOWN else ""),
            f"Somebody has edited, removed or cut records, or a disk has lost them: {VERIFY}.",
        )
    ]


def unwritable(directory: Path) -> Finding:
    return error(
        CHECK,
        "No audit record can be written, and what must be recorded is refused",
        f"{directory} is not writable for user {os.getuid()}",
        "Give the directory to the process's user, or correct AUDIT_DIRECTORY.",
    )


def _is_writable(directory: Path) -> bool:
    """It is made with the first record, so what counts is then the nearest folder that exists."""
    there = next((folder for folder in (directory, *directory.parents) if folder.exists()), Path("/"))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


async def _verified(files: list[Path], settings: Any) -> Verification:
    # The heads first: what is written meanwhile is then beyond them.
    verification = Verification(await _heads(settings))

    def read() -> None:
        for file in files:
            with file.open("rb") as stream:
                verification.read(str(file), lines_of(stream))

    await asyncio.to_thread(read)
    verification.finish()
    return verification


async def _heads(settings: Any) -> Anchored | None:
    client = connect(settings)
    try:
        return await RedisHeads(client).anchored()
    except HeadsUnavailable:
        return None
    finally:
        await client.close()
