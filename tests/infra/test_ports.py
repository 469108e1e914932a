"""A taken port is named with its owner, at preview, before anything starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from infra.local import ports
from infra.local.layout import STATE_MARKER
from infra.local.ports import PortsProvider

provider = PortsProvider()


def reasons(stack: Any, **chosen: int) -> list[str]:
    result = provider.check(
        {}, {"stateDirectory": str(stack.root), "ports": {name: float(port) for name, port in chosen.items()}}
    )
    return [failure.reason for failure in result.failures]


def test_free_ports_pass(stack: Any, free_port: Callable[[], int]) -> None:
    assert reasons(stack, gateway=free_port(), redis=free_port()) == []


def test_every_taken_port_is_named_with_the_process_that_has_it_and_the_way_out(
    stack: Any, free_port: Callable[[], int]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("0.0.0.0", 0)) as second:  # noqa: S104
        gateway, worker = first.getsockname()[1], second.getsockname()[1]
        told = reasons(stack, gateway=gateway, redis=free_port(), worker=worker)
    assert len(told) == 2
    assert told[0].startswith(f"port {gateway} (gateway) is taken by process {os.getpid()} (")
    assert psutil.Process().cmdline()[0] in told[0]
    assert told[1].endswith("make set KEY=ports.worker VALUE=<port>")


def test_connections_that_linger_after_their_server_do_not_take_a_port(stack: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # the server's side closes first and stays in TIME_WAIT
    assert reasons(stack, gateway=port) == []


def test_a_port_that_the_stacks_own_process_has_passes_and_another_stacks_is_named(
    stack: Any, free_port: Callable[[], int]
) -> None:
    port = free_port()
    for owner, expected in ((str(stack.root), 0), ("/somewhere/.state/local", 1)):
        environment = {"PORT": str(port), STATE_MARKER: owner}
        with subprocess.Popen(
            [sys.executable, "-I", "-S", str(stack.script)], env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as server:
            try:
                wait_for(port)
                told = reasons(stack, gateway=port)
            finally:
                server.kill()
        assert len(told) == expected
    assert "of the stack in /somewhere/.state/local" in told[0]


def test_a_port_that_is_root_s_is_not_called_taken(stack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ports.socket.socket, "bind", refuse)
    (told,) = reasons(stack, gateway=443)
    assert told.startswith("port 443 (gateway) is for root")
    assert f"from {ports.first_port()} on" in told
    assert told.endswith("make set KEY=ports.gateway VALUE=<port>")


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the server did not start")
