"""Files and directories that only their owner may read, and their orderly removal."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from infra.errors import LocalError


def make_private_directory(path: Path) -> None:
    """Make ``path`` with mode 0700, and its parents. Raises :class:`LocalError` if it belongs to another user or is a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise LocalError(f"{path} is in the way: it must be a directory of the user who runs this. Move it away and repeat.")
    path.chmod(0o700)


def write_private(path: Path, content: str) -> None:
    """Write ``content`` with mode 0600, whole or not at all; at no moment can another user read it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def file_status(path: Path, matches: bool | None = None) -> str:
    """``ok``, ``missing``, ``changed`` or ``mode 0644``. ``matches``: whether the content is the expected one, if known."""
    try:
        mode = stat.S_IMODE(path.lstat().st_mode)
    except OSError:
        return "missing"
    if matches is False:
        return "changed"
    return "ok" if mode == 0o600 else f"mode {mode:04o}"


def read_text(path: Path) -> str | None:
    """The file's text, or None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def remove_empty(directory: Path, up_to: Path) -> None:
    """Remove ``directory`` and then its parents as far as ``up_to``, as long as they are empty."""
    while directory == up_to or up_to in directory.parents:
        try:
            directory.rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            return
        directory = directory.parent
