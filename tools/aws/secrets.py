"""``make secrets STACK=…``: gives every secret of the stack that has none a value, and with ``ROTATE=`` a new one.

What a platform itself makes is taken from where `make connect` put it, or from the environment; where that is another value
than the one that is kept, it takes its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic.alias_generators import to_camel

from infra.aws.naming import secret_name
from infra.aws.secret_writing import current_of, number_of, stages_of, value_of, write
from infra.aws.secrets import secret_names
from infra.aws.session import client, session
from infra.credentials import NAMES as BROUGHT
from infra.credentials import Credentials
from infra.errors import DeploymentError
from infra.settings import Settings
from tools.stack.engine import Engine, EngineError

PLATFORM_SECRETS = ("generic_webhook_secret", "generic_client_secret")
REDIS_USER = "aws:memorydb/user:User"
Say = Callable[[str], None]
SetNumber = Callable[[str, int], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """``rotate``: names whose value is replaced. ``show``: the platform's secrets, on the screen, to be entered there."""

    rotate: tuple[str, ...] = ()
    show: bool = False


def run(engine: Engine, wanted: Wanted, user: str | None, set_number: SetNumber, say: Say) -> int:
    """``user``: of MemoryDB. Raises :class:`EngineError`."""
    settings = engine.settings()
    names = secret_names(settings)
    if unknown := [name for name in wanted.rotate if name not in names]:
        raise EngineError(
            f"{', '.join(unknown)} is no secret of {engine.stack}; it has {', '.join(names)}. Nothing was changed."
        )
    opened = session(settings.aws.region, settings.aws.profile)
    manager, memorydb = client(opened, "secretsmanager"), client(opened, "memorydb")
    places = {name: secret_name(engine.stack, name) for name in names}
    credentials = Credentials(engine.stack, engine.checkout)
    try:
        brought = credentials.brought(names, engine.environment)
        changed = changed_credentials(manager, places, brought)
        if unchanged := [name for name in wanted.rotate if name in BROUGHT and name not in changed]:
            commands = " and ".join(dict.fromkeys(map(credentials.command, unchanged)))
            raise EngineError(f"{', '.join(unchanged)} is the platform's. Enter the new one first: {commands}")
        rotate = (*wanted.rotate, *(name for name in changed if name not in wanted.rotate))
        numbers = numbers_of(manager, places, settings, rotate)
        written = write(manager, memorydb, places, numbers, user, brought)
    except (BotoCoreError, ClientError, DeploymentError) as error:
        raise EngineError(str(error)) from None
    for name, one in written.items():
        say(f"  {name:<24} {'a new value' if one.changed else 'has its value'}, version {one.version}")
        if name in rotate:
            set_number(name, numbers[name])
    if shown := [name for name in PLATFORM_SECRETS if name in names]:
        say(_for_the_platform(manager, places, shown, wanted.show, engine.stack))
    if any(one.changed for one in written.values()):
        say(f"What reads them is rolled by: make up STACK={engine.stack}")
    return 0


def changed_credentials(manager: Any, places: Mapping[str, str], brought: Mapping[str, str]) -> tuple[str, ...]:
    """Those that are kept already, with another value."""
    return tuple(
        name
        for name, value in brought.items()
        if current_of(stages_of(manager, places[name])) is not None and value_of(manager, places[name]) != value
    )


def numbers_of(manager: Any, places: Mapping[str, str], settings: Settings, rotate: Sequence[str]) -> dict[str, int]:
    """The settings' numbers; of what is rotated the next one after those that were written."""
    given = settings.secret_versions.model_dump()
    return {
        name: max(given[name], number_of(stages_of(manager, place))) + 1 if name in rotate else given[name]
        for name, place in places.items()
    }


def redis_user(exported: Mapping[str, Any]) -> str | None:
    """MemoryDB's user whose password is ours, as the state names it; None where the server is somebody else's. Pure."""
    for resource in (exported.get("deployment") or {}).get("resources") or []:
        if resource["type"] == REDIS_USER:
            return str((resource.get("outputs") or resource.get("inputs") or {})["userName"])
    return None


def setting_of(name: str) -> str:
    return f"secretVersions.{to_camel(name)}"


def _for_the_platform(manager: Any, places: Mapping[str, str], names: Sequence[str], show: bool, stack: str) -> str:
    if not show:
        return f"To enter at the platform: {', '.join(names)}; on the screen with make secrets STACK={stack} SHOW=1"
    lines = [f"  {name:<24} {value_of(manager, places[name])}" for name in names]
    return "\n".join(["To enter at the platform:", *lines])
