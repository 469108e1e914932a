"""A whole assistant in real processes: a gateway and workers that can be killed, stopped and started again one by one."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from generic.faulty_server import Answer, FaultyServer
from prometheus_client.parser import text_string_to_metric_families

API_KEY = "canary-api-key-0123456789"
ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0  # on a busy machine
NUMBER = re.compile(r"number (\d+)\?")


class Model:
    """Answers at once with the number that the question asks about, so that an answer shows to which question it belongs.
    ``delay`` in seconds; ``asked`` the numbers in order; ``hook`` is called with each before it is answered."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.asked: list[int] = []
        self.hook: Callable[[int], None] = lambda number: None
        self._server = FaultyServer("127.0.0.1", 0, self._handle, lambda path: None)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if path != "/predict":
            return Answer(200, {"status": "ready", "digest": "a" * 64})
        # The question stands first in the prompt; what was said before it may follow as context.
        found = NUMBER.search(json.loads(body)["prompt"])
        number = int(found[1]) if found else -1
        self.asked.append(number)
        self.hook(number)
        time.sleep(self.delay)
        return Answer(200, {"prediction": f"This is the answer to {number}."}, {"X-Model-Digest": "a" * 64})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Member:
    """One process. After :meth:`start` it has the same ports as before."""

    def __init__(self, name: str, module: str, environment: dict[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self.port, self.metrics_port = free_port(), free_port()
        self._module = module
        self._environment = environment | {"PORT": str(self.port), "METRICS_PORT": str(self.metrics_port)}
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._module], env=self._environment, stdout=log, stderr=log, cwd=ROOT
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def get(self, path: str) -> httpx2.Response | None:
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)
        except httpx2.HTTPError:
            return None

    @property
    def ready(self) -> bool:
        answer = self.get("/readyz")
        return answer is not None and answer.status_code == 200

    @property
    def alive(self) -> bool:
        answer = self.get("/healthz")
        return answer is not None and answer.status_code == 200

    def metric(self, name: str, **labels: str) -> float | None:
        """The value, summed over the labels that are not named; None where there is no such sample, or no answer."""
        try:
            text = httpx2.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5).text
        except httpx2.HTTPError:
            return None
        found = [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None


class Fleet:
    """``shared``, ``gateway`` and ``worker`` are variables of all processes, of the gateway, of each worker."""

    def __init__(
        self,
        redis: Any,
        model: Model,
        folder: Path,
        *,
        shared: dict[str, str] | None = None,
        gateway: dict[str, str] | None = None,
        worker: dict[str, str] | None = None,
        workers: int = 2,
    ) -> None:
        common = {
            "PATH": os.environ["PATH"],
            "REDIS_URL": redis.url,
            "REDIS_PASSWORD": redis.password,
            "INFERENCE_URL": model.url,
            "INFERENCE_API_KEY": "canary-inference-key",
            **(shared or {}),
        }
        self._redis, self._folder = redis, folder
        self.gateway = Member("gateway", "app.gateway", common | {"API_KEY": API_KEY} | (gateway or {}), folder / "gateway.log")
        own = common | {"LEASE_SECONDS": "2"} | (worker or {})
        self.workers = [
            Member(f"worker-{number}", "app.pipeline", own, folder / f"worker-{number}.log") for number in range(workers)
        ]
        self.url = f"http://127.0.0.1:{self.gateway.port}"

    @property
    def members(self) -> list[Member]:
        return [self.gateway, *self.workers]

    def wait_ready(self) -> None:
        for member in self.members:
            until(lambda member=member: member.ready, START_SECONDS, lambda member=member: member.log.read_text()[-3000:])

    def api(self, method: str, path: str, **options: Any) -> httpx2.Response:
        return httpx2.request(
            method, f"{self.url}{path}", headers={"Authorization": f"Bearer {API_KEY}"}, timeout=10, **options
        )

    def state(self, key: str) -> str:
        """ "" where nothing is known, or nobody says."""
        try:
            answer = self.api("GET", f"/api/v1/events/{key}")
        except httpx2.HTTPError:
            return ""
        return str(answer.json().get("state", ""))

    def timeline(self, key: str) -> list[tuple[str, str]]:
        """Stage and detail of each entry."""
        entries = self.api("GET", f"/api/v1/events/{key}").json()["timeline"]
        return [(entry["stage"], entry.get("detail") or "") for entry in entries]

    def close(self) -> None:
        for member in self.members:
            member.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], seconds: float = 30.0, explain: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)
