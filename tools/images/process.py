"""Running a program, with its last lines in the error when it fails."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.images.errors import ImageError

LAST_LINES = 20


def call(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Standard output of ``command``. Raises :class:`ImageError`."""
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise ImageError(_failed(command, done.returncode, (done.stderr or done.stdout).strip().splitlines()))
    return done.stdout


def follow(
    command: Sequence[str], environment: Mapping[str, str], log: Path, watch: Callable[[str], None], folder: Path | None = None
) -> None:
    """Run ``command``, all that it says into ``log``, each line to ``watch``. Raises :class:`ImageError`."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as written,
        subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as child,
    ):
        try:
            for line in child.stdout or ():
                written.write(line)
                last.append(line.rstrip())
                watch(line.rstrip())
        except BaseException:
            child.terminate()
            raise
    if child.returncode:
        raise ImageError(_failed(command, child.returncode, list(last)) + f"\nThe whole log: {log}")


def _failed(command: Sequence[str], status: int, lines: list[str]) -> str:
    last = [f"  {line}" for line in lines[-LAST_LINES:]]
    return "\n".join([f"`{' '.join(command[:2])}` failed with status {status}:", *last])
