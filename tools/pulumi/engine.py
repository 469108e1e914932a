"""Finds the engine on this machine, or makes it.

In this order, and `python -m tools.pulumi --explain` says which way was taken:

1. `pulumi` of the pinned version on PATH, with Pulumi's own Python language host;
2. Pulumi's release, downloaded into the cache and checked against its published checksum;
3. the CLI built from its Go module, with the language host of this repository.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.cache import Report, cache_root, exclusive
from tools.pulumi.build import SourceBuild
from tools.pulumi.errors import InstallError
from tools.pulumi.release import Release, Unavailable
from tools.pulumi.version import PULUMI_VERSION

LANGUAGE_HOST = "pulumi-language-python"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Where `pulumi` and its language host are. `folder` goes on PATH; `way` is 'path', 'release' or 'build'."""

    folder: Path
    way: str
    explanation: str


def engine_cache(environ: Mapping[str, str]) -> Path:
    """One folder a version and platform: a home directory may be shared between machines."""
    system = os.uname()
    return cache_root(environ) / "pulumi" / PULUMI_VERSION / f"{system.sysname}-{system.machine}".lower()


def on_path(environ: Mapping[str, str]) -> tuple[Engine | None, str]:
    """The engine on PATH, or the reason why there is none. What lies in our own cache does not count."""
    ours = cache_root(environ)
    folders = [folder for folder in environ.get("PATH", os.defpath).split(os.pathsep) if not Path(folder).is_relative_to(ours)]
    search = os.pathsep.join(folders)
    found = shutil.which("pulumi", path=search)
    if found is None:
        return None, "no pulumi on PATH"
    quiet = {**environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    answer = subprocess.run([found, "version"], env=quiet, capture_output=True, text=True, check=False)
    version = answer.stdout.strip().removeprefix("v")
    if version != PULUMI_VERSION:
        return None, f"{found} is version {version or 'unknown'}, not {PULUMI_VERSION}"
    beside = Path(found).resolve().parent / LANGUAGE_HOST
    if not os.access(beside, os.X_OK) and shutil.which(LANGUAGE_HOST, path=search) is None:
        return None, f"{found} is version {version}, but {LANGUAGE_HOST} is neither beside it nor on PATH"
    return Engine(folder=Path(found).parent, way="path", explanation=f"{found} is on PATH, version {version}"), ""


def locate(environ: Mapping[str, str]) -> Engine | None:
    """The engine that is there already; nothing is downloaded or compiled."""
    found, reason = on_path(environ)
    if found:
        return found
    cache = engine_cache(environ)
    release, build = Release(cache), SourceBuild(cache)
    if release.ready():
        return Engine(folder=release.folder, way="release", explanation=f"{reason}; Pulumi's own release lies in the cache")
    if build.compiled() and not build.ready():  # this checkout's language host is another than the last clone's
        with exclusive(cache, report=lambda line: None):
            build.install(environ, report=lambda line: None)
    if build.ready():
        return Engine(folder=build.folder, way="build", explanation=f"{reason}; built from its Go module, with our own host")
    return None


def ensure(environ: Mapping[str, str], report: Report) -> Engine:
    """Find the engine or make it. Raises `InstallError` with what to do where no way is open."""
    found = locate(environ)
    if found:
        return found
    cache = engine_cache(environ)
    with exclusive(cache, report):
        if not locate(environ):
            try:
                Release(cache).install(report)
            except Unavailable as reason:
                report(f"Pulumi's release: {reason}")
                SourceBuild(cache).install(environ, report)
    found = locate(environ)
    if not found:
        raise InstallError(f"the engine was made, yet it is not in {cache}; remove that folder and try again")
    return found
