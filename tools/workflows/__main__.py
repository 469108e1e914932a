"""``python -m tools.workflows [--thorough]``: zizmor, and thoroughly actionlint as well, over ``.github/workflows``.

Without a network: what zizmor would ask GitHub (whether a pinned commit is its tag's) is left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = Path(".github") / "workflows"
ZIZMOR = Path(sys.executable).parent / "zizmor"
FLAGS = ("--offline", "--strict-collection", "--persona=pedantic", "--no-progress", "--quiet")
# A Go module; no Python package carries it with its program.
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


def main(arguments: list[str]) -> int:
    code = _call([str(ZIZMOR), *FLAGS, "--config=.github/zizmor.yml", str(FOLDER)])
    if "--thorough" in arguments:
        code |= _thorough()
    return 1 if code else 0


def _thorough() -> int:
    """actionlint knows types of expressions and contexts, which zizmor does not look at."""
    if found := shutil.which("actionlint"):
        return _call([found])
    if go := shutil.which("go"):
        return _call([go, "run", ACTIONLINT])
    print("actionlint was left out: neither it nor Go is on PATH", file=sys.stderr)
    return 0


def _call(command: list[str]) -> int:
    return subprocess.run(command, cwd=CHECKOUT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
