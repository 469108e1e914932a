"""Clone to first answer, as a newcomer has it: an empty HOME, empty caches, a fresh clone of HEAD.

Twice: with the Pulumi CLI in the cache, and with nothing but the package registries. ``make bench-cold``; takes up to a
quarter of an hour. ``--cli-cached-only`` leaves the long one out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests" / "bench"))

from record import record  # noqa: E402

CLI_CACHE = Path("assistant-stack") / "pulumi"
GOALS = {"with the CLI in the cache": 180, "with nothing but the registries": 720}
KEPT_VARIABLES = ("PATH", "LANG", "TERM")
# How a machine reaches its registries and trusts its proxy is the machine's own affair, not part of what is measured.
KEPT_PREFIXES = ("PIP_", "UV_", "SSL_CERT", "GOPROXY", "GOFLAGS", "GOSUMDB", "REQUESTS_CA", "CURL_CA", "GIT_SSL")


def main(arguments: list[str]) -> int:
    rows = []
    for name, goal in GOALS.items():
        with_cli = name.startswith("with the CLI")
        if not with_cli and "--cli-cached-only" in arguments:
            continue
        seconds = clone_to_answer(with_cli=with_cli)
        rows.append(f"| {name} | {seconds:.0f} s | under {goal} s |")
    table = "\n".join(["| clone to first answer | measured | goal |", "|---|---|---|", *rows])
    record("Clone to first answer", "make bench-cold", table)
    return 0


def clone_to_answer(*, with_cli: bool) -> float:
    """Seconds from the start of ``git clone`` until the first answer stands on the screen."""
    with tempfile.TemporaryDirectory(prefix="cold-") as folder:
        home, clone = Path(folder) / "home", Path(folder) / "assistant-stack"
        home.mkdir()
        environment = {
            name: value for name, value in os.environ.items() if name in KEPT_VARIABLES or name.startswith(KEPT_PREFIXES)
        }
        path = [part for part in environment["PATH"].split(os.pathsep) if "assistant-stack" not in part and ".venv" not in part]
        environment |= {
            "HOME": str(home),
            "PATH": os.pathsep.join(path),
            "GOMODCACHE": f"{folder}/go",
            "GOCACHE": f"{folder}/build",
        }
        if with_cli:
            cached = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / CLI_CACHE
            shutil.copytree(cached, home / ".cache" / CLI_CACHE, symlinks=True)
        start = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True, env=environment)
        _own_ports(clone)
        try:
            return _seconds_until_answer(["make", "up"], clone, environment, start)
        finally:
            subprocess.run(["make", "down"], cwd=clone, env=environment, check=False, stdout=subprocess.DEVNULL)
            subprocess.run(["chmod", "-R", "u+w", folder], check=False)  # Go's module cache is read-only


def _seconds_until_answer(command: list[str], clone: Path, environment: dict[str, str], start: float) -> float:
    process = subprocess.Popen(command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    answered = 0.0
    for line in process.stdout or ():
        print(f"{time.monotonic() - start:6.1f} s  {line}", end="", flush=True)
        if line.startswith("Answer") and not answered:
            answered = time.monotonic() - start
    if process.wait() or not answered:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return answered


def _own_ports(clone: Path) -> None:
    """Ports of its own, so that a stack that runs on this machine is not disturbed."""
    gateway, inference, redis, worker, platform = range(19_100, 19_105)  # below the kernel's range for outgoing connections
    (clone / "stacks" / "Pulumi.local.yaml").write_text(
        f"config:\n  assistant:ports: {{gateway: {gateway}, inference: {inference}, redis: {redis}, worker: {worker}}}\n"
        f"  assistant:platforms: {{generic: {{url: 'http://127.0.0.1:{platform}'}}}}\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
