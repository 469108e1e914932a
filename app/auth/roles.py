"""Who may do what: roles with members and permissions, from a file that is read whole and refused as a whole.

Help is nobody's privilege: it says what the assistant is for, and whoever is denied something else gets to know so by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.auth.permissions import ADMINISTER, ALL, ASK, covers, permissions, run
from app.auth.principal import Principal
from app.auth.yaml_form import Form, entries

EVERYBODY: Final = "everybody"
GROUP, TENANT, KEY, SUBJECT = "group:", "tenant:", "key:", "jwt:"  # of a member that is no sender
FIELDS: Final = ("role", "members", "permissions", "tenant")
MEMBERS: Final = f"{EVERYBODY}, platform:team:user, {GROUP}<name>, {TENANT}<name>, {KEY}<name> or {SUBJECT}<subject>"
SENDER_PARTS: Final = 3  # platform:team:user; the user may have colons of its own
SHIPPED: Final = Path(__file__).parent / "roles.yaml"
_NAME = re.compile(r"\S(?:.{0,62}\S)?")

__all__ = ["ADMINISTER", "ALL", "ASK", "EVERYBODY", "Role", "Roles", "RolesError", "load_roles", "permissions", "run"]


class RolesError(Exception):
    """The roles cannot be used; the message has a line for each mistake: file, role, field, what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """``tenant``: whose members alone have the role; None: whoever is a member."""

    name: str
    members: frozenset[str]
    permissions: frozenset[str]
    tenant: str | None = None

    @property
    def is_everybodys(self) -> bool:
        return EVERYBODY in self.members

    def is_of(self, titles: frozenset[str], tenant: str | None) -> bool:
        return not self.members.isdisjoint(titles) and self.tenant in (None, tenant)


@dataclass(frozen=True, slots=True)
class Roles:
    roles: tuple[Role, ...]

    def permits(self, principal: Principal, permission: str) -> bool:
        """Whether one of the principal's roles has ``permission``, and its credential is not limited to less. Pure."""
        if principal.scopes is not None and not covers(principal.scopes, permission):
            return False
        return self.grants(principal, permission)

    def grants(self, principal: Principal, permission: str) -> bool:
        """As :meth:`permits`, whatever the credential is limited to."""
        titles = _titles(principal)
        return any(role.is_of(titles, principal.tenant) and covers(role.permissions, permission) for role in self.roles)


def load_roles(path: Path | None, actions: Iterable[str]) -> Roles:
    """Read the file (None: the one that comes with the package). Raises :class:`RolesError`."""
    mistakes: list[str] = []
    roles = read_roles(path, actions, mistakes)
    if mistakes:
        raise RolesError("\n".join(mistakes))
    return roles


def read_roles(path: Path | None, actions: Iterable[str], mistakes: list[str]) -> Roles:
    """As :func:`load_roles`, with what is wrong in ``mistakes``: then the roles are of no use."""
    file = path or SHIPPED
    allowed = (*permissions(actions), ALL)
    roles = [_role(entry, allowed) for entry in entries(file, FIELDS, "role", mistakes)]
    names = [role.name for role in roles]
    mistakes.extend(
        f'{file.name}: the name "{name}" is taken twice' for name in sorted({n for n in names if n and names.count(n) > 1})
    )
    return Roles(tuple(roles))


def _titles(principal: Principal) -> frozenset[str]:
    """All words by which a role may name ``principal`` among its members. A name has a prefix of its kind (a platform's,
    ``key:``, ``jwt:``), so no sender and no subject can take the form of a group or a tenant."""
    tenant = {f"{TENANT}{principal.tenant}"} if principal.tenant is not None else set()
    return frozenset({EVERYBODY, principal.name, *tenant, *(f"{GROUP}{group}" for group in principal.groups)})


def _role(entry: Form, allowed: Sequence[str]) -> Role:
    name = entry.text("role", pattern=_NAME, expected="a name is expected, of at most 64 characters")
    members = entry.texts("members")
    for member in members:
        if not _is_member(member):
            entry.wrong("members", f'"{member[:80]}" is none of {MEMBERS}')
    named = entry.choices("permissions", allowed, "permission")
    tenant = entry.text("tenant", expected="the name of a tenant is expected") if entry.has("tenant") else None
    return Role(name=name, members=frozenset(members), permissions=frozenset(named), tenant=tenant)


def _is_member(member: str) -> bool:
    for prefix in (GROUP, TENANT, KEY, SUBJECT):
        if member.startswith(prefix):
            return len(member) > len(prefix)
    parts = member.split(":", SENDER_PARTS - 1)
    return member == EVERYBODY or (len(parts) == SENDER_PARTS and all(parts))
