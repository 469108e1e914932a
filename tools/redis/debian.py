"""Debian's or Ubuntu's redis-server, unpacked into the cache: no root, nothing installed, nothing started.

apt checks the packages against its signed lists. Where this machine has no lists (a fresh container image), they are fetched
into a temporary folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tools.cache import Report, exclusive, published
from tools.redis.server import MissingRedisError, package_folder, version_of

PACKAGE = "redis-server"
TOOLS = ("apt-get", "dpkg")
ADVICE = "Install redis or valkey with this system's package manager, then try again."


def newly_installed(simulation: str) -> list[str]:
    """Names of the packages that `apt-get --simulate install` would install."""
    return re.findall(r"^Inst (\S+)", simulation, re.MULTILINE)


def wrapper(libraries: list[str]) -> str:
    """A script that runs the server with the libraries that lie beside it; `libraries` are relative folders."""
    places = ":".join(f"$here/{folder}" for folder in libraries)
    return (
        "#!/bin/sh\n"
        'here=$(CDPATH=\'\' cd -- "$(dirname -- "$0")" && pwd)\n'
        f'LD_LIBRARY_PATH="{places}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" exec "$here/usr/bin/redis-server" "$@"\n'
    )


def install(environ: Mapping[str, str], report: Report) -> None:
    """Unpack the package and what it needs beyond this system. Raises `MissingRedisError`."""
    missing = [tool for tool in TOOLS if shutil.which(tool, path=environ.get("PATH")) is None]
    if missing:
        raise MissingRedisError(f"no redis-server on PATH, none in a wheel for this Python, and no {missing[0]} here. {ADVICE}")
    target = package_folder(environ)
    with exclusive(target.parent, report), tempfile.TemporaryDirectory() as folder:
        if version_of(target / "redis-server"):
            return
        report("fetching Debian's redis-server into the cache (no root needed)")
        archives = _download(Path(folder), environ, report)
        with published(target) as partial:
            for archive in archives:
                _run(["dpkg", "-x", str(archive), str(partial)], partial, environ)
            _make_wrapper(partial)
            if not version_of(partial / "redis-server"):
                raise MissingRedisError(f"Debian's redis-server was unpacked, but does not run here. {ADVICE}")


def _download(folder: Path, environ: Mapping[str, str], report: Report) -> list[Path]:
    """Package files in `folder`: by this machine's lists, or by lists fetched for the purpose."""
    try:
        return _download_with([], folder, environ)
    except MissingRedisError:
        report("this machine's package lists do not serve; fetching lists for this purpose alone")
    options = []
    for setting, name in {"Dir::State::Lists": "lists", "Dir::Cache": "cache"}.items():
        (folder / name / "partial").mkdir(parents=True)
        options += ["-o", f"{setting}={folder / name}"]
    if os.geteuid() == 0:
        options += ["-o", "APT::Sandbox::User=root"]  # apt would drop to a user who cannot write here
    _run(["apt-get", *options, "-qq", "update"], folder, environ)
    return _download_with(options, folder, environ)


def _download_with(options: list[str], folder: Path, environ: Mapping[str, str]) -> list[Path]:
    simulated = _run(
        ["apt-get", *options, "--simulate", "--no-install-recommends", "--yes", "install", PACKAGE], folder, environ
    )
    # Had it been installed, it would be on PATH; a partly removed one is fetched all the same.
    names = sorted({*newly_installed(simulated), PACKAGE, "redis-tools"})
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    _run(["apt-get", *options, *sandbox, "-qq", "download", *names], folder, environ)
    return sorted(folder.glob("*.deb"))


def _make_wrapper(folder: Path) -> None:
    libraries = sorted({str(file.parent.relative_to(folder)) for file in folder.rglob("*.so*")})
    script = folder / "redis-server"
    script.write_text(wrapper(libraries), encoding="utf-8")
    script.chmod(0o755)


def _run(command: list[str], folder: Path, environ: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env={**environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise MissingRedisError(f"`{' '.join(command[:1] + command[-2:])}` failed:\n{last}\n{ADVICE}")
    return done.stdout
