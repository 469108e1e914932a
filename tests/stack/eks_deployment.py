"""The stack of a rehearsal (tools/rehearsal), which is up already and stays: its tests look at it through its outputs alone."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployment import Deployment

from infra.aws.session import client, session
from tools.aws import opened
from tools.aws.opened import is_reference
from tools.kubernetes.address import HOST_ADDRESS
from tools.stack.engine import Engine

RECORD = "ASSISTANT_REHEARSAL"  # written by tools/rehearsal/life.py


@dataclass(kw_only=True)
class EksDeployment(Deployment):
    """``authority``: PEM, of what stands for the public authority that signs a load balancer's certificate on AWS."""

    authority: str
    world: Path

    def outputs(self, *, show_secrets: bool = True) -> dict[str, Any]:
        """With values in place of what refers to them in Secrets Manager, as `make ask` and `make outputs` fetch them.
        The references themselves are no secrets; they stand for one that is hidden."""
        given = super().outputs(show_secrets=show_secrets)
        if show_secrets:
            return {**opened.outputs(self.engine.settings(), given), "caCertificate": self.authority}
        return {name: _hidden(value) for name, value in given.items()}

    def secrets(self) -> dict[str, str]:
        manager = client(session(self.engine.settings().aws.region), "secretsmanager")
        names = [entry["Name"] for entry in manager.list_secrets()["SecretList"]]
        return {name.rpartition("/")[2]: manager.get_secret_value(SecretId=name)["SecretString"] for name in names}

    def written(self) -> dict[str, str]:
        return {"the world": self.world.read_text(encoding="utf-8")}

    def leftovers(self) -> list[str]:
        return []  # the rehearsal looks for them itself, after its destroy

    def remove(self) -> None:
        return


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(item) for name, item in value.items()}
    return "[secret]" if is_reference(value) else value


def attached() -> EksDeployment:
    record = json.loads(Path(os.environ[RECORD]).read_text(encoding="utf-8"))
    environment = {**os.environ, **record["environment"]}
    _resolve(record["domain"], record["edge"])
    project = Path(record["project"])
    return EksDeployment(
        engine=Engine(checkout=project, stack=record["stack"], environment=environment),
        folder=project.parent,
        platform_host=HOST_ADDRESS,
        platform_port=record["platformPort"],
        authority=Path(record["authority"]).read_text(encoding="ascii"),
        world=Path(record["world"]),
    )


def _resolve(name: str, address: str) -> None:
    """In this process ``name`` is at ``address``, as Route 53 would say."""
    ask: Callable[..., Any] = socket.getaddrinfo

    def answer(host: Any, *arguments: Any, **named: Any) -> Any:
        return ask(address if host in (name, name.encode()) else host, *arguments, **named)

    socket.getaddrinfo = answer
