"""A ``local`` stack of one test run: the real engine, with a state, a backend, a passphrase and ports of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from infra.local.layout import STATE_MARKER, Layout
from tools.pulumi.environment import engine_environment
from tools.stack.engine import POLICY_PACK, Engine

CHECKOUT = Path(__file__).resolve().parents[2]
FIRST_PORT, PORTS = 20_000, 10_000


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

    def up(self, *, policies: bool = False) -> Run:
        """The first is run with the policies, as ``make up`` does; the many that mend something need not wait for them."""
        pack = ["--policy-pack", POLICY_PACK] if policies else []
        return self.pulumi("up", "--yes", "--skip-preview", *pack)

    def refresh(self) -> Run:
        return self.pulumi("refresh", "--yes", "--skip-preview")

    def destroy(self) -> Run:
        return self.pulumi("destroy", "--yes", "--skip-preview", "--run-program")

    @property
    def layout(self) -> Layout:
        return Layout(self.state)

    def secret(self, name: str) -> str:
        return (self.layout.secrets / name).read_text().strip()

    def secrets(self) -> dict[str, str]:
        """Every secret value of the stack, by name: what must stand nowhere in plain."""
        return {file.name: file.read_text().strip() for file in self.layout.secrets.iterdir()}

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
        """Every process of this deployment, whoever its parent is, by the mark in its environment."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(STATE_MARKER) == str(self.state):
                    found.append(process)
        return found


def make_deployment(folder: Path, name: str, **settings: object) -> Deployment:
    state = folder / "state"
    environment = engine_environment(CHECKOUT, environment=os.environ) | {
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder / "passphrase"),
        "PULUMI_DEBUG_COMMANDS": "true",  # brings --event-log
    }
    (folder / "backend").mkdir()
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
    """A free loopback port for each name, below the range from which the kernel takes the ports of outgoing connections."""
    found: list[int] = []
    candidate = FIRST_PORT + os.getpid() * 7 % PORTS
    while len(found) < len(names):
        candidate = FIRST_PORT + (candidate + 1 - FIRST_PORT) % PORTS
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", candidate))
            found.append(candidate)
    return dict(zip(names, found, strict=True))
