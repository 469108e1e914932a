"""Tokens that ``tenants.yaml`` refers to: a tenant's own, in place of the one that the process was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.auth.access_tokens import AccessTokenRefused, AccessTokens
from app.auth.secret_reference import SecretUnreadable
from app.tenants.access import Access


class TenantTokens:
    """:class:`app.auth.access_tokens.AccessTokens`: what the team's tenant refers to, else what ``others`` have. The file is
    read at each use, so a token that is replaced there is taken up at once."""

    def __init__(
        self, platform: str, access: Callable[[], Access], others: AccessTokens | None, environment: Mapping[str, str]
    ) -> None:
        self._platform, self._access, self._others, self._environment = platform, access, others, environment

    async def token(self, team: str) -> str:
        tenant = self._access().tenants.of(self._platform, team)
        reference = tenant.tokens.get(self._platform) if tenant else None
        if tenant is not None and reference is not None:
            try:
                return reference.read(self._environment)
            except SecretUnreadable as error:
                raise AccessTokenRefused(
                    f"the {self._platform} token of tenant {tenant.name} cannot be read: {error}"
                ) from None
        if self._others is None:
            raise AccessTokenRefused(f"there is no {self._platform} token for team {team}: install the assistant there")
        return await self._others.token(team)

    async def rejected(self, team: str, token: str) -> None:
        if self._others is not None:
            await self._others.rejected(team, token)

    async def aclose(self) -> None:
        if self._others is not None:
            await self._others.aclose()
