"""Who may do what: roles with members and permissions, from a file that is read once and refused as a whole.

Help is nobody's privilege: it says what the assistant is for, and whoever is denied something else gets to know so by it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from app.pipeline.event import Event
from app.strict_yaml import StrictLoader

EVERYBODY: Final = "everybody"
ASK: Final = "ask"
ADMINISTER: Final = "administer"
ALL: Final = "*"
FIELDS: Final = ("role", "members", "permissions")
SENDER_PARTS: Final = 3  # platform:tenant:sender; the sender may have colons of its own
LARGEST_FILE: Final = 256 * 1024  # bytes


class RolesError(Exception):
    """The roles cannot be used; the message has a line for each mistake: file, role, field, what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    name: str
    members: frozenset[str]
    permissions: frozenset[str]

    @property
    def is_everybodys(self) -> bool:
        return EVERYBODY in self.members


@dataclass(frozen=True, slots=True)
class Roles:
    roles: tuple[Role, ...]

    def permits(self, event: Event, permission: str) -> bool:
        """Whether one of the roles of who sent ``event`` has ``permission``. Pure."""
        sender = f"{event.platform}:{event.tenant}:{event.sender}"
        return any(
            (role.is_everybodys or sender in role.members) and (permission in role.permissions or ALL in role.permissions)
            for role in self.roles
        )


def run(action: str) -> str:
    """The permission to have ``action`` carried out."""
    return f"run:{action}"


def permissions(actions: Iterable[str]) -> tuple[str, ...]:
    """Every permission that there is, for these actions."""
    return (ASK, ADMINISTER, *map(run, sorted(actions)))


def load_roles(path: Path | None, actions: Iterable[str]) -> Roles:
    """Read the file (None: the one that comes with the package). Raises :class:`RolesError`."""
    file = path or Path(__file__).parent / "roles.yaml"
    mistakes: list[str] = []
    allowed = permissions(actions)
    roles = [_role(entry, f"{file.name}: role {number}", allowed, mistakes) for number, entry in _numbered(file, mistakes)]
    names = [role.name for role in roles]
    mistakes.extend(
        f'{file.name}: the name "{name}" is taken twice' for name in sorted({n for n in names if names.count(n) > 1})
    )
    if mistakes:
        raise RolesError("\n".join(mistakes))
    return Roles(tuple(roles))


def _numbered(file: Path, mistakes: list[str]) -> Iterable[tuple[int, Any]]:
    try:
        if file.stat().st_size > LARGEST_FILE:
            mistakes.append(f"{file.name}: is larger than {LARGEST_FILE} bytes")
            return ()
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=StrictLoader)  # noqa: S506 (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{file.name}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mistakes.append(f"{file.name}: not valid YAML: {getattr(error, 'problem', None) or 'see the file'}")
    else:
        if isinstance(content, list):
            return enumerate(content, start=1)
        mistakes.append(f"{file.name}: a list of roles is expected")
    return ()


def _role(entry: Any, place: str, allowed: Sequence[str], mistakes: list[str]) -> Role:
    if not isinstance(entry, dict):
        mistakes.append(f"{place}: a mapping with {', '.join(FIELDS)} is expected")
        return Role(name=place, members=frozenset(), permissions=frozenset())
    mistakes.extend(
        f'{place}: unknown field "{field}"; {_nearest(str(field), FIELDS)}' for field in entry if field not in FIELDS
    )
    name = entry.get("role")
    if not isinstance(name, str) or not name.strip():
        mistakes.append(f"{place}: role: a name is expected")
        name = place
    members, named = (_texts(entry, field, place, mistakes) for field in ("members", "permissions"))
    mistakes.extend(
        f'{place}: members: "{member}" is neither {EVERYBODY} nor platform:tenant:sender'
        for member in members
        if member != EVERYBODY and not _is_sender(member)
    )
    mistakes.extend(
        f'{place}: permissions: unknown permission "{permission}"; {_nearest(permission, (*allowed, ALL))}'
        for permission in named
        if permission not in allowed and permission != ALL
    )
    return Role(name=name, members=frozenset(members), permissions=frozenset(named))


def _is_sender(member: str) -> bool:
    parts = member.split(":", SENDER_PARTS - 1)
    return len(parts) == SENDER_PARTS and all(parts)


def _texts(entry: dict[Any, Any], field: str, place: str, mistakes: list[str]) -> list[str]:
    value = entry.get(field)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    mistakes.append(f"{place}: {field}: a list of texts is expected, with one at least")
    return []


def _nearest(word: str, allowed: Collection[str]) -> str:
    near = difflib.get_close_matches(word, allowed, n=1, cutoff=0.5)
    return (f'did you mean "{near[0]}"? ' if near else "") + f"allowed: {', '.join(allowed)}"
