"""Programs that judge manifests: kube-score, built from its Go module, and Checkov, in an environment of its own.

Checkov has a hundred dependencies, some of them with versions that ours exclude, and so lives apart from `.venv`. Its lock:
`uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header checkov.in -o checkov.lock`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.cache import Report, cache_root, exclusive, published
from tools.kubernetes import golang_build
from tools.kubernetes.addons import releases
from tools.kubernetes.errors import ClusterError

CHECKOV_LOCK = Path(__file__).with_name("checkov.lock")


def kube_score(report: Report) -> Path:
    """The program, built if it is not in the cache. Raises `ClusterError`."""
    return golang_build.binaries(releases.kube_score(), report)["kube-score"]


def checkov(report: Report, environ: Mapping[str, str] | None = None) -> Path:
    """Its command, installed by the locked hashes if it is not in the cache. Raises `ClusterError`."""
    environ = os.environ if environ is None else environ
    target = checkov_folder(environ)
    command = target / "bin" / "checkov"
    if command.exists():
        return command
    with exclusive(target.parent, report):
        if not command.exists():
            report("installing Checkov into an environment of its own, 200 MB, once")
            with published(target) as partial:
                _install(partial, environ)
    return command


def checkov_folder(environ: Mapping[str, str]) -> Path:
    """One for each lock and interpreter."""
    said = CHECKOV_LOCK.read_bytes() + sys.version.encode() + sys.base_prefix.encode()
    return cache_root(environ) / "kubernetes" / "checkov" / hashlib.sha256(said).hexdigest()[:12]


def _install(folder: Path, environ: Mapping[str, str]) -> None:
    """Relocatable: the folder gets its name when all of it is there."""
    uv = [sys.executable, "-m", "uv"]
    _run([*uv, "venv", "--quiet", "--relocatable", "--allow-existing", "--python", sys.executable, str(folder)], environ)
    flags = ["--quiet", "--require-hashes", "--only-binary=:all:", "--python", str(folder / "bin" / "python")]
    _run([*uv, "pip", "install", *flags, "--requirement", str(CHECKOV_LOCK)], environ)


def _run(command: list[str], environ: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-10:])
        raise ClusterError(f"Checkov could not be installed from the Python package index:\n{last}")
