"""Who calls a route that takes a key or a token, and whether they may: the decision that the edge asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from app.auth.identity import Identities, IdentityRefused, IdentityUnavailable
from app.auth.principal import Principal
from app.gateway.routes import Route
from app.http.errors import ApiError
from app.tenants.access import Access
from app.tenants.tenant import may_see

FORBIDDEN_IDENTITIES: Final = frozenset({"unknown_tenant"})  # genuine, and nobody here: 403, a new token would not help
API_KEY_CODES: Final = frozenset({"invalid_api_key", "expired_api_key"})


class CallerRefused(ApiError):
    """A request is refused because of who sent it. ``principal``: who that is, where it is known."""

    def __init__(
        self, status: int, code: str, message: str, principal: Principal | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, code, message, headers=headers)
        self.principal = principal


class Callers:
    def __init__(self, identities: Identities, access: Callable[[], Access]) -> None:
        self._identities, self._access = identities, access

    async def admit(self, route: Route, parameters: Mapping[str, str], authorization: Sequence[str]) -> Principal:
        """``parameters``: of the path. Raises :class:`CallerRefused` 401 or 403; :class:`app.http.errors.ApiError` 404 for an
        event of another tenant, as for one that never was, and 503 where nobody can tell who it is."""
        try:
            principal = await self._identities.identify(authorization)
        except IdentityRefused as refusal:
            status = 403 if refusal.code in FORBIDDEN_IDENTITIES else 401
            headers = {"WWW-Authenticate": _challenge(refusal.code)} if status == 401 else {}
            raise CallerRefused(status, refusal.code, str(refusal), refusal.principal, headers) from None
        except IdentityUnavailable as error:
            raise ApiError(503, "identity_provider_unavailable", str(error), retry_after=error.retry_after) from None
        access = self._access()
        if not access.roles.permits(principal, route.permission):
            raise _forbidden(principal, route.permission, has_role=access.roles.grants(principal, route.permission))
        if route.event and not may_see(principal, parameters[route.event], access.tenants):
            raise unknown_event()
        return principal


def unknown_event() -> ApiError:
    return ApiError(404, "unknown_event", "no such event: it was never taken, or finished more than a day ago", param="key")


def _forbidden(principal: Principal, permission: str, *, has_role: bool) -> CallerRefused:
    if has_role:
        message = f"the credential is not for this: its scopes lack {permission}"
        headers = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{permission}"'}  # RFC 6750 §3.1
        return CallerRefused(403, "insufficient_scope", message, principal, headers)
    return CallerRefused(403, "permission_denied", f"none of your roles has the permission {permission}", principal)


def _challenge(code: str) -> str:
    """RFC 6750 §3: who showed no token is not told of an error with it."""
    return "Bearer" if code in API_KEY_CODES else 'Bearer error="invalid_token"'
