"""The stack's TCP ports: looked at before anything starts, at ``preview`` as at ``up``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource, UpdateResult

from infra.local.processes import stranger_on
from infra.local.provider import LocalProvider, Props, changed_inputs, inputs_of, update_or_replace


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
    """A line for each port that somebody else has."""
    return [
        f"port {int(port)} ({name}) is taken by {stranger}. End it, or choose another port: "
        f"make set KEY=ports.{name} VALUE=<port>"
        for name, port in sorted(props["ports"].items())
        if (stranger := stranger_on(int(port), Path(props["stateDirectory"])))
    ]


class Ports(Resource, module="local", name="Ports"):
    """Whatever depends on this starts only if all ``ports`` (by process name) can be had."""

    def __init__(
        self, name: str, *, state_directory: Path, ports: Mapping[str, int], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(PortsProvider(), name, {"stateDirectory": str(state_directory), "ports": dict(ports)}, opts)
