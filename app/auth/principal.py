"""Who asks: a platform's user, an API key or the bearer of a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from app.pipeline.event import Event
    from app.tenants.tenant import Tenant

PRINCIPAL: Final = "principal"  # request.state of a route that takes an API key or a token


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """``name``: ``slack:T1:U2`` (platform, team, user), ``key:<name>`` or ``jwt:<subject>``. ``tenant``: a name of
    ``tenants.yaml``; None is every tenant, which only the stack's operator has. ``scopes``: the permissions that the credential
    is limited to; None: not limited."""

    name: str
    tenant: str | None
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] | None = None


# Whoever holds API_KEY: the stack's own credential.
OPERATOR: Final = Principal(name="key:operator", tenant=None)


def principal_of(event: Event, tenant: Tenant) -> Principal:
    """Who sent ``event``. ``tenant``: the one that its team belongs to (:meth:`app.tenants.tenant.Tenants.of`)."""
    name = f"{event.platform}:{event.tenant}:{event.sender}"
    return Principal(name=name, tenant=tenant.name, groups=tenant.groups_of(name))
