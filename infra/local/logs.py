"""The end of a log, for an error message."""

from __future__ import annotations

from pathlib import Path

LINES = 20
LONGEST_TAIL = 64 * 1024  # bytes that are read from the end


def last_lines(log: Path, lines: int = LINES) -> str:
    """The last lines of ``log`` under a heading, or the words that there are none."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - LONGEST_TAIL))
            tail = stream.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        tail = []
    if not tail:
        return f"It has written nothing to {log}."
    return "\n".join([f"Last lines of {log}:", *(f"    {line}" for line in tail)])
