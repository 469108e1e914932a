"""One compose project: its command line, whichever of docker compose and podman-compose runs here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.images.engine import Engine
from tools.images.errors import ImageError
from tools.images.process import follow

SERVICES = ("reverse-proxy", "gateway", "worker", "ai-service", "redis")  # those that go on running
ONE_SHOTS = ("model", "certificate")
# podman without systemd has nobody to run health checks on time, and says so for each container.
_NOISE = ("systemd connection", "connect to syslog", "Ignored ")


@dataclass(frozen=True)
class Project:
    """``environment_file``: the ``.env``; ``extra_authorities``: whether it names a bundle in EXTRA_CA."""

    engine: Engine
    checkout: Path
    name: str
    environment_file: Path
    extra_authorities: bool
    log: Path

    def up(self, watch: Callable[[str], None]) -> None:
        """Start all; returns when the one-shots are done. Raises :class:`ImageError`."""
        self._run(["up", "--detach"], watch)
        for service in ONE_SHOTS:  # podman-compose goes on after a one-shot that failed
            state = self.state(service)
            if state.get("ExitCode") != 0:
                said = self.engine.said("logs", "--tail", "20", self.container(service))
                raise ImageError(f"the service {service!r} failed with status {state.get('ExitCode')}:\n{said}")

    def down(self, *, volumes: bool, watch: Callable[[str], None] = lambda line: None) -> None:
        self._run(["down", *(["--volumes"] if volumes else [])], watch)

    def container(self, service: str) -> str:
        """The name or id of the service's container. Raises :class:`ImageError` where there is none."""
        label = f"label=com.docker.compose.service={service}"
        project = f"label=com.docker.compose.project={self.name}"
        found = self.engine.output("ps", "--all", "--quiet", "--filter", project, "--filter", label).split()
        if not found:
            raise ImageError(f"the service {service!r} of {self.name} has no container")
        return found[0]

    def state(self, service: str) -> dict[str, object]:
        """What the engine says of the container's state: ``Status``, ``ExitCode`` …"""
        return dict(json.loads(self.engine.output("inspect", "--format", "{{json .State}}", self.container(service))))

    def healthy(self, service: str) -> bool:
        """Whether the service's health check passes now."""
        if self.engine.kind == "podman":
            command = ["podman", "healthcheck", "run", self.container(service)]
            return subprocess.run(command, env=dict(self.engine.environment), capture_output=True, check=False).returncode == 0
        health = self.state(service).get("Health")
        return isinstance(health, dict) and health.get("Status") == "healthy"

    def _run(self, arguments: list[str], watch: Callable[[str], None]) -> None:
        files = ["--file", "app/compose.yaml"]
        if self.extra_authorities:
            files += ["--file", "app/compose.authorities.yaml"]
        command = [*_command(self.engine), "--env-file", str(self.environment_file), "--project-name", self.name, *files]
        quiet = lambda line: None if any(words in line for words in _NOISE) else watch(line)  # noqa: E731
        follow([*command, *arguments], self.engine.environment, self.log, quiet, folder=self.checkout)


def _command(engine: Engine) -> list[str]:
    if engine.kind == "docker":
        if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
            raise ImageError(
                "docker runs here, but `docker compose` does not: install Docker's compose plugin, then try again."
            )
        return ["docker", "compose"]
    if importlib.util.find_spec("podman_compose") is None:
        raise ImageError("podman runs here, and podman-compose is missing: `make environment`, or pip install podman-compose")
    return [sys.executable, "-m", "podman_compose"]
