"""Shows how the set-up goes: one line a step, in place on a terminal; elsewhere a line when something changes."""

from __future__ import annotations

import shutil
import time
import unicodedata
from collections.abc import Sequence
from typing import TextIO

from tools.bootstrap.steps import Step

MARKS = {"waiting": "·", "running": "…", "done": "✓", "failed": "✗", "stopped": "-"}
ASCII_MARKS = {"waiting": ".", "running": ">", "done": "+", "failed": "x", "stopped": "-"}
SPARSE = 15.0  # seconds between two lines about one running step where no terminal shows them


def step_line(step: Step, now: float, width: int, marks: dict[str, str]) -> str:
    """`✓ packages     5 s` or `… engine      93 s  43 % (package 600 of 1490)`, cut to `width` columns."""
    seconds = step.seconds if step.state in ("done", "failed", "stopped") else now - step.started
    time_shown = f"{seconds:4.0f} s" if step.state != "waiting" else "      "
    detail = step.line if step.state == "running" else ""
    return cut(f"{marks[step.state]} {step.name:<12}{time_shown}  {detail}", max(20, width - 1)).rstrip()


def cut(text: str, columns: int) -> str:
    """`text` up to `columns`; Chinese characters and the like take two. A line that wraps would break the redrawing."""
    for end, character in enumerate(text):
        columns -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if columns < 0:
            return text[:end]
    return text


class Display:
    """`watch` is called again and again; it writes only what is new."""

    def __init__(self, steps: Sequence[Step], stream: TextIO) -> None:
        self._steps = steps
        self._stream = stream
        self._terminal = stream.isatty()
        self._drawn = 0
        self._shown: dict[str, tuple[str, float]] = {}
        try:
            "".join(MARKS.values()).encode(stream.encoding or "utf-8")
            self._marks = MARKS
        except UnicodeEncodeError:
            self._marks = ASCII_MARKS

    def watch(self) -> None:
        if self._terminal:
            self._draw()
        else:
            self._tell()
        self._stream.flush()

    def _draw(self) -> None:
        now, width = time.monotonic(), shutil.get_terminal_size().columns
        if self._drawn:
            self._stream.write(f"\x1b[{self._drawn}A")
        for step in self._steps:
            self._stream.write(f"\x1b[2K{self._printable(step_line(step, now, width, self._marks))}\n")
        self._drawn = len(self._steps)

    def _tell(self) -> None:
        now = time.monotonic()
        for step in self._steps:
            state, told = self._shown.get(step.name, ("waiting", 0.0))
            if step.state == state and (state != "running" or now - told < SPARSE):
                continue
            self._shown[step.name] = (step.state, now)
            self._stream.write(f"{self._printable(step_line(step, now, 200, self._marks))}\n")

    def _printable(self, line: str) -> str:
        return line.encode(self._stream.encoding or "utf-8", "replace").decode(self._stream.encoding or "utf-8")
