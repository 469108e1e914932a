"""A ``local`` stack of one test run: a state directory and ports of its own."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import psutil
from deployment import Deployment, engine_of, free_ports

from infra.local.layout import STATE_MARKER, Layout

HOST = "127.0.0.1"


@dataclass(kw_only=True)
class LocalDeployment(Deployment):
    state: Path
    ports: dict[str, int]

    @property
    def layout(self) -> Layout:
        return Layout(self.state)

    def secrets(self) -> dict[str, str]:
        return {file.name: file.read_text().strip() for file in self.layout.secrets.iterdir()}

    def written(self) -> dict[str, str]:
        return {
            str(file.relative_to(self.folder)): file.read_text(errors="replace")
            for folder in (self.layout.logs, self.layout.supervisor, self.folder / "backend")
            for file in folder.rglob("*")
            if file.is_file()
        }

    def leftovers(self) -> list[str]:
        return [str(process) for process in self.processes()]

    def remove(self) -> None:
        super().remove()
        for process in self.processes():
            process.kill()

    def processes(self) -> list[psutil.Process]:
        """Every process of this deployment, whoever its parent is, by the mark in its environment."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(STATE_MARKER) == str(self.state):
                    found.append(process)
        return found


def make_local(folder: Path, name: str, **settings: object) -> LocalDeployment:
    ports = free_ports("gateway", "inference", "redis", "worker", "platform")
    platform = ports.pop("platform")
    deployment = LocalDeployment(
        engine=engine_of(folder, name, os.environ),
        folder=folder,
        platform_host=HOST,
        platform_port=platform,
        state=folder / "state",
        ports=ports,
    )
    deployment.configure(
        target="local",
        stateDirectory=str(deployment.state),
        ports=ports,
        platforms={"generic": {"url": f"http://{HOST}:{platform}"}},
        **settings,
    )
    deployment.engine.prepare()
    return deployment
