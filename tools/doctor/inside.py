"""What a doctor in another place has printed, as an examination. Pure, but for the call itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from app.doctor.finding import Examination, from_json

DOCTOR: Final = ("-m", "app.doctor", "--json")
LONGEST_SECONDS: Final = 300.0  # a model of many gigabytes is read whole
LONGEST_REASON: Final = 300


def arguments(name: str, only: Sequence[str], service: str = "") -> list[str]:
    """Behind ``python``."""
    found = [*DOCTOR, "--name", name, *(["--service", service] if service else [])]
    return [*found, *(word for check in only for word in ("--only", check))]


def ask(name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path | None = None) -> Examination:
    try:
        done = subprocess.run(
            command, env=dict(environment), cwd=directory, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        return unseen(name, f"the doctor there did not end within {LONGEST_SECONDS:.0f} s")
    except OSError as failure:
        return unseen(name, f"{command[0]} cannot be run: {failure.strerror}")
    return read(name, done.stdout, done.stderr)


def read(name: str, output: str, errors: str) -> Examination:
    """``output``: what ``python -m app.doctor --json`` printed, if it did."""
    try:
        return from_json(json.loads(output)["places"][0])
    except (ValueError, KeyError, TypeError, IndexError):
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        return unseen(name, lines[-1][:LONGEST_REASON] if lines else "the doctor there said nothing")


def unseen(name: str, why: str) -> Examination:
    return Examination(place=name, unseen={"doctor": why})
