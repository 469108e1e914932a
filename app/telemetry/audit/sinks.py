"""Where records are kept: files of their own, or the process's output, which the platform's log store takes.

Both are used by one thread alone. A write either keeps all the lines it was given or raises :class:`OSError` and keeps none.
"""

from __future__ import annotations

import errno
import os
from datetime import date
from pathlib import Path
from typing import Final, Protocol

SUFFIX: Final = ".jsonl"
FILE_MODE, FOLDER_MODE = 0o600, 0o700


class Sink(Protocol):
    def write(self, lines: bytes, day: date) -> None:
        """Returns once they are kept."""

    def close(self) -> None: ...


class FileSink:
    """A file a writer and UTC day, ``<writer>.<YYYY-MM-DD>.jsonl``, readable by its owner alone, on the disk (fsync) before
    :meth:`write` returns."""

    def __init__(self, directory: Path, writer: str) -> None:
        self._directory = directory
        self._writer = writer
        self._day: date | None = None
        self._file = -1
        self._broken = False

    def write(self, lines: bytes, day: date) -> None:
        if self._broken:
            raise OSError(errno.EIO, "the file could not be cut back after a failed write; restart this process")
        if self._file < 0 or (self._day is not None and day > self._day):
            self._open(day)
        size = os.fstat(self._file).st_size
        try:
            _write_all(self._file, lines)
            os.fsync(self._file)
        except OSError:
            self._cut(size)
            raise

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self, day: date) -> None:
        made = not self._directory.exists()
        self._directory.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if not made and self._directory.stat().st_mode & 0o077:
            self._directory.chmod(FOLDER_MODE)
        path = self._directory / f"{self._writer}.{day.isoformat()}{SUFFIX}"
        # EXCL: a writer's name is its own; a file or a link that lies there was put there by somebody else.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        opened = os.open(path, flags, FILE_MODE)
        self.close()
        self._file, self._day = opened, day
        _sync_folder(self._directory)

    def _cut(self, size: int) -> None:
        """Take a half-written record back: the next one gets its number, and follows the one before it."""
        try:
            os.ftruncate(self._file, size)
            os.fsync(self._file)
        except OSError:
            self._broken = True


class StreamSink:
    """A file descriptor, such as a container's standard output: kept once the log store has it, which it does not confirm."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor

    def write(self, lines: bytes, day: date) -> None:
        _write_all(self._descriptor, lines)

    def close(self) -> None:
        return


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(directory: Path) -> None:
    """So that the new file's name survives a power cut too."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
