"""A ``local`` stack of one test run: a state directory and ports of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil
from deployment import CHECKOUT, Deployment, engine_of, free_ports

from infra.local.layout import AUDIT, PROCESS_MARKER, STATE_MARKER, Layout

HOST = "127.0.0.1"


@dataclass(kw_only=True)
class LocalDeployment(Deployment):
    """``ports``: of the processes that every stack has; ``transport_ports``: of those for connections that go out."""

    state: Path
    ports: dict[str, int]
    transport_ports: dict[str, int]

    @property
    def layout(self) -> Layout:
        return Layout(self.state)

    @property
    def audit(self) -> Path:
        """Where the stack's records lie: in the checkout, as they outlive it."""
        return CHECKOUT / AUDIT / self.engine.stack

    def secrets(self) -> dict[str, str]:
        return {file.name: file.read_text().strip() for file in self.layout.secrets.iterdir()}

    def written(self) -> dict[str, str]:
        return {
            str(file): file.read_text(errors="replace")
            for folder in (self.layout.logs, self.layout.supervisor, self.folder / "backend", self.audit)
            for file in folder.rglob("*")
            if file.is_file()
        }

    def leftovers(self) -> list[str]:
        return [str(process) for process in self.processes()]

    def remove(self) -> None:
        super().remove()
        for process in self.processes():
            process.kill()
        shutil.rmtree(self.audit, ignore_errors=True)

    def process(self, name: str) -> psutil.Process:
        return next(process for process in self.processes() if process.environ().get(PROCESS_MARKER) == name)

    def processes(self) -> list[psutil.Process]:
        """Every process of this deployment, whoever its parent is, by the mark in its environment."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(STATE_MARKER) == str(self.state):
                    found.append(process)
        return found


def make_local(folder: Path, name: str, **settings: object) -> LocalDeployment:
    ports = free_ports("gateway", "inference", "redis", "worker", "platform", "transportSlack", "transportFeishu")
    platform = ports.pop("platform")
    transport_ports = {transport: ports.pop(transport) for transport in ("transportSlack", "transportFeishu")}
    deployment = LocalDeployment(
        engine=engine_of(folder, name, os.environ),
        folder=folder,
        platform_host=HOST,
        platform_port=platform,
        state=folder / "state",
        ports=ports,
        transport_ports=transport_ports,
    )
    deployment.configure(
        target="local",
        stateDirectory=str(deployment.state),
        ports={**ports, **transport_ports},
        platforms={"generic": {"url": f"http://{HOST}:{platform}"}},
        **settings,
    )
    deployment.engine.prepare()
    return deployment
