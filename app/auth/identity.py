"""Who a credential belongs to: the stack's key, a tenant's key or a bearer token, each told by its form and by nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from app.auth.api_keys import ApiKeys, TenantKey, holder
from app.auth.principal import OPERATOR, Principal
from app.tenants.access import Access
from app.tenants.tenant import Tenants

LONGEST_CREDENTIAL: Final = 8 * 1024  # characters; a token with hundreds of groups is longer, and belongs trimmed
# RFC 6750 §2.1.
_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*) *", re.IGNORECASE | re.ASCII)
# A JSON object in base64url begins with these letters, whatever blank stands behind its brace; a third, empty part is alg=none.
_JWT = re.compile(r"e[yw][A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", re.ASCII)


class IdentityRefused(Exception):
    """The credential proves nobody. ``code`` is a stable word, the message fit for the caller."""

    def __init__(self, code: str, message: str, principal: Principal | None = None) -> None:
        super().__init__(message)
        self.code, self.principal = code, principal


class IdentityUnavailable(Exception):
    """Whether the credential is genuine cannot be told now."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a genuine token says. ``tenant`` None: it names none."""

    subject: str
    tenant: str | None
    groups: frozenset[str]
    scopes: frozenset[str]


class Tokens(Protocol):
    """As :class:`app.auth.bearer_tokens.BearerTokens`."""

    async def claims(self, token: str) -> Claims: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


class Identities:
    """``operator``: API_KEY. ``access``: what holds now. ``tokens`` None: no identity provider is set up."""

    def __init__(
        self,
        operator: ApiKeys,
        access: Callable[[], Access],
        tokens: Tokens | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._operator, self._access, self._tokens, self._now = operator, access, tokens, now

    async def identify(self, authorization: Sequence[str]) -> Principal:
        """``authorization``: all headers of that name; two are ambiguous and refused. Raises :class:`IdentityRefused`,
        :class:`IdentityUnavailable`."""
        presented = _presented(authorization)
        tenants = self._access().tenants
        if self._operator.holds(presented):
            return OPERATOR
        if key := holder(tenants.keys, presented):
            return self._of_key(key)
        if self._tokens is None or not _JWT.fullmatch(presented):
            raise _invalid_key()
        # Anew, for the keys may have had to be fetched.
        claims = await self._tokens.claims(presented)
        return _of_token(claims, self._access().tenants)

    def _of_key(self, key: TenantKey) -> Principal:
        principal = Principal(name=f"key:{key.name}", tenant=key.tenant, groups=key.groups, scopes=key.scopes)
        if key.expires is not None and self._now() >= key.expires:
            raise IdentityRefused("expired_api_key", "the API key has expired: ask the operator for a new one", principal)
        return principal


def _of_token(claims: Claims, tenants: Tenants) -> Principal:
    """A token that names no tenant is of the only one that there is; of several it is nobody's."""
    names = [tenant.name for tenant in tenants]
    tenant = names[0] if claims.tenant is None and len(names) == 1 else claims.tenant
    principal = Principal(name=f"jwt:{claims.subject}", tenant=tenant, groups=claims.groups, scopes=claims.scopes)
    if tenant is None or tenant not in names:
        raise IdentityRefused("unknown_tenant", "the token names no tenant of this assistant", principal)
    return principal


def _presented(authorization: Sequence[str]) -> str:
    if len(authorization) != 1:
        raise _invalid_key()
    if len(authorization[0]) > LONGEST_CREDENTIAL:
        message = f"the header Authorization is longer than {LONGEST_CREDENTIAL} characters"
        raise IdentityRefused("token_too_long", message)
    match = _BEARER.fullmatch(authorization[0])
    if match is None:
        raise _invalid_key()
    return match[1]


def _invalid_key() -> IdentityRefused:
    message = "a valid API key or bearer token is required: send it in the header Authorization: Bearer <key>"
    return IdentityRefused("invalid_api_key", message)
