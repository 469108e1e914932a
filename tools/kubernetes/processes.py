"""Processes that outlive the command that starts them: one record each, which no stranger with a reused number matches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STOP_SECONDS = 10.0
UMASK = 0o022  # Kubernetes' programs take it for granted, whatever this terminal's is


@dataclass(frozen=True)
class Record:
    """Names one process for good: its number, when it started (clock ticks after boot), and which boot that was."""

    pid: int
    started: int
    boot: str


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run."""

    name: str
    command: tuple[str, ...]


def start_time(stat: str) -> int:
    """Field 22 of /proc/PID/stat. The second field may hold blanks and brackets, so count from its closing bracket."""
    return int(stat.rpartition(")")[2].split()[19])


def state_letter(stat: str) -> str:
    """Field 3: R, S, D, Z …"""
    return stat.rpartition(")")[2].split()[0]


def observe(pid: int, proc: Path = Path("/proc")) -> int | None:
    """When the process started; None where there is none, or only a dead one that nobody has collected."""
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return None if state_letter(stat) == "Z" else start_time(stat)


def boot_id() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip()


class Supervisor:
    """Starts, finds and stops programs by the records in `folder`; what they write goes to `logs`/NAME.log."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder = folder
        self._logs = logs

    def names(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def find(self, name: str) -> Record | None:
        """The running process of that name, if it is ours and alive."""
        try:
            record = Record(**json.loads((self._folder / f"{name}.json").read_text(encoding="ascii")))
        except (OSError, ValueError, TypeError):
            return None
        alive = record.boot == boot_id() and observe(record.pid) == record.started
        return record if alive else None

    def start(self, program: Program, environ: Mapping[str, str]) -> Record:
        """Start it in a session of its own, so that no key typed at this terminal reaches it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log(program.name).open("ab") as log:
            child = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=dict(environ),
                start_new_session=True,
                umask=UMASK,
            )
        started = observe(child.pid)
        record = Record(child.pid, -1 if started is None else started, boot_id())
        path = self._folder / f"{program.name}.json"
        path.write_text(json.dumps(asdict(record)), encoding="ascii")
        child.returncode = 0  # it is meant to outlive us: without this Python warns that it still runs
        return record

    def stop(self, name: str, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM, then SIGKILL; only the process that the record names."""
        record = self.find(name)
        if record:
            for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, STOP_SECONDS)):
                if observe(record.pid) != record.started:
                    break
                os.kill(record.pid, number)
                _wait_for_end(record, patience)
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def last_lines(self, name: str, count: int = 8) -> str:
        """The end of its log, for a message."""
        try:
            with self.log(name).open("rb") as file:
                file.seek(max(0, self.log(name).stat().st_size - 16384))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-count:])


def _wait_for_end(record: Record, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and observe(record.pid) == record.started:
        _collect(record.pid)
        time.sleep(0.05)


def _collect(pid: int) -> None:
    """A child of this very process would stay a zombie; others' children are not ours to wait for."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def run(
    command: Sequence[str], *, stdin: str | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A short command, its output captured; the caller judges the exit status."""
    return subprocess.run(
        command, input=stdin, env=None if environ is None else dict(environ), capture_output=True, text=True, check=False
    )
