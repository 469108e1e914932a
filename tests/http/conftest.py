"""The sample service as a process of its own, on a free port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "sample_server.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Sample:
    def __init__(self, folder: Path, settings: dict[str, object], arguments: list[str]) -> None:
        self.port = free_port()
        self.log = folder / f"sample-{self.port}.log"
        command = [sys.executable, str(SCRIPT), str(self.port), *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, env={**os.environ, "SAMPLE": json.dumps(settings)})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def await_listening(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        pytest.fail(f"the sample service did not start:\n{self.log.read_text()}")

    def send(self, *parts: bytes, timeout: float = 10) -> tuple[bytes, float]:
        """Raw bytes over a connection; what came back until the server closed it, and the seconds that took."""
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            received = b""
            try:
                for part in parts:
                    connection.sendall(part)
                while piece := connection.recv(65536):
                    received += piece
            except ConnectionError:
                pass  # reset: what arrived before counts
        return received, time.monotonic() - begin


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Sample]]:
    started: list[Sample] = []

    def begin(*arguments: str, await_listening: bool = True, **settings: object) -> Sample:
        sample = Sample(tmp_path, settings, list(arguments))
        started.append(sample)
        if await_listening:
            sample.await_listening()
        return sample

    yield begin
    for sample in started:
        sample.process.kill()
        sample.process.wait()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """One service for a module's tests, with short deadlines."""
    limits = {"head_seconds": 0.5, "body_seconds": 0.5, "keep_alive_seconds": 1}
    made = Sample(tmp_path_factory.mktemp("sample"), {"limits": limits}, [])
    made.await_listening()
    yield made
    made.process.kill()
    made.process.wait()
