"""Deploys the ``local`` stack once, with the real engine, into a state of its own, and hands it to the tests.

Stack name, ports, backend, passphrase and state directory are the run's own, so a running stack is never touched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import testinfra
import yaml

from tools.pulumi.environment import engine_environment
from tools.stack.assistant import Assistant
from tools.stack.engine import POLICY_PACK, Engine

CHECKOUT = Path(__file__).resolve().parents[2]
SUMMARY = re.compile(r"^\s+([+~-]|\+-) (\d+) (created|updated|deleted|replaced)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One call of the engine: what stood on the screen and what it changed."""

    code: int
    screen: str
    seconds: float
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def changed(self) -> dict[str, str]:
        """Resource name -> operation, of all that was not left alone."""
        return {
            event["resOutputsEvent"]["metadata"]["urn"].rpartition("::")[2]: event["resOutputsEvent"]["metadata"]["op"]
            for event in self.events
            if "resOutputsEvent" in event and event["resOutputsEvent"]["metadata"]["op"] not in ("same", "read")
        }


@dataclass(kw_only=True)
class Deployment:
    """A stack of this test run. ``screens`` keeps all that any command showed, for the canary."""

    engine: Engine
    state: Path
    ports: dict[str, int]
    screens: list[str] = field(default_factory=list)

    def pulumi(self, command: str, *arguments: str) -> Run:
        log = self.state.parent / f"events-{time.monotonic_ns()}.json"
        start = time.monotonic()
        done = subprocess.run(
            ["pulumi", command, "--stack", self.engine.stack, "--non-interactive", f"--event-log={log}", *arguments],
            cwd=CHECKOUT,
            env=dict(self.engine.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        self.screens.append(done.stdout)
        events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return Run(code=done.returncode, screen=done.stdout, seconds=time.monotonic() - start, events=events)

    def up(self) -> Run:
        return self.pulumi("up", "--yes", "--skip-preview", "--policy-pack", POLICY_PACK)

    def refresh(self) -> Run:
        return self.pulumi("refresh", "--yes", "--skip-preview")

    def destroy(self) -> Run:
        return self.pulumi("destroy", "--yes", "--skip-preview", "--run-program")

    def outputs(self, *, show_secrets: bool = True) -> dict[str, Any]:
        return self.engine.outputs(show_secrets=show_secrets)

    def configure(self, **settings: object) -> None:
        """Write settings into the stack's configuration file; what the engine wrote there stays."""
        file = self.engine.configuration
        document = yaml.safe_load(file.read_text()) if file.exists() else {}
        config = document.setdefault("config", {})
        config.update({f"assistant:{name}": value for name, value in settings.items()})
        file.write_text(yaml.safe_dump(document, allow_unicode=True))

    def remove(self) -> None:
        self.engine.configuration.unlink(missing_ok=True)
        for process in self.processes():
            process.kill()

    def processes(self) -> list[psutil.Process]:
        """Every process that runs out of this deployment's state directory, whoever its parent is."""
        found = []
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), *process.environ().values()]
            except psutil.Error:
                continue
            if any(str(self.state) in word for word in words) and process.pid != os.getpid():
                found.append(process)
        return found


def make_deployment(folder: Path, name: str, **settings: object) -> Deployment:
    state = folder / "state"
    environment = engine_environment(CHECKOUT, environment=os.environ) | {
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder / "passphrase"),
    }
    (folder / "passphrase").write_text("of this test run alone")
    engine = Engine(checkout=CHECKOUT, stack=f"test-{name}-{os.getpid()}", environment=environment)
    ports = free_ports("gateway", "inference", "redis", "worker", "platform")
    deployment = Deployment(engine=engine, state=state, ports=ports)
    listening = {process: port for process, port in ports.items() if process != "platform"}
    deployment.configure(
        target="local",
        stateDirectory=str(state),
        ports=listening,
        platforms={"generic": {"url": f"http://127.0.0.1:{ports['platform']}"}},
        **settings,
    )
    engine.prepare()
    return deployment


def free_ports(*names: str) -> dict[str, int]:
    """A free loopback port for each name; all are held until the last is found, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = {name: held.getsockname()[1] for name, held in zip(names, sockets, strict=True)}
    for held in sockets:
        held.close()
    return ports


@pytest.fixture(scope="session")
def engine_installed() -> None:
    if shutil.which("pulumi", path=engine_environment(CHECKOUT, environment=os.environ)["PATH"]) is None:
        pytest.skip("the Pulumi CLI is not installed: make test sets it up")


@pytest.fixture(scope="session")
def deployed(engine_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The stack, brought up once for the whole run. Its removal is checked by test_local_removal.py on one of its own."""
    deployment = make_deployment(tmp_path_factory.mktemp("stack"), "local")
    try:
        run = deployment.up()
        assert run.code == 0, run.screen
        yield deployment
        run = deployment.destroy()
        assert run.code == 0, run.screen
        assert deployment.processes() == []
    finally:
        deployment.remove()


@pytest.fixture
def outputs(deployed: Deployment) -> dict[str, Any]:
    return deployed.outputs()


@pytest.fixture
def assistant(outputs: dict[str, Any]) -> Assistant:
    return Assistant.from_outputs(outputs)


@pytest.fixture(scope="session")
def host() -> testinfra.host.Host:
    return testinfra.get_host("local://")
