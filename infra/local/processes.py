"""The operating system's processes, as far as they belong to a stack: known by a marker in their environment, never by name."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.local.layout import DIGEST_MARKER, PROCESS_MARKER, STATE_MARKER

HOST = "127.0.0.1"
POLL_SECONDS = 0.05
LONGEST_COMMAND = 100  # characters that are shown of another program's command


@dataclass(frozen=True)
class Owned:
    """A living process of a stack. ``digest``: that of the description it was started from; ``started``: Unix time."""

    pid: int
    name: str
    digest: str
    started: float


def owned_by(state_directory: Path, name: str | None = None) -> list[Owned]:
    """The stack's processes, or those of its process ``name``: their supervisor's children and their own children alike."""
    found = []
    for process in psutil.process_iter():
        with_marker = _environment(process)
        if with_marker.get(STATE_MARKER) != str(state_directory):
            continue
        owner = with_marker.get(PROCESS_MARKER, "")
        if name is not None and owner != name:
            continue
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(Owned(process.pid, owner, with_marker.get(DIGEST_MARKER, ""), process.create_time()))
        except psutil.Error:
            continue
    return found


def digest_of(pid: int, name: str) -> str | None:
    """The digest that the process ``pid`` was started from; None where it is not, or not yet, the stack's process ``name``."""
    try:
        environment = _environment(psutil.Process(pid))
    except psutil.Error:
        return None
    # For some milliseconds supervisord's child still has supervisord's own environment.
    return environment.get(DIGEST_MARKER) if environment.get(PROCESS_MARKER) == name else None


def end(processes: list[Owned], grace: float) -> None:
    """SIGTERM, and SIGKILL to what still lives after ``grace`` seconds. Returns when all are gone."""
    alive = []
    for owned in processes:
        try:
            process = psutil.Process(owned.pid)
            if process.create_time() == owned.started:  # the number may have a new owner by now
                process.terminate()
                alive.append(process)
        except psutil.Error:
            continue
    for process in _still_alive(alive, grace):
        try:
            process.kill()
        except psutil.Error:
            continue
    _still_alive(alive, grace)


def wake(processes: list[Owned]) -> None:
    """SIGCONT, which a process that runs does not notice."""
    for owned in processes:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(owned.pid)
            if process.create_time() == owned.started:
                process.resume()


def _still_alive(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that live after at most ``seconds``. A zombie is dead: not every machine's first process collects them at once."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger do not take a port
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True


def stranger_on(port: int, state_directory: Path) -> str | None:
    """Who has ``port``, in words, unless it is free or has been taken by a process of the stack itself."""
    if is_free(port):
        return None
    holders = list(_listeners(port))
    if any(_environment(holder).get(STATE_MARKER) == str(state_directory) for holder in holders):
        return None
    return " and ".join(_introduced(holder) for holder in holders) or "a process of another user"


def _listeners(port: int) -> Iterator[psutil.Process]:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:  # macOS shows them to root alone
        return
    pids = {c.pid for c in connections if c.laddr and c.laddr.port == port and c.status == psutil.CONN_LISTEN and c.pid}
    for pid in sorted(pids):
        try:
            yield psutil.Process(pid)
        except psutil.Error:
            continue


def _introduced(process: psutil.Process) -> str:
    try:
        command = " ".join(process.cmdline()).strip() or process.name()
    except psutil.Error:
        return f"process {process.pid}"
    shown = command if len(command) <= LONGEST_COMMAND else command[: LONGEST_COMMAND - 1] + "…"
    other = _environment(process).get(STATE_MARKER)
    return f"process {process.pid} ({shown})" + (f" of the stack in {other}" if other else "")


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}
