"""``wrk``, the load generator: on PATH, or Debian's package unpacked into the cache without root."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.cache import cache_root

PACKAGES = ("wrk", "libluajit-5.1-2", "libluajit-5.1-common")
SCRIPT = Path(__file__).parent / "events.lua"


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one run of wrk saw. Latencies in milliseconds."""

    requests: int
    seconds: float
    refused: int  # other than 2xx and 3xx
    broken: int
    mean: float
    median: float
    p99: float
    most: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def find() -> tuple[str, dict[str, str]]:
    """The command and the environment that it needs. Raises :class:`SystemExit` where it cannot be had."""
    if found := shutil.which("wrk"):
        return found, dict(os.environ)
    folder = cache_root(os.environ) / "wrk"
    if not (folder / "usr/bin/wrk").exists():
        archives = folder / "archives"
        archives.mkdir(parents=True, exist_ok=True)
        for package in PACKAGES:
            done = subprocess.run(
                ["apt-get", "-o", "APT::Sandbox::User=root", "-qq", "download", package],
                cwd=archives,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(
                    f"wrk is not on PATH and cannot be fetched: {done.stderr.strip()[-300:]}\nInstall wrk, then try again."
                )
        for archive in archives.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), str(folder)], check=True)
    libraries = ":".join(sorted({str(file.parent) for file in folder.rglob("*.so*")}))
    return str(folder / "usr/bin/wrk"), {**os.environ, "LD_LIBRARY_PATH": libraries}


def load(url: str, *, connections: int, seconds: int, events: Path, skip: int = 0) -> Load:
    command, environment = find()
    threads = min(connections, 1)  # one: the machine's cores belong to what is measured
    done = subprocess.run(
        [
            *(command, "-t", str(threads), "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s"),
            *("-s", str(SCRIPT), url, "--", str(events), str(threads), str(skip)),
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 60,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise SystemExit(f"wrk failed: {(done.stderr or done.stdout)[-500:]}")
    count, microseconds, refused, broken, mean, median, p99, most = line.split()[1:]
    return Load(
        requests=int(count),
        seconds=int(microseconds) / 1e6,
        refused=int(refused),
        broken=int(broken),
        mean=float(mean) / 1000,
        median=float(median) / 1000,
        p99=float(p99) / 1000,
        most=float(most) / 1000,
    )
