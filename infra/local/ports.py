"""The stack's TCP ports: looked at before anything starts, at ``preview`` as at ``up``."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource, UpdateResult

from infra.local.processes import HOST, stranger_on
from infra.local.provider import LocalProvider, Props, changed_inputs, inputs_of, update_or_replace

IPPORT_RESERVED = 1024  # netinet/in.h
UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


class PortsProvider(LocalProvider):
    """Inputs: ``stateDirectory``, ``ports`` by process name. It takes nothing and so has nothing to give back.

    The engine calls ``check`` before a preview and before an update, and not before a destroy, which must not fail for a port.
    """

    def check(self, _olds: Props, news: Props) -> CheckResult:
        # Without a property's name, or the engine would print all of its value before the reason.
        return CheckResult(news, [CheckFailure("", taken) for taken in taken_ports(news)])

    def create(self, props: Props) -> CreateResult:
        return CreateResult("ports", inputs_of(props))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        return update_or_replace(changed_inputs(olds, news), replaced_by=frozenset())

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(inputs_of(news))


def taken_ports(props: Props) -> list[str]:
    """A line for each port that cannot be had: somebody else has it, or it is root's."""
    told = []
    for name, port in sorted((name, int(port)) for name, port in props["ports"].items()):
        choose = f"make set KEY=ports.{name} VALUE=<port>"
        if is_reserved(port):
            told.append(
                f"port {port} ({name}) is for root: this machine lets others listen from {first_port()} on. "
                f"Choose one from there: {choose}"
            )
        elif stranger := stranger_on(port, Path(props["stateDirectory"])):
            told.append(f"port {port} ({name}) is taken by {stranger}. End it, or choose another port: {choose}")
    return told


def is_reserved(port: int) -> bool:
    """Whether this user may not listen on ``port``, free or not."""
    with socket.socket() as candidate:
        try:
            candidate.bind((HOST, port))
        except PermissionError:
            return True
        except OSError:
            return False
    return False


def first_port() -> int:
    """The lowest port that is not root's (Linux: net.ipv4.ip_unprivileged_port_start)."""
    try:
        return int(UNPRIVILEGED.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return IPPORT_RESERVED


class Ports(Resource, module="local", name="Ports"):
    """Whatever depends on this starts only if all ``ports`` (by process name) can be had."""

    def __init__(
        self, name: str, *, state_directory: Path, ports: Mapping[str, int], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(PortsProvider(), name, {"stateDirectory": str(state_directory), "ports": dict(ports)}, opts)
