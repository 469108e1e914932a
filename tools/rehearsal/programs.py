"""The programs that a rehearsal runs beside the engine. Each is a record on disk, so that the next one ends what a killed
rehearsal left, and nothing else."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.kubernetes.processes import Program, Supervisor
from tools.rehearsal.errors import RehearsalError

START_SECONDS = 30.0


@dataclass(frozen=True)
class Programs:
    supervisor: Supervisor

    @staticmethod
    def of(records: Path, logs: Path) -> Programs:
        return Programs(Supervisor(records, logs))

    def start(
        self, name: str, command: Sequence[str], listening: tuple[str, int], environ: Mapping[str, str] = os.environ
    ) -> None:
        """Returns when ``listening`` takes connections. Raises :class:`RehearsalError` where it never does."""
        if _answers(listening):
            raise RehearsalError(f"something listens on {listening[0]}:{listening[1]} already, where {name} is to be played")
        self.supervisor.start(Program(name=name, command=tuple(command)), environ)
        self._wait(name, listening)

    def _wait(self, name: str, listening: tuple[str, int]) -> None:
        end = time.monotonic() + START_SECONDS
        while not _answers(listening):
            if self.supervisor.find(name) is None or time.monotonic() > end:
                raise RehearsalError(f"{name} did not start:\n{self.supervisor.last_lines(name)}")
            time.sleep(0.1)

    def stop_all(self, report: Callable[[str], None] = lambda line: None) -> None:
        """Also those of a rehearsal that was killed."""
        for name in self.supervisor.names():
            if self.supervisor.find(name):
                report(f"ending {name}")
            self.supervisor.stop(name)


def _answers(place: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(place, timeout=1):
            return True
    except OSError:
        return False
