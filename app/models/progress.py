"""How far the work is, for people: lines on standard error."""

from __future__ import annotations

import sys
import time

SECONDS_BETWEEN_LINES = 2.0


class Progress:
    """A line where a stage begins, and one every two seconds within it."""

    def __init__(self) -> None:
        self._what, self._at = "", 0.0

    def __call__(self, share: float, what: str) -> None:
        now = time.monotonic()
        if what != self._what or now - self._at >= SECONDS_BETWEEN_LINES:
            print(f"[{share:4.0%}] {what}", file=sys.stderr, flush=True)
            self._what, self._at = what, now
