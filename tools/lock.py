"""``make lock``: compile requirements/*.lock from pyproject.toml.

Locks are universal (one serves x86-64 and arm64, Linux and macOS, every supported Python), carry hashes and name no index.
The inference locks take their versions from the development lock, so what is tested is what is shipped.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDER = CHECKOUT / "requirements"
# name of the lock -> extras of pyproject.toml
LOCKS: dict[str, tuple[str, ...]] = {
    "development": ("development",),
    "gateway": ("gateway",),
    "transport": ("slack", "feishu"),
    "inference-cpu": ("cpu",),
    "inference-gpu": ("gpu",),
}
# What the images are built with (app/Dockerfile), each with the comment that heads its lock: name of the lock -> package
TOOLS = {"pip": "pip", "sbom": "cyclonedx-bom"}
FLAGS = ("--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--python-version", "3.11", "--quiet")


def command(lock: str, extras: tuple[str, ...], *, upgrade: bool) -> list[str]:
    """The uv call that writes one lock."""
    constraint = [] if lock == "development" else ["--constraint", "requirements/development.lock"]
    newest = ["--upgrade"] if upgrade else []
    return [
        *(sys.executable, "-m", "uv", "pip", "compile", *FLAGS, *constraint, *newest),
        *(word for extra in extras for word in ("--extra", extra)),
        *("--output-file", f"requirements/{lock}.lock", "pyproject.toml"),
    ]


def main(arguments: list[str]) -> int:
    for lock, extras in LOCKS.items():
        print(f"{lock}.lock", flush=True)
        subprocess.run(command(lock, extras, upgrade="--upgrade" in arguments), cwd=CHECKOUT, check=True)
    for lock, package in TOOLS.items():
        print(f"{lock}.lock", flush=True)
        _lock_tool(FOLDER / f"{lock}.lock", package, ["--upgrade"] if "--upgrade" in arguments else [])
    return 0


def _lock_tool(file: Path, package: str, newest: list[str]) -> None:
    heading = file.read_text(encoding="utf-8").splitlines()[0]
    command = [sys.executable, "-m", "uv", "pip", "compile", *FLAGS, *newest, "--no-annotate", "--output-file", str(file), "-"]
    subprocess.run(command, cwd=CHECKOUT, input=package, text=True, check=True)
    file.write_text(f"{heading}\n{file.read_text(encoding='utf-8')}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
