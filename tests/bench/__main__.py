"""``make bench``: every benchmark of this folder but the cold start (``make bench-cold``), one after another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def main() -> int:
    codes = [
        subprocess.run([sys.executable, str(script)], cwd=FOLDER.parents[1], check=False).returncode
        for script in sorted(FOLDER.glob("bench_*.py"))
    ]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
