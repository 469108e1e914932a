"""Who may do what, as one: tenants and roles, which name each other and so are loaded and replaced together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.auth.roles import KEY, SHIPPED, TENANT, Roles, read_roles
from app.auth.yaml_form import nearest
from app.tenants.file import OPERATOR, Reader
from app.tenants.tenant import Libraries, Tenants, no_tasks

FILE_REFERENCE: Final = "file"


class AccessError(Exception):
    """Tenants and roles cannot be used; the message has a line for each mistake."""


@dataclass(frozen=True, slots=True)
class Access:
    tenants: Tenants
    roles: Roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The files, and what they are read with. ``libraries``: how a process that carries tasks out loads them
    (:func:`app.tenants.libraries.libraries`); ``environment`` None: secrets are not looked for."""

    tenants_file: Path | None
    roles_file: Path | None
    actions: Iterable[str]
    libraries: Libraries = no_tasks
    environment: Mapping[str, str] | None = field(default_factory=lambda: os.environ, repr=False)

    def load(self) -> Access:
        """Raises :class:`AccessError` with every mistake of both files."""
        mistakes: list[str] = []
        actions = tuple(self.actions)
        reader = Reader(actions=actions, libraries=self.libraries, environment=self.environment)
        tenants = reader.read(self.tenants_file, mistakes)
        roles = read_roles(self.roles_file, actions, mistakes)
        if not mistakes:
            mistakes.extend(_unknown(roles, tenants, (self.roles_file or SHIPPED).name))
        if mistakes:
            raise AccessError("\n".join(mistakes))
        return Access(tenants, roles)


def _unknown(roles: Roles, tenants: Tenants, file: str) -> Iterable[str]:
    """Names of tenants and keys that no tenant has. Groups are not looked for: tokens bring theirs along."""
    names = [tenant.name for tenant in tenants]
    keys = [OPERATOR, *(key.name for key in tenants.keys)]
    for role in roles.roles:
        named = [role.tenant] if role.tenant is not None else []
        named += sorted(member.removeprefix(TENANT) for member in role.members if member.startswith(TENANT))
        for name in named:
            if name not in names:
                yield f'{file}: role "{role.name}": unknown tenant "{name}"; {nearest(name, names)}'
        for key in sorted(member.removeprefix(KEY) for member in role.members if member.startswith(KEY)):
            if key not in keys:
                yield f'{file}: role "{role.name}": unknown key "{key}"; {nearest(key, keys)}'
