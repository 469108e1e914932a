"""What this project keeps outside the checkout: one cache for all clones, written atomically. Standard library only."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

Report = Callable[[str], None]
"""Takes one line that says where a long step stands."""


def cache_root(environ: Mapping[str, str]) -> Path:
    """``$XDG_CACHE_HOME/assistant-stack``, by default below ``~/.cache``. The XDG specification ignores a relative path."""
    given = Path(environ.get("XDG_CACHE_HOME", ""))
    base = given if given.is_absolute() else Path(environ.get("HOME") or Path.home()) / ".cache"
    return base / "assistant-stack"


@contextlib.contextmanager
def exclusive(folder: Path, report: Report) -> Iterator[None]:
    """Hold ``folder`` against other processes and clones; the kernel lets go when this process ends, however it ends.

    What a killed predecessor left half-written is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for another process that fills {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.glob(".partial-*"):
            remove(leftover)
        yield


@contextlib.contextmanager
def published(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``target`` in one step when the block ends well. Under ``exclusive(target.parent)``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
    try:
        yield partial
        partial.chmod(0o755)  # mkdtemp gives 0700
        if target.exists():
            remove(target)
        partial.rename(target)
    finally:
        if partial.exists():
            remove(partial)


def remove(path: Path) -> None:
    """Remove a tree, folders without write permission (Go's module cache) included."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(stat.S_IRWXU)
    shutil.rmtree(path)
