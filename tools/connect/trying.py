"""Somebody writes to the assistant, and what becomes of it is watched: in the processes' log, then in the event's trace."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from infra.platform_settings import Platform
from tools.connect.asking import Say
from tools.connect.plan import Plan
from tools.connect.sightings import Sighting, sighting
from tools.connect.vendor import Vendor
from tools.stack.assistant import Assistant, AssistantError
from tools.stack.engine import Engine

SETTLE_SECONDS = 2.0  # until the log is followed, at which `tail` names its first file
END_SECONDS = 5.0
IGNORED_AFTER = 3  # so many events that led to nothing are worth a word
Lines = Callable[[float], str | None]


def log_lines(engine: Engine) -> AbstractContextManager[Lines]:
    """Those of ``make logs FOLLOW=1``, from now on."""
    command = [sys.executable, "-m", "tools.stack", "--stack", engine.stack, "logs", "--lines", "0", "--follow"]
    return lines_of(command, engine.checkout, engine.environment)


@contextlib.contextmanager
def lines_of(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Lines]:
    """``lines(seconds)``: the next line that ``command`` prints, "" where none came in time, None when there are no more."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
        process_group=0,  # ^C is for us; what it starts ends with it
    )
    waiting: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            waiting.put(line)
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()

    def lines(seconds: float) -> str | None:
        try:
            line = waiting.get(timeout=seconds)
        except queue.Empty:
            return ""
        if line is None:
            waiting.put(None)  # the end stays the end
        return line

    try:
        yield lines
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(kw_only=True)
class Trial:
    """One round trip. ``seconds``: how long somebody has for it."""

    plan: Plan
    vendor: Vendor
    assistant: Assistant
    say: Say
    seconds: float

    def watch(self, lines: Lines) -> int:
        """0 once an answer was sent, or where nothing can be seen from here; 1 where something is wrong or nothing came, with
        what to look at."""
        deadline, taken, refused = time.monotonic() + self.seconds, 0, 0
        while (left := deadline - time.monotonic()) > 0:
            line = lines(min(left, 1.0))
            if line is None:
                return self._blind()
            seen = sighting(line, self.plan.platform)
            if seen is None:
                continue
            if seen.kind == "refused":
                refused += 1
                if seen.detail == "401":
                    return self._failed("refused", f"the gateway answered 401. {self.vendor.refused(self.plan)}")
                self._line(
                    "refused", f"the gateway answered {seen.detail} to an event of {self.vendor.title}'s; it comes again"
                )
            elif seen.kind == "taken":
                taken += 1
                if taken == IGNORED_AFTER:
                    self._line("arrived", "several events that are none for the assistant: write to it, or mention it")
            elif seen.kind == "not stored":
                self._line("arrived", f"{seen.key}, and could not be stored: {seen.detail}")
            elif seen.kind == "stored":
                self._line("arrived", seen.key)
            elif (code := self._ended(seen)) is not None:
                return code
        if taken:
            return self._failed(
                "nothing", f"Events came, and none led to an answer within {self.seconds:.0f} s. {self._look()}"
            )
        return self._failed("nothing", f"came within {self.seconds:.0f} s. {self._look()}")

    def _ended(self, seen: Sighting) -> int | None:
        """The end of an attempt; None where there is going to be another one."""
        if seen.outcome not in ("done", "dead", "unknown"):
            self._line(seen.outcome or "attempt", seen.detail)
            return None
        trace = self._trace(seen.key)
        for line in trace_lines(trace):
            self._line("trace", line)
        if seen.outcome == "done":
            self._line("answered", f"{seconds_of(trace):.1f} s after it was stored")
            self.say(f"\n{self.vendor.title} is connected.")
            return 0
        if seen.outcome == "unknown":
            return self._failed("unknown", f"{seen.detail}. It may have arrived: look in {self.vendor.title}")
        return self._failed("not sent", seen.detail)

    def _trace(self, key: str) -> dict[str, Any]:
        try:
            return self.assistant.trace(key)
        except AssistantError as error:
            self._line("trace", str(error))
            return {}

    def _blind(self) -> int:
        self._line("not seen", f"the log of this stack cannot be followed from here (make logs{self.plan.option})")
        self._line("look", f"If the assistant answers in {self.vendor.title}, it is connected. If not:\n{self._look()}")
        return 0

    def _look(self) -> str:
        return "Look, in this order:\n" + "\n".join(f"     - {line}" for line in self.vendor.nothing_came(self.plan))

    def _failed(self, label: str, text: str) -> int:
        self._line(label, text)
        return 1

    def _line(self, label: str, text: str) -> None:
        self.say(f"   {label:<11}{text}")


def trace_lines(trace: dict[str, Any]) -> list[str]:
    """Each step, with the seconds since the first."""
    timeline = trace.get("timeline") or []
    lines = []
    for step in timeline:
        after = (_moment(step) - _moment(timeline[0])).total_seconds()
        lines.append(" ".join(filter(None, (f"{after:6.2f} s", step["stage"], step.get("detail")))))
    return lines


def seconds_of(trace: dict[str, Any]) -> float:
    timeline = trace.get("timeline") or []
    return (_moment(timeline[-1]) - _moment(timeline[0])).total_seconds() if timeline else 0.0


def _moment(step: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(step["at"])


def transport_runs(engine: Engine, platform: Platform) -> bool:
    """Whether the stack's state has the process that brings the platform's events."""
    return f"{platform}-transport" in engine.read("stack", "export")
