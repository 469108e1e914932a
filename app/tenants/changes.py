"""What is different between two states of tenants and roles, told by names alone: no member, no text, no digest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from app.tenants.access import Access


@dataclass(frozen=True, slots=True)
class Change:
    """``fields``: what of it is different, where it is neither new nor gone."""

    kind: Literal["tenant", "role"]
    name: str
    what: Literal["added", "removed", "changed"]
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.what}" + (f" ({', '.join(self.fields)})" if self.fields else "")


def changes(old: Access, new: Access) -> tuple[Change, ...]:
    tenants = _compared("tenant", *({tenant.name: tenant for tenant in access.tenants} for access in (old, new)))
    roles = _compared("role", *({role.name: role for role in access.roles.roles} for access in (old, new)))
    return (*tenants, *roles)


def _compared(kind: Literal["tenant", "role"], old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[Change]:
    yield from (Change(kind, name, "added") for name in new if name not in old)
    yield from (Change(kind, name, "removed") for name in old if name not in new)
    both: Callable[[str], tuple[str, ...]] = lambda name: _different(old[name], new[name])  # noqa: E731
    yield from (Change(kind, name, "changed", both(name)) for name in new if name in old and both(name))


def _different(old: Any, new: Any) -> tuple[str, ...]:
    compared = [entry.name for entry in fields(old) if entry.compare]
    return tuple(name for name in compared if getattr(old, name) != getattr(new, name))
