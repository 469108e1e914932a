"""Writes the stack's secrets into Secrets Manager, and the queue's password to MemoryDB, through AWS' API alone: no value
passes through Pulumi, its state or a screen.

Each secret has a number (the setting ``secretVersions``). A value that was written for number n carries the staging label
``assistant-n``, so that writing n a second time, or after an interruption, does nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.credentials import NAMES as BROUGHT
from infra.errors import DeploymentError
from infra.generated.values import successor

CURRENT = "AWSCURRENT"
LABEL = re.compile(r"assistant-(\d+)")
REDIS_PASSWORD = "redis_password"  # noqa: S105 - its name
PATIENCE_SECONDS, PAUSE_SECONDS = 120.0, 3.0  # a user of MemoryDB takes half a minute to change
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Written:
    """``version``: the id that Secrets Manager gave the current value. ``changed``: whether it is a new one."""

    version: str
    changed: bool


def write(
    manager: Any,
    memorydb: Any,
    secrets: Mapping[str, str],
    numbers: Mapping[str, int],
    redis_user: str | None,
    brought: Mapping[str, str],
) -> dict[str, Written]:
    """By name. ``secrets``: the names or ARNs in Secrets Manager; ``redis_user``: whose password ``redis_password`` is, None
    where the queue's server is somebody else's; ``brought``: what a person has of a platform's credentials, none of which is
    ever generated. Raises :class:`DeploymentError`."""
    if missing := [name for name, place in sorted(secrets.items()) if _is_missing(manager, place, name, brought)]:
        raise DeploymentError(
            f"the platform's {', '.join(missing)} has not been entered. By make connect, or in the environment as "
            f"{', '.join(name.upper() for name in missing)}"
        )
    return {
        name: _write_one(
            manager,
            memorydb if name == REDIS_PASSWORD else None,
            place,
            name,
            numbers.get(name, 1),
            redis_user,
            brought.get(name),
        )
        for name, place in sorted(secrets.items())
    }


def _is_missing(manager: Any, place: str, name: str, brought: Mapping[str, str]) -> bool:
    return name in BROUGHT and name not in brought and current_of(stages_of(manager, place)) is None


def _write_one(
    manager: Any, memorydb: Any, place: str, name: str, number: int, redis_user: str | None, brought: str | None
) -> Written:
    stages = stages_of(manager, place)
    current = current_of(stages)
    wanted = f"assistant-{number}"
    # A first value that somebody has written by hand, a platform's own secret say, is the first value; and whose configuration
    # does not know yet of a rotation must not begin another.
    kept = current is not None and (number == 1 or number_of(stages) >= number)
    if kept and current is not None:
        if memorydb is not None and redis_user and not has_password(memorydb, redis_user):
            set_passwords(memorydb, redis_user, [value_of(manager, place)])
        return Written(version=current, changed=False)
    if name == REDIS_PASSWORD and redis_user is None:
        return _of_somebody_elses(place, current)
    if name in BROUGHT and brought is None and current is not None:
        return Written(version=current, changed=False)
    value = brought or successor(name, value_of(manager, place) if current else None)
    if memorydb is not None and redis_user:
        before = [value_of(manager, place)] if current else []
        set_passwords(memorydb, redis_user, [*before, value])  # both, until the last pod has the new one
    put = manager.put_secret_value(SecretId=place, SecretString=value, VersionStages=[CURRENT, wanted])
    _remove_old_labels(manager, place, number)
    return Written(version=put["VersionId"], changed=True)


def _of_somebody_elses(place: str, current: str | None) -> Written:
    """The password of a Redis that the stack did not make is not the stack's to invent."""
    if current is None:
        raise DeploymentError(
            f"the secret {place} is for the password of your Redis, and is empty. Write it, then try again: "
            f"aws secretsmanager put-secret-value --secret-id {place} --secret-string …"
        )
    return Written(version=current, changed=False)


def current_of(stages: Mapping[str, list[str]]) -> str | None:
    """The version that is read; None where there is no value. Pure."""
    return next((version for version, labels in stages.items() if CURRENT in labels), None)


def stages_of(manager: Any, place: str) -> dict[str, list[str]]:
    """Labels by version. Raises :class:`DeploymentError` where the secret is not there."""
    try:
        return dict(manager.describe_secret(SecretId=place).get("VersionIdsToStages") or {})
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            raise DeploymentError(f"the secret {place} is not in Secrets Manager yet: `make up` makes it") from None
        raise


def number_of(stages: Mapping[str, list[str]]) -> int:
    """The highest number that was written; 0 where none was. Pure."""
    matches = (LABEL.fullmatch(label) for labels in stages.values() for label in labels)
    return max((int(match[1]) for match in matches if match), default=0)


def value_of(manager: Any, place: str) -> str:
    return str(manager.get_secret_value(SecretId=place)["SecretString"])


def has_password(memorydb: Any, user: str) -> bool:
    mode = memorydb.describe_users(UserName=user)["Users"][0].get("Authentication") or {}
    return str(mode.get("Type")) == "password"


def set_passwords(memorydb: Any, user: str, passwords: list[str]) -> None:
    """One or two. A user that is being changed is waited for. Raises :class:`DeploymentError`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            memorydb.update_user(UserName=user, AuthenticationMode={"Type": "password", "Passwords": passwords})
        except ClientError as error:
            # The error may repeat what was sent: its code alone is told.
            code = error.response["Error"]["Code"]
            if "InvalidUserState" not in code or time.monotonic() > deadline:
                raise DeploymentError(f"the MemoryDB user {user} cannot be given its password: {code}") from None
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _remove_old_labels(manager: Any, place: str, number: int) -> None:
    """A version that carries a label is never forgotten by AWS."""
    for version, labels in stages_of(manager, place).items():
        for label in labels:
            if (match := LABEL.fullmatch(label)) and int(match[1]) != number:
                manager.update_secret_version_stage(SecretId=place, VersionStage=label, RemoveFromVersionId=version)
