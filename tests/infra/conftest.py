"""A stack's directory, free ports, and a small server that stands in for the application's processes."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pulumi
import pytest
from collector import collector_off
from hooks_taken import hooks_taken
from pulumi.runtime import mocks

from infra.local.health import Check
from infra.local.layout import SUPERVISOR, Layout
from infra.local.processes import owned_by
from infra.settings import Settings

# Ready when it serves; BEHAVIOUR makes it crash at once, refuse to be ready, or ignore SIGTERM.
STAND_IN = """
import http.server, os, signal, sys, time
behaviour = os.environ.get("BEHAVIOUR", "")
print("starting as", os.environ.get("GREETING", "nobody"), flush=True)
if behaviour == "crash":
    sys.exit("the configuration is wrong: GREETING is empty")
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = behaviour != "unready"
        body = b'{"status": "ok"}' if ready else b'{"status": "unready", "reason": "the model is missing"}'
        self.send_response(200 if ready else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer.allow_reuse_address = True
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@dataclass(frozen=True)
class StackOnDisk:
    """A stack's directory, and properties of processes in it as the engine hands them to a provider."""

    root: Path
    script: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def process(self, name: str, port: int, *, ready_within: float = 20.0, **environment: str) -> dict[str, Any]:
        return {
            "stateDirectory": str(self.root),
            "process": name,
            "command": [sys.executable, "-I", "-S", str(self.script)],
            "environment": {"PATH": "/usr/bin:/bin", "PORT": str(port), **environment},
            "check": Check(kind="http", port=port, ready_within=ready_within).as_input(),
            "configurationFiles": {},
            "digests": {"code": "1"},
            "stopSeconds": 3,
        }


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[StackOnDisk]:
    """Everything that carries the stack's marker is ended afterwards, whatever the test did."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    root = tmp_path / "state"
    yield StackOnDisk(root, script)
    # supervisord first, or it would start the others again.
    for owned in sorted(owned_by(root), key=lambda owned: owned.name != SUPERVISOR):
        with contextlib.suppress(psutil.Error):
            psutil.Process(owned.pid).kill()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Ports that nobody listens on, each another one."""
    given: set[int] = set()

    def choose() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return choose


class KubernetesObjects(mocks.Mocks):
    """What components registered for a cluster, as a provider receives it: ``objects[kind][name]``."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}
        self.status: dict[str, Any] = {}  # by kind, as a cluster would answer

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ.startswith("kubernetes:"):
            kind, metadata = args.typ.rsplit(":", 1)[-1], args.inputs["metadata"]
            self.objects.setdefault(kind, {})[metadata["name"]] = args.inputs
            return args.name, {**args.inputs, **({"status": self.status[kind]} if kind in self.status else {})}
        return args.name, args.inputs

    def call(self, args: mocks.MockCallArgs) -> dict[Any, Any]:
        raise AssertionError(f"unexpected call {args.token}")

    async def rendered(self, make: Callable[[], Any]) -> dict[str, dict[str, dict[str, Any]]]:
        """What ``make`` registered. Pulumi ties its state to the running event loop, so it is set up here."""
        mocks.set_mocks(self, project="assistant", stack="cluster")
        with collector_off():
            make()
            await pulumi.runtime.stack.wait_for_rpcs()
        return self.objects


@pytest.fixture
def kubernetes_objects() -> KubernetesObjects:
    return KubernetesObjects()


@pytest.fixture
def cluster_settings() -> Callable[..., Settings]:
    """A cluster stack's settings, from groups in the words of a stack file."""

    def make(**groups: Any) -> Settings:
        return Settings.model_validate({"stateDirectory": "state", "target": "cluster", **groups})

    return make


@pytest.fixture(autouse=True)
def hooks() -> Iterator[list[pulumi.ResourceHook]]:
    """The resource hooks that a program registers."""
    with hooks_taken() as registered:
        yield registered
