"""Who listens where the process should. From /proc, so that no package is needed; other systems tell less."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.doctor.finding import Finding, error, note, ok
from app.doctor.place import Place

CHECK: Final = "ports"
LISTEN: Final = "0A"  # TCP_LISTEN in /proc/net/tcp
PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """``module``: what ``python -m`` runs, "" for another program. The rest of a command line may hold anything."""

    pid: int
    name: str
    module: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} ({self.module or self.name})"


async def look(place: Place) -> list[Finding]:
    if not (PROC / "net" / "tcp").exists():
        return [note(CHECK, "Who listens on which port cannot be seen here", "there is no /proc/net/tcp")]
    settings: Any = place.settings
    ports = [("PORT", settings.port), *([("METRICS_PORT", settings.metrics_port)] if settings.metrics_port else [])]
    return [judge(name, port, is_listening(port), holders(port), place.entry) for name, port in ports]


def judge(setting: str, port: int, listening: bool, by: list[Holder], entry: str) -> Finding:
    if not listening:
        return error(
            CHECK,
            f"Nobody listens on port {port} ({setting})",
            f"no process, {entry} either, has it open",
            "The process is not there or still starting: its log says why (make logs).",
        )
    if any(holder.module == entry for holder in by):
        return ok(CHECK, f"Port {port} is the process's", str(next(holder for holder in by if holder.module == entry)))
    if not by:
        return note(CHECK, f"Somebody listens on port {port} ({setting}), who cannot be seen", "it is another user's process")
    return error(
        CHECK,
        f"Port {port} ({setting}) is taken by another program",
        f"{' and '.join(map(str, by))} listens there, and not {entry}",
        f"End that program, or give the process another {setting}.",
    )


def is_listening(port: int) -> bool:
    return any(True for _ in _sockets(port))


def holders(port: int) -> list[Holder]:
    """The processes that have the port open; empty where they are others' and not shown."""
    wanted = {f"socket:[{inode}]" for inode in _sockets(port)}
    return [_holder(folder) for folder in _processes() if wanted & set(_open(folder))]


def _sockets(port: int) -> Iterator[str]:
    """The inodes of the sockets that listen on ``port``."""
    for name in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if len(words) > 9 and words[3] == LISTEN and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]


def _processes() -> Iterator[Path]:
    return (folder for folder in PROC.iterdir() if folder.name.isdigit())


def _open(process: Path) -> Iterator[str]:
    try:
        for file in (process / "fd").iterdir():
            try:
                yield str(file.readlink())
            except OSError:
                continue
    except OSError:
        return


def _holder(process: Path) -> Holder:
    try:
        name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
        words = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return Holder(pid=int(process.name), name="gone meanwhile")
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    return Holder(pid=int(process.name), name=name, module=module if module.startswith("app.") else "")
