"""Room, inodes and rights where the process writes, and where it reads its model."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.doctor.finding import Finding, error, ok, warning
from app.doctor.place import Place

CHECK: Final = "disk"
GIB, MIB = 2**30, 2**20
# The smaller of size and share counts, so that neither a small volume nor a large one is judged by the other's measure.
LOW_BYTES, LOW_SHARE = 2 * GIB, 0.10
FULL_BYTES, FULL_SHARE = 100 * MIB, 0.02
LOW_INODES, FULL_INODES = 0.05, 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Bytes and inodes for an ordinary user. ``inodes`` 0: this file system counts none."""

    total: int
    free: int
    inodes: int
    free_inodes: int
    read_only: bool
    writable: bool


async def look(place: Place) -> list[Finding]:
    return [seen(what, path, writes=writes) for what, path, writes in directories(place)]


def directories(place: Place) -> list[tuple[str, Path, bool]]:
    """What each is for, where it is, and whether the process writes there."""
    settings: Any = place.settings
    found = [("temporary files", Path(tempfile.gettempdir()), True)]
    if getattr(settings, "audit_directory", None) is not None:
        found.append(("the audit log", settings.audit_directory, True))
    if getattr(settings, "model_path", None) is not None:
        found.append(("the model", settings.model_path, False))
    return found


def seen(what: str, path: Path, *, writes: bool) -> Finding:
    """Of ``path``, or of the nearest folder above it that is there."""
    there = next((folder for folder in (path, *path.parents) if folder.exists()), Path("/"))
    try:
        room = room_at(there)
    except OSError as failure:
        return error(CHECK, f"The disk of {what} cannot be looked at", f"{there}: {failure.strerror}", "Is the volume mounted?")
    return judge(what, path, room, writes=writes)


def room_at(path: Path) -> Room:
    found = os.statvfs(path)
    return Room(
        total=found.f_blocks * found.f_frsize,
        free=found.f_bavail * found.f_frsize,
        inodes=found.f_files,
        free_inodes=found.f_favail,
        read_only=bool(found.f_flag & os.ST_RDONLY),
        writable=os.access(path, os.W_OK),
    )


def judge(what: str, path: Path, room: Room, *, writes: bool) -> Finding:
    evidence = f"{path}: {_size(room.free)} of {_size(room.total)} free"
    if writes and room.read_only:
        return error(
            CHECK,
            f"The disk of {what} is read-only",
            str(path),
            "Mount it for writing; after an error of the disk the kernel does not write to it any more (dmesg).",
        )
    if writes and not room.writable:
        return error(
            CHECK, f"The process's user may not write {what}", f"{path}, user {os.getuid()}", "Give the directory to that user."
        )
    free_inodes = room.free_inodes / room.inodes if room.inodes else 1.0
    if not writes:
        return ok(CHECK, f"The disk of {what}", evidence)
    remedy = "Remove what is not needed there, or enlarge the volume: a full disk refuses events rather than losing them."
    if room.free < min(FULL_BYTES, FULL_SHARE * room.total):
        return error(CHECK, f"The disk of {what} is full", evidence, remedy)
    if free_inodes < FULL_INODES:
        return error(CHECK, f"The disk of {what} takes no more files", f"{path}: {free_inodes:.1%} of the inodes free", remedy)
    if room.free < min(LOW_BYTES, LOW_SHARE * room.total):
        return warning(CHECK, f"The disk of {what} is nearly full", evidence, remedy)
    if free_inodes < LOW_INODES:
        return warning(
            CHECK, f"The disk of {what} takes few more files", f"{path}: {free_inodes:.1%} of the inodes free", remedy
        )
    return ok(CHECK, f"The disk of {what} has room", evidence)


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"
