"""Runs the steps of the set-up, each as soon as those before it are done, and keeps what each writes in a log of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f]")
PERCENT = re.compile(r"\b(\d{1,3}) ?%")
GRACE = 5.0  # seconds for a step to end when another has failed

Action = Callable[["Step"], None]


class StepError(Exception):
    """A step failed; the message is the last of what it wrote."""


@dataclass(kw_only=True)
class Step:
    """`run` raises `StepError`. The display reads `state`, `line` and `percent` while the step works."""

    name: str
    run: Action
    after: Sequence[str] = ()
    state: str = "waiting"  # -> running -> done | failed | stopped
    line: str = ""
    percent: int | None = None
    started: float = 0.0
    seconds: float = 0.0
    problem: str = ""
    log: Path | None = None
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    def saw(self, text: str) -> None:
        """Take note of a line that the step wrote."""
        line = TERMINAL_CODES.sub("", text).strip()
        if not line:
            return
        found = PERCENT.search(line)
        self.percent = min(100, int(found.group(1))) if found else None
        self.line = line


def run_command(step: Step, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> str:
    """Run one command of a step; its last line of standard output. Raises `StepError` with its last lines."""
    assert step.log is not None  # noqa: S101 - run_all has set it
    written: list[str] = []
    said: list[str] = []
    complained: list[str] = []
    with (
        step.log.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
        ) as child,
    ):
        step.children.append(child)
        lock = threading.Lock()

        def pump(stream: Sequence[str], keep: list[str], last: list[str]) -> None:
            for text in stream:
                with lock:
                    log.write(text)
                    log.flush()
                    step.saw(text)
                    keep.append(text.strip())
                    last.append(TERMINAL_CODES.sub("", text).rstrip())

        readers = [
            threading.Thread(target=pump, args=(child.stdout, written, said)),
            threading.Thread(target=pump, args=(child.stderr, [], complained)),
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    if child.returncode:
        # Errors last: which of two streams was written to first, nobody knows who reads both.
        raise StepError("\n".join(line for line in (*said, *complained) if line)[-4000:] or f"exit code {child.returncode}")
    return next((line for line in reversed(written) if line), "")


def run_all(steps: Sequence[Step], logs: Path, watch: Callable[[], None], interval: float) -> bool:
    """Run all steps, those that can at once. When one fails the others are ended. `watch` is called every `interval` s."""
    logs.mkdir(parents=True, exist_ok=True)
    failed = threading.Event()

    def work(step: Step) -> None:
        step.started = time.monotonic()
        step.state = "running"
        try:
            step.run(step)
            step.state = "stopped" if failed.is_set() else "done"
        except StepError as error:
            step.problem = str(error)
            step.state = "stopped" if failed.is_set() else "failed"
        except OSError as error:
            step.problem = f"{error.strerror}: {error.filename}"
            step.state = "failed"
        except Exception as error:  # a mistake of ours must not leave the others waiting for ever
            step.problem = f"{type(error).__name__}: {error}"
            step.state = "failed"
        step.seconds = time.monotonic() - step.started
        if step.state == "failed":
            failed.set()

    threads: dict[str, threading.Thread] = {}
    try:
        while not failed.is_set() and any(step.state in ("waiting", "running") for step in steps):
            done = {step.name for step in steps if step.state == "done"}
            for step in steps:
                if step.name not in threads and done.issuperset(step.after):
                    step.log = logs / f"{step.name}.log"
                    step.log.unlink(missing_ok=True)
                    threads[step.name] = threading.Thread(target=work, args=(step,), daemon=True)
                    step.state = "running"
                    threads[step.name].start()
            watch()
            failed.wait(interval)
    finally:
        failed.set()  # also when a person interrupts: whatever ends from here on was stopped
        while any(thread.is_alive() for thread in threads.values()):
            end(steps)  # again, because a step may just have started its next command
            time.sleep(interval)
        watch()
    return all(step.state == "done" for step in steps)


def end(steps: Sequence[Step]) -> None:
    """End the commands that still run, kindly first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        running = [child for step in steps for child in step.children if child.poll() is None]
        for child in running:
            try:
                os.killpg(child.pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + GRACE
        while any(child.poll() is None for child in running) and time.monotonic() < deadline:
            time.sleep(0.02)
