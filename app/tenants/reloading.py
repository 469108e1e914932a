"""Tenants and roles that follow their files while a process runs.

The files are looked at every few seconds, by their contents: a ConfigMap is replaced by a link, and two edits may carry one
time stamp. What is new is loaded whole once it has stood still for two looks, so no half-written file is taken for a
shorter one; where it is wrong, the old stays.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from app.telemetry.logs import get_logger
from app.tenants.access import Access, AccessError, Sources
from app.tenants.changes import Change, changes
from app.tenants.file import digest_of

LOOK_SECONDS = 2.0
LOGGED_MISTAKES: Final = 20

Changed = Callable[[tuple[Change, ...]], Awaitable[None]]
Failed = Callable[[tuple[str, ...]], Awaitable[None]]


async def _nobody_hears(_what: object) -> None:
    return None


class Reloading:
    """``access()`` is what holds now. Made from what the process started with; :meth:`run` beside the process' work.

    ``changed`` hears what is different, by name, before it holds: if it raises, the old stays and the next look tries again.
    ``failed`` hears of the mistakes for which the old stays, once for each state of the files."""

    def __init__(
        self,
        sources: Sources,
        loaded: Access,
        *,
        changed: Changed = _nobody_hears,
        failed: Failed = _nobody_hears,
    ) -> None:
        self._sources = sources
        self._access = loaded
        self._changed, self._failed = changed, failed
        self._taken: bytes | None = None  # the fingerprint of what was loaded last
        self._seen: bytes | None = None  # and of what the last look saw
        self._mistakes: tuple[str, ...] = ()

    def access(self) -> Access:
        return self._access

    @property
    def failing(self) -> bool:
        """Whether the files are wrong, so that what was loaded before holds."""
        return bool(self._mistakes)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # whatever one look meets, the next may not, and nobody else would look
                get_logger().error("access_look_failed", type=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once. The second look loads in any case: the files may have changed since the process' start."""
        seen = await asyncio.to_thread(_fingerprint, self._sources, self._access)
        still, self._seen = seen == self._seen, seen
        # While the files are wrong, what mends them may be a file that nobody watches yet, such as a new folder's.
        if still and (seen != self._taken or self._mistakes):
            await self._load()
            self._taken = seen

    async def _load(self) -> None:
        try:
            access = await asyncio.to_thread(self._sources.load)
        except AccessError as error:
            mistakes = tuple(str(error).splitlines())
            if mistakes != self._mistakes:
                get_logger().error("access_reload_failed", mistakes=mistakes[:LOGGED_MISTAKES], kept="what was loaded before")
                self._mistakes = mistakes
                await self._failed(mistakes)
            return
        different = changes(self._access, access)
        if different:
            await self._changed(different)
            get_logger().info("access_reloaded", changes=[str(change) for change in different])
        self._access, self._mistakes = access, ()


def _fingerprint(sources: Sources, access: Access) -> bytes:
    digest = hashlib.sha256()
    for path in _watched(sources, access):
        try:
            content = digest_of(path).encode() if path.is_dir() else path.read_bytes()
        except OSError as error:
            content = f"unreadable: {error.errno}".encode()
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.digest()


def _watched(sources: Sources, access: Access) -> Iterable[Path]:
    yield from (path for path in (sources.tenants_file, sources.roles_file) if path is not None)
    for tenant in access.tenants:
        if tenant.tasks is not None:
            yield tenant.tasks
        yield from (Path(key.source.place) for key in tenant.keys if key.source and key.source.kind == "file")
