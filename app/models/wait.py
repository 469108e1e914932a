"""``python -m app.models.wait PATH``: wait until a model directory is there, and prove that it is whole.

For a start that depends on a conversion elsewhere (an init container before the inference service): progress goes to standard
error, the model's name and digest to standard output. Exit status: 0 it is there and every SHA-256 is right, 1 it is not, 2
wrong usage, 143 terminated.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from app.models.errors import ModelError
from app.models.manifest import FILE_NAME, Manifest, load, verify

POLL_SECONDS = 1.0
SECONDS_BETWEEN_LINES = 10.0
LONGEST_SECONDS = 7 * 24 * 3600.0


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    # The first process of a container gets no default action for a signal: without a handler it would wait on.
    signal.signal(signal.SIGTERM, _terminate)
    try:
        manifest = wait(options.path, options.seconds, lambda line: print(line, file=sys.stderr, flush=True))
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(json.dumps({"path": str(options.path), "name": manifest.name, "digest": manifest.digest}, ensure_ascii=False))
    return 0


def wait(path: Path, seconds: float, report: Callable[[str], None]) -> Manifest:
    """The proved manifest of the model directory ``path``, which may be a link that does not point anywhere yet.

    Raises :class:`ModelError` when it does not appear in time or is damaged. A directory is published whole, so that damage is
    final and not waited out.
    """
    begin = time.monotonic()
    told = begin - SECONDS_BETWEEN_LINES
    while not _there(path):
        waited = time.monotonic() - begin
        if waited >= seconds:
            raise ModelError(
                f"{path / FILE_NAME} did not appear within {seconds:g} seconds: look at what makes the model"
                " (`python -m app.models`), or wait longer with --seconds"
            )
        if begin + waited - told >= SECONDS_BETWEEN_LINES:
            report(f"waiting for {path / FILE_NAME}: {waited:.0f} of {seconds:g} seconds")
            told = begin + waited
        time.sleep(min(POLL_SECONDS, seconds - waited))
    directory = path.resolve()  # once: a link may be moved while the files are read
    report(f"comparing the digests of {load(directory).sizes.bytes / 2**20:.0f} MiB in {directory}")
    return verify(directory)


def _there(path: Path) -> bool:
    try:
        return (path / FILE_NAME).exists()
    except OSError as error:
        raise ModelError(f"{path} cannot be looked into: {error.strerror}") from None


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m app.models.wait", description="Wait for a model directory and compare every file with its manifest."
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="the model directory, or a link to it")
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long it may take to appear (default %(default)g)")
    options = parser.parse_args(arguments)
    if not 0 <= options.seconds <= LONGEST_SECONDS:
        parser.error(f"--seconds {options.seconds}: from 0 to {LONGEST_SECONDS:.0f}")
    return options


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    print("terminated while waiting for the model", file=sys.stderr)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
