"""The way to an assistant that only the cluster's network reaches: a port of this machine, for as long as it is needed."""

from __future__ import annotations

import re
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tools.stack.assistant import AssistantError
from tools.stack.cluster import Cluster, find, is_cluster
from tools.stack.engine import Engine

START_SECONDS = 15.0
PAUSE_SECONDS = 1.0
SERVICE = "svc/gateway"
SERVICE_PORT = 443
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_FORWARDING = re.compile(r"Forwarding from \S+:(\d+) -> \d+")


@contextmanager
def reached(engine: Engine, outputs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """``outputs`` with addresses that answer here, meanwhile. A port of its own: whoever has the one in ``url`` may be
    another stack's gateway."""
    if not needs_forward(engine, outputs):
        yield outputs
        return
    with forwarded(find(engine), 0) as way:
        yield with_port(outputs, way.port)


def forward(engine: Engine, outputs: Mapping[str, Any], port: int | None) -> int:
    """``make forward``: keep it open until ^C, at the port that ``url`` names unless another is given."""
    if not needs_forward(engine, outputs):
        print(f"{outputs.get('url')} is reached without it.")
        return 0
    cluster = find(engine)
    wanted = port or urlsplit(outputs["url"]).port or SERVICE_PORT
    try:
        while True:
            with forwarded(cluster, wanted) as way:
                print(f"{with_port(outputs, way.port)['url']} -> {SERVICE} in {cluster.namespace}, until ^C", flush=True)
                way.process.wait()
            print("The pod that it led to is gone; to another one:", flush=True)
            time.sleep(PAUSE_SECONDS)
    except KeyboardInterrupt:
        print()
        return 0


def needs_forward(engine: Engine, outputs: Mapping[str, Any]) -> bool:
    """A cluster's gateway that the world is not let in to has an address of this machine as its ``url``."""
    return is_cluster(engine) and urlsplit(outputs.get("url") or "").hostname in LOOPBACK


def with_port(outputs: Mapping[str, Any], port: int) -> dict[str, Any]:
    """``outputs`` with every address at ``url``'s host and port moved to ``port``; the name stays, for the certificate."""
    address = urlsplit(outputs["url"])
    before = f"{address.scheme}://{address.netloc}"
    after = f"{address.scheme}://{address.hostname}:{port}"

    def moved(value: Any) -> Any:
        if isinstance(value, str) and (value == before or value.startswith(f"{before}/")):
            return after + value[len(before) :]
        return {key: moved(item) for key, item in value.items()} if isinstance(value, dict) else value

    return {name: moved(value) for name, value in outputs.items()}


@dataclass(frozen=True)
class Way:
    """A forward that is open: the port here, and the process that carries it and ends with the pod behind it."""

    port: int
    process: subprocess.Popen[str]


@contextmanager
def forwarded(cluster: Cluster, port: int) -> Iterator[Way]:
    """A local port that leads to the gateway's Service; 0 takes a free one. Raises :class:`AssistantError`."""
    process = subprocess.Popen(
        cluster.command("port-forward", SERVICE, f"{port or ''}:{SERVICE_PORT}"),
        env=dict(cluster.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,  # ^C is for us; this ends when we are done
    )
    try:
        opened = _opened(process, cluster, port)
        threading.Thread(target=_drain, args=(process,), daemon=True).start()
        yield Way(opened, process)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _opened(process: subprocess.Popen[str], cluster: Cluster, port: int) -> int:
    assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
    deadline, said = time.monotonic() + START_SECONDS, ""
    while time.monotonic() < deadline:
        if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            break
        line = process.stdout.readline()
        if match := _FORWARDING.match(line):
            return int(match[1])
        if not line:
            break
        said = line.strip() or said
    raise AssistantError(explained(said, cluster, port))


def _drain(process: subprocess.Popen[str]) -> None:
    """kubectl writes a line a connection, and stops when nobody reads them."""
    for _ in process.stdout or ():
        pass


def explained(said: str, cluster: Cluster, port: int) -> str:
    if port and "address already in use" in said:
        return f"Port {port} of this machine is taken. Take another: make forward{cluster.make_option} PORT=<port>"
    if "pod" in said.lower().split() or "NotFound" in said:
        return (
            f"The gateway in namespace {cluster.namespace} has no pod that runs ({said}). "
            f"See why: make refresh{cluster.make_option}, make logs{cluster.make_option}"
        )
    return f"kubectl port-forward (context {cluster.context}) failed: {said or f'nothing within {START_SECONDS:.0f} s'}"
