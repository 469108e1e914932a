"""The content-addressed store of models, shared by all checkouts of a user.

::

    models/<digest>/                 a finished model directory; appears by one rename, complete or not at all
    models/<name>                    symbolic link to a digest, made by ``--link``: a path that stays when the model changes
    models/.recipes/<recipe>         symbolic link to the digest that this source, precision and converter gave
    models/.locks/<recipe>           held (flock) by the one process that converts the recipe; the kernel drops it at any death
    models/.partial/<recipe>.gguf    what its download has so far; after a death the next holder of the lock goes on from there
    models/.work/<recipe>/           its scratch directory; the next holder of the lock removes what a killed one left

Raises :class:`StoreError` where the store cannot be read or written.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from app.models import manifest
from app.models.errors import ManifestError, ModelIntegrityError, StoreError

RECIPES, LOCKS, WORK, PARTIAL = ".recipes", ".locks", ".work", ".partial"


def default_root(environment: Mapping[str, str]) -> Path:
    """``$XDG_CACHE_HOME/assistant-stack/models``, by default under ``~/.cache``. Raises :class:`StoreError` where nobody's
    home is known, as in a container whose user has no name."""
    cache = environment.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is invalid and is ignored.
    try:
        base = Path(cache) if cache.startswith("/") else Path.home() / ".cache"
    except RuntimeError:
        raise StoreError("this user has no home directory to keep models in: name a place with --store") from None
    return base / "assistant-stack" / "models"


class Store:
    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, recipe: str, *, sizes_only: bool = True) -> tuple[Path, manifest.Manifest] | None:
        """The finished directory for ``recipe``, or None. An entry that was damaged counts as absent."""
        link = self.root / RECIPES / recipe
        try:
            directory = self.root / link.readlink().name
            return directory, manifest.verify(directory, sizes_only=sizes_only)
        except (FileNotFoundError, ManifestError, ModelIntegrityError):
            return None
        except OSError as error:
            raise _explain(self.root, error) from None

    @contextmanager
    def converting(self, recipe: str, waiting: Callable[[], None]) -> Iterator[Path]:
        """Hold the lock of ``recipe`` and give an empty scratch directory, removed at the end.

        ``waiting`` is called once if another process holds the lock. An :class:`OSError` inside, such as a full disk, becomes
        a :class:`StoreError`.
        """
        try:
            for name in (RECIPES, LOCKS, WORK, PARTIAL):
                (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self.root / LOCKS / recipe).open("w") as lock:
                if not _try_lock(lock.fileno()):
                    waiting()
                    fcntl.flock(lock, fcntl.LOCK_EX)
                self._sweep(held=recipe)
                work = self.root / WORK / recipe
                work.mkdir(mode=0o700)
                try:
                    yield work
                finally:
                    shutil.rmtree(work, ignore_errors=True)
        except OSError as error:
            raise _explain(self.root, error) from None

    def partial(self, recipe: str) -> Path:
        """Where a download of ``recipe`` may keep what it has. Use it with the lock held."""
        return self.root / PARTIAL / f"{recipe}.gguf"

    def publish(self, recipe: str, directory: Path, digest: str) -> Path:
        """Move a complete directory into the store under ``digest`` and point ``recipe`` at it. Call with the lock held."""
        entry = self.root / digest
        _sync(directory)
        if entry.exists():
            try:
                manifest.verify(entry)
            except (ManifestError, ModelIntegrityError):
                entry.rename(directory.parent / "damaged")  # swept away with the scratch directory
        if not entry.exists():
            directory.rename(entry)
        link = directory.parent / "link"
        link.symlink_to(Path("..") / digest)
        link.replace(self.root / RECIPES / recipe)
        _sync(self.root)
        return entry

    def link(self, name: str, digest: str) -> Path:
        """Point ``<root>/<name>`` at the finished directory ``digest``, in one step for whoever looks."""
        path, fresh = self.root / name, self.root / f".{name}.{secrets.token_hex(8)}"
        try:
            if path.is_dir() and not path.is_symlink():
                raise StoreError(f"{path} is a directory, not a link: remove it, or choose another name with --link")
            fresh.symlink_to(digest)  # relative: the store may be mounted elsewhere by who reads it
            fresh.replace(path)
            _sync(self.root)
        except OSError as error:
            raise _explain(self.root, error) from None
        return path

    def _sweep(self, held: str) -> None:
        """Remove the scratch directories of processes that died: those whose lock is free, and that of ``held``."""
        for leftover in (self.root / WORK).iterdir():
            if leftover.name == held:
                shutil.rmtree(leftover, ignore_errors=True)
                continue
            with (self.root / LOCKS / leftover.name).open("w") as lock:
                if _try_lock(lock.fileno()):
                    shutil.rmtree(leftover, ignore_errors=True)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(root: Path, error: OSError) -> StoreError:
    advice = "choose another place with --store or XDG_CACHE_HOME"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"the disk of the model store {root} is full; free some space or {advice}")
    return StoreError(f"the model store {root} cannot be used: {error.strerror} ({error.filename or root}); {advice}")
