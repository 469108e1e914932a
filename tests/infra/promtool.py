"""Prometheus' own checker of rules: the one on PATH, else Debian's, unpacked into the cache and not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tools.cache import cache_root, exclusive, published

PACKAGE = "prometheus"
ADVICE = "Put promtool (it comes with Prometheus) on PATH, then try again."


def find(environ: Mapping[str, str]) -> Path:
    """Raises ``RuntimeError`` where there is none and apt has none."""
    if found := shutil.which("promtool", path=environ.get("PATH")):
        return Path(found)
    target = cache_root(environ) / "promtool"
    program = target / "promtool"
    with exclusive(target.parent, print):
        if not program.exists():
            with published(target) as partial:
                _unpack(partial)
    return program


def _unpack(folder: Path) -> None:
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []  # apt would drop to a user who cannot write here
    with tempfile.TemporaryDirectory() as work:
        _run(["apt-get", *sandbox, "-qq", "download", PACKAGE], work)
        (archive,) = Path(work).glob("*.deb")
        _run(["dpkg", "-x", str(archive), work], work)
        shutil.copy2(Path(work, "usr", "bin", "promtool"), folder)  # linked statically: it needs nothing else of the package


def _run(command: list[str], folder: str) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or error
        raise RuntimeError(f"there is no promtool, and Debian's cannot be had: {reason}\n{ADVICE}") from None
