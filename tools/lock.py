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
# name of the lock -> extra of pyproject.toml
LOCKS = {"development": "development", "gateway": "gateway", "inference-cpu": "cpu", "inference-gpu": "gpu"}


def command(lock: str, extra: str, *, upgrade: bool) -> list[str]:
    """The uv call that writes one lock."""
    flags = ["--universal", "--generate-hashes", "--no-emit-index-url", "--no-header", "--python-version", "3.11", "--quiet"]
    constraint = [] if lock == "development" else ["--constraint", "requirements/development.lock"]
    newest = ["--upgrade"] if upgrade else []
    return [
        *(sys.executable, "-m", "uv", "pip", "compile", *flags, *constraint, *newest),
        *("--extra", extra, "--output-file", f"requirements/{lock}.lock", "pyproject.toml"),
    ]


def main(arguments: list[str]) -> int:
    for lock, extra in LOCKS.items():
        print(f"{lock}.lock", flush=True)
        subprocess.run(command(lock, extra, upgrade="--upgrade" in arguments), cwd=CHECKOUT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
