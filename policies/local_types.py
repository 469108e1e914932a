"""The types of the local target's dynamic resources (``infra/local/``), and what its processes are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from pathlib import PurePosixPath
from typing import Final

from policies.resource import View

SECRETS: Final = "pulumi-python:dynamic/local:Secrets"
CERTIFICATE: Final = "pulumi-python:dynamic/local:Certificate"
MODEL: Final = "pulumi-python:dynamic/local:Model"
SUPERVISOR: Final = "pulumi-python:dynamic/local:Supervisor"
PROCESS: Final = "pulumi-python:dynamic/local:Process"
PORTS: Final = "pulumi-python:dynamic/local:Ports"
LOCAL_TYPES: Final = (SECRETS, CERTIFICATE, MODEL, SUPERVISOR, PROCESS, PORTS)

REDIS_SERVERS: Final = re.compile(r"(?:redis|valkey)-server[0-9.]*")


class Role(Enum):
    """What a process does, decided by its command."""

    REDIS = "redis"
    INFERENCE = "app.inference"
    GATEWAY = "app.gateway"
    WORKER = "app.pipeline"
    SLACK_TRANSPORT = "app.platforms.slack.socket_mode"
    FEISHU_TRANSPORT = "app.platforms.feishu.long_connection"
    OTHER = "other"


# What other machines have no business with. A transport reaches out, and listens for its probes alone.
INTERNAL_ROLES: Final = frozenset({Role.REDIS, Role.INFERENCE, Role.WORKER, Role.SLACK_TRANSPORT, Role.FEISHU_TRANSPORT})


def role_of(view: View) -> Role:
    """Raises :class:`policies.resource.NotKnown` or ``Malformed`` for a command that cannot be read."""
    return role_of_command(view.texts("command") or [])


def role_of_command(command: Sequence[str]) -> Role:
    if command and REDIS_SERVERS.fullmatch(PurePosixPath(command[0]).name):
        return Role.REDIS
    modules = {command[position + 1] for position, word in enumerate(command[:-1]) if word == "-m"}
    return next((role for role in Role if role.value in modules), Role.OTHER)
