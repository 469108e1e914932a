"""A stack of one test run, on the real engine: a backend, a passphrase and a name of its own. Each target adds what it has."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tools.pulumi.environment import engine_environment
from tools.stack.engine import Engine, policy_pack
from tools.stack.place import place_of

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
class Deployment(ABC):
    """``folder`` is the run's own. ``screens`` keeps all that any command showed, for the canary."""

    engine: Engine
    folder: Path
    platform_host: str
    platform_port: int
    screens: list[str] = field(default_factory=list)
    up_seconds: int = 300

    @abstractmethod
    def secrets(self) -> dict[str, str]:
        """Every secret value of the stack, by name: what must stand nowhere in plain."""

    @abstractmethod
    def written(self) -> dict[str, str]:
        """What the stack has written where people look, by place: logs above all."""

    @abstractmethod
    def leftovers(self) -> list[str]:
        """What is still there after a destroy."""

    def secret(self, name: str) -> str:
        return self.secrets()[name]

    def pulumi(self, command: str, *arguments: str) -> Run:
        log = self.folder / f"events-{time.monotonic_ns()}.json"
        start = time.monotonic()
        done = subprocess.run(
            ["pulumi", command, "--stack", self.engine.stack, "--non-interactive", f"--event-log={log}", *arguments],
            cwd=CHECKOUT,
            env=dict(self.engine.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=self.up_seconds,
        )
        self.screens.append(done.stdout)
        events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return Run(code=done.returncode, screen=done.stdout, seconds=time.monotonic() - start, events=events)

    def up(self, *, policies: bool = False, unprotect: bool = False) -> Run:
        """The first is run with the policies, as ``make up`` does; the many that mend something need not wait for them."""
        with policy_pack(unprotect=unprotect) if policies else contextlib.nullcontext(()) as pack:
            return self.pulumi("up", "--yes", "--skip-preview", *pack)

    def refresh(self) -> Run:
        return self.pulumi("refresh", "--yes", "--skip-preview", *place_of(self.engine).refresh_flags)

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


def engine_of(folder: Path, name: str, environment: Mapping[str, str]) -> Engine:
    """An engine whose backend and passphrase lie under ``folder``."""
    (folder / "backend").mkdir()
    (folder / "passphrase").write_text("of this test run alone")
    mine = {
        "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder / "passphrase"),
        "PULUMI_DEBUG_COMMANDS": "true",  # brings --event-log
    }
    environment = engine_environment(CHECKOUT, environment=environment) | mine
    return Engine(checkout=CHECKOUT, stack=f"test-{name}-{os.getpid()}", environment=environment)


def free_ports(*names: str, host: str = "127.0.0.1") -> dict[str, int]:
    """A free port for each name, below the range from which the kernel takes the ports of outgoing connections."""
    found: list[int] = []
    candidate = FIRST_PORT + os.getpid() * 7 % PORTS
    while len(found) < len(names):
        candidate = FIRST_PORT + (candidate + 1 - FIRST_PORT) % PORTS
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, candidate))
            found.append(candidate)
    return dict(zip(names, found, strict=True))
