"""One restricted container of a Fargate task, as ECS' API writes it: nothing to write but memory and what is mounted, no
privileges, bounded logs, a check of its own, time to end.

``no-new-privileges`` cannot be asked for on Fargate (``dockerSecurityOptions`` is for EC2): the images hold no setuid program
and every capability is dropped, which leaves nothing to gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from infra.kubernetes.names import SECRETS_DIRECTORY, USER_ID

LONGEST_STOP_SECONDS = 120  # Fargate's own bound
# Of logs that wait for CloudWatch, within the task's memory. When it is full lines are dropped, rather than a process held up.
LOG_BUFFER = "4m"
SECRETS_MEBIBYTES = 1
TMPFS_OPTIONS = ("noexec", "nosuid", "nodev")
# Fargate counts no failure in the first seconds, then this many before it replaces the task: what a start has in all.
START_PERIOD_SECONDS, CHECK_SECONDS, RETRIES = 300, 30, 10
STARTS_WITHIN_SECONDS = START_PERIOD_SECONDS + CHECK_SECONDS * RETRIES


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory on the task's ephemeral disk. ``path``: the image's VOLUME, whose owner ECS gives it; else root has it."""

    volume: str
    path: str

    def definition(self) -> dict[str, Any]:
        return {"sourceVolume": self.volume, "containerPath": self.path, "readOnly": False}


@dataclass(frozen=True, kw_only=True)
class Check:
    """Is it worth keeping? An address of the process itself; ``retries`` failures in a row end the task."""

    port: int
    path: str
    tls: bool = False
    retries: int = 3

    def command(self) -> list[str]:
        """Python without its site packages: the image has neither curl nor wget, and this is asked for ever."""
        made = "HTTPSConnection" if self.tls else "HTTPConnection"
        # The process made the certificate itself; that it answers is what is asked.
        context = ",context=ssl._create_unverified_context()" if self.tls else ""
        program = (
            f"import http.client as h{',ssl' if self.tls else ''};"
            f"c=h.{made}('127.0.0.1',{self.port},timeout=4{context});"
            f"c.request('GET','{self.path}');raise SystemExit(c.getresponse().status!=200)"
        )
        return ["CMD", "python", "-I", "-S", "-c", program]

    def definition(self) -> dict[str, Any]:
        return {
            "command": self.command(),
            "interval": CHECK_SECONDS,
            "timeout": 10,
            "retries": self.retries,
            "startPeriod": START_PERIOD_SECONDS,
        }


@dataclass(frozen=True, kw_only=True)
class Container:
    """``command``: what runs once the secrets are there. ``secrets``: by environment variable, the secret whose file
    ``<variable>_FILE`` names. ``temporary``: MiB of memory for ``/tmp``. ``stop_seconds``: from SIGTERM to SIGKILL."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, pulumi.Input[str]]
    secrets: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    check: Check | None = None
    mounts: Sequence[Mount] = ()
    temporary: int = 64
    stop_seconds: int

    def __post_init__(self) -> None:
        if not 2 <= self.stop_seconds <= LONGEST_STOP_SECONDS:
            raise ValueError(f"{self.name} takes {self.stop_seconds} s to end; Fargate kills after {LONGEST_STOP_SECONDS}")

    def whole_command(self) -> list[str]:
        if not self.secrets:
            return list(self.command)
        # The values are written after the first `up` has made the secrets: as long as the check lets it, a task waits for them.
        patience = STARTS_WITHIN_SECONDS - 2 * CHECK_SECONDS
        return ["python", "-m", "app.aws.deliver", "--seconds", str(patience), "--", *self.command]

    def definition(
        self, image: pulumi.Input[str], log_group: pulumi.Input[str], region: str, secret_arns: Mapping[str, pulumi.Input[str]]
    ) -> dict[str, Any]:
        """One of ``containerDefinitions``, in which single values may still be outputs. ``secret_arns``: by secret, of which
        those that it reads are named."""
        environment: dict[str, pulumi.Input[str]] = {**self.environment, "AWS_REGION": region}
        tmpfs = [_tmpfs("/tmp", self.temporary)]  # noqa: S108 - the container's own
        if self.secrets:
            environment |= {f"{variable}_FILE": f"{SECRETS_DIRECTORY}/{name}" for variable, name in self.secrets.items()}
            wanted = {name: secret_arns[name] for name in sorted(set(self.secrets.values()))}
            environment |= {
                "SECRET_IDS": pulumi.Output.json_dumps(wanted, sort_keys=True),
                "SECRETS_DIRECTORY": SECRETS_DIRECTORY,
            }
            tmpfs.append(_tmpfs(SECRETS_DIRECTORY, SECRETS_MEBIBYTES))
        return {
            "name": self.name,
            "image": image,
            "essential": True,
            # The images have a CMD and no ENTRYPOINT, so this is all that runs.
            "command": self.whole_command(),
            "user": f"{USER_ID}:{USER_ID}",
            "readonlyRootFilesystem": True,
            "environment": [{"name": name, "value": value} for name, value in sorted(environment.items())],
            "portMappings": [{"containerPort": self.port, "hostPort": self.port, "protocol": "tcp"}] if self.port else [],
            "mountPoints": [mount.definition() for mount in self.mounts],
            "linuxParameters": {
                "capabilities": {"drop": ["ALL"]},
                # The first process gets no default action for SIGTERM, and a shell has no handler: init is the first.
                "initProcessEnabled": True,
                "tmpfs": tmpfs,
            },
            "stopTimeout": self.stop_seconds,
            **({"healthCheck": self.check.definition()} if self.check else {}),
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": log_group,
                    "awslogs-region": region,
                    "awslogs-stream-prefix": self.name,
                    "mode": "non-blocking",
                    "max-buffer-size": LOG_BUFFER,
                },
            },
        }


def _tmpfs(path: str, mebibytes: int) -> dict[str, Any]:
    """In the task's memory, on Fargate since January 2026 (github.com/aws/containers-roadmap/issues/736). Where the image has
    no such path, its mode is 1777: the one user of the container may write."""
    return {"containerPath": path, "size": mebibytes, "mountOptions": list(TMPFS_OPTIONS)}
