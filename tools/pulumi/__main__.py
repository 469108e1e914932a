"""`python -m tools.pulumi`: find or make the engine, print the folder to put on PATH."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from tools.cache import Report
from tools.pulumi.engine import ensure, locate
from tools.pulumi.environment import CHECKOUT, STATE, ensure_state, exports, settings
from tools.pulumi.errors import InstallError
from tools.pulumi.version import PULUMI_VERSION

INTERVAL = 1.0  # seconds between two lines about the same step, at least


def paced_report() -> Report:
    """Lines to standard error: rewritten in place on a terminal, else at most one a second, so that a log stays readable."""
    last = 0.0

    def report(line: str) -> None:
        nonlocal last
        if "%" in line and "100 %" not in line and time.monotonic() - last < INTERVAL:
            return
        last = time.monotonic()
        if sys.stderr.isatty():
            print(f"\r\033[K{line}", end="" if "%" in line else "\n", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    return report


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.pulumi", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--find", action="store_true", help="make nothing; exit code 1 if the engine is not there")
    which.add_argument("--explain", action="store_true", help="say which way was taken; make nothing")
    which.add_argument("--export", action="store_true", help="print the environment as shell commands (see tools/activate)")
    options = parser.parse_args(arguments)
    if options.export:
        ensure_state(CHECKOUT / STATE)
        print(exports(settings(CHECKOUT, CHECKOUT / STATE, os.environ)), end="")
        return 0
    try:
        engine = locate(os.environ) if options.find or options.explain else ensure(os.environ, paced_report())
    except InstallError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    if engine is None:
        print(f"Pulumi {PULUMI_VERSION} is not installed; `make environment` installs it.", file=sys.stderr)
        return 1
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(f"Pulumi {PULUMI_VERSION} in {engine.folder}: {engine.explanation}" if options.explain else engine.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
