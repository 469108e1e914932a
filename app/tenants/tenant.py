"""Tenants: each with its teams on the platforms, its prompt, quota, task library, groups, keys and tokens of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from app.auth.api_keys import TenantKey
    from app.auth.principal import Principal
    from app.auth.secret_reference import SecretReference
    from app.tasks.template import Match

DEFAULT: Final = "default"  # the one tenant where there is no file
EVERY_TEAM: Final = "*"  # each that no other tenant names


class Tasks(Protocol):
    """A task library, as :class:`app.tasks.template.Library`."""

    @property
    def templates(self) -> tuple[Any, ...]: ...

    def match(self, text: str) -> Match | None: ...


class TasksRefused(Exception):
    """The library has mistakes, a line for each."""


# The folder's library; None is the one that comes with the package. Raises TasksRefused.
Libraries = Callable[[Path | None], Tasks]


@dataclass(frozen=True, slots=True)
class NoTasks:
    """The library of a process that carries out no task, and so need not import what compiles patterns."""

    templates: tuple[Any, ...] = ()

    def match(self, text: str) -> Match | None:
        return None


def no_tasks(_folder: Path | None) -> Tasks:
    return NoTasks()


@dataclass(frozen=True, slots=True)
class Quota:
    messages_per_minute: int | None = None  # None: as many as come


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """``teams`` as ``platform:team``. ``tasks`` is the folder of ``library``, and ``tasks_digest`` of what stands in it, by
    which two states of it are compared: a compiled pattern equals no other. ``tokens``: by platform."""

    name: str
    teams: frozenset[str]
    instructions: str = ""
    quota: Quota = Quota()
    tasks: Path | None = None
    tasks_digest: str = ""
    library: Tasks = field(default_factory=NoTasks, compare=False)
    groups: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    keys: tuple[TenantKey, ...] = ()
    tokens: Mapping[str, SecretReference] = field(default_factory=lambda: MappingProxyType({}))

    def groups_of(self, sender: str) -> frozenset[str]:
        """The groups that name ``sender``, ``platform:team:user``."""
        return frozenset(name for name, members in self.groups.items() if sender in members)


class Tenants:
    """All of them; no team and no name is in two, as :mod:`app.tenants.file` makes sure."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        self._by_name = {tenant.name: tenant for tenant in tenants}
        self._by_team = {team: tenant for tenant in self for team in tenant.teams}

    def __iter__(self) -> Iterator[Tenant]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def of(self, platform: str, team: str) -> Tenant | None:
        """Whose team it is; None: nobody's, and then there is nothing to be done for it."""
        return self._by_team.get(f"{platform}:{team}") or self._by_team.get(EVERY_TEAM)

    def of_event(self, key: str) -> Tenant | None:
        """Whose event it is, by :attr:`app.pipeline.event.Event.key`: ``platform:team:id``."""
        platform, _, rest = key.partition(":")
        team, colon, _ = rest.partition(":")
        return self.of(platform, team) if colon else None

    def named(self, name: str) -> Tenant | None:
        return self._by_name.get(name)

    @property
    def keys(self) -> Iterator[TenantKey]:
        return (key for tenant in self for key in tenant.keys)


def may_see(principal: Principal, event_key: str, tenants: Tenants) -> bool:
    """Whether the event is one of the principal's tenant. To everybody else it does not exist."""
    if principal.tenant is None:
        return True
    owner = tenants.of_event(event_key)
    return owner is not None and owner.name == principal.tenant
