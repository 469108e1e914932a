"""Prometheus' own checker of rules: the one on PATH, else Debian's, unpacked into the cache and not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.cache import cache_root, exclusive, published

PACKAGE = "prometheus"
ADVICE = "Put promtool (it comes with Prometheus) on PATH, then try again."


class MissingPromtoolError(RuntimeError):
    """There is none on this machine, and apt has none."""


def find(environ: Mapping[str, str]) -> Path:
    """Raises :class:`MissingPromtoolError`."""
    if found := shutil.which("promtool", path=environ.get("PATH")):
        return Path(found)
    target = cache_root(environ) / "prometheus" / "debian"
    program = target / "promtool"
    with exclusive(target.parent, print):
        if not program.exists():
            with published(target) as partial, tempfile.TemporaryDirectory() as work:
                archive = _download(Path(work))
                _run(["dpkg", "-x", str(archive), work], Path(work))
                # Linked statically: it needs nothing else of the package.
                shutil.copy2(Path(work, "usr", "bin", "promtool"), partial)
    return program


def _download(work: Path) -> Path:
    """By this machine's package lists, or by lists fetched for the purpose (a fresh container image has none)."""
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []  # apt would drop to a user who cannot write here
    try:
        _run(["apt-get", *sandbox, "-qq", "download", PACKAGE], work)
    except MissingPromtoolError:
        lists = [*sandbox, "-o", f"Dir::State::Lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]
        for name in ("lists", "cache"):
            (work / name / "partial").mkdir(parents=True)
        _run(["apt-get", *lists, "-qq", "update"], work)
        _run(["apt-get", *lists, "-qq", "download", PACKAGE], work)
    (archive,) = work.glob("*.deb")
    return archive


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        raise MissingPromtoolError(f"there is no promtool, and Debian's cannot be had: {reason}\n{ADVICE}") from None
