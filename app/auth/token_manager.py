"""Access tokens, outbound: fetched once, shared by everybody who needs one, renewed before they expire.

Within one process, for a token that may be asked for at any time. What several processes share is
:class:`app.auth.shared_tokens.SharedTokens`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx2

from app.auth.access_tokens import AccessTokenError, AccessTokenRefused, AccessTokenUnavailable
from app.auth.grants import ClientCredentials, Grant
from app.auth.token_endpoint import CALL_SECONDS, TokenEndpoint
from app.auth.token_flights import TokenFlights
from app.http.outbound import client_for

__all__ = ["AccessTokenError", "AccessTokenRefused", "AccessTokenUnavailable", "TokenManager"]

REFRESH_MARGIN_SECONDS = 60.0  # a token that is about to expire may expire on its way


class TokenManager:
    """A valid access token on demand; one for all teams, as :class:`app.auth.access_tokens.AccessTokens`.

    - A token is renewed :data:`REFRESH_MARGIN_SECONDS` before it expires; one that lives no longer than that serves only
      those who waited for it.
    - Single flight: however many ask at once, one request is made and all get its token, or its error. The next call after
      an error asks anew.
    - Validity is measured on the monotonic clock from the moment the request left, so setting the system's clock changes
      nothing. That clock stands still while a laptop sleeps; the platform's 401 and :meth:`invalidate` cover that.

    One event loop; ``client`` is used if given and stays open, otherwise the manager has its own: close it with
    :meth:`aclose` or ``async with``.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        token_url: str,
        grant: Grant | None = None,
        client: httpx2.AsyncClient | None = None,
        timeout_seconds: float = CALL_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grant: Grant = grant if grant is not None else ClientCredentials()
        self._own_client = client is None
        self._client = client if client is not None else client_for(token_url)
        self._endpoint = TokenEndpoint(self._client, token_url, client_id, client_secret, timeout_seconds)
        self._client_id = client_id
        self._monotonic = monotonic
        self._token: str | None = None
        self._renew_at = 0.0
        self._flights = TokenFlights()

    def __repr__(self) -> str:
        return f"TokenManager(client_id={self._client_id!r}, host={self._endpoint.host!r})"

    async def get_access_token(self) -> str:
        """Raises :class:`AccessTokenRefused` or :class:`AccessTokenUnavailable`."""
        if self._token is not None and self._monotonic() < self._renew_at:
            return self._token
        return await self._flights.run("", self._renew)

    def invalidate(self, token: str) -> None:
        """The platform did not accept ``token``: forget it. A newer one, fetched meanwhile by somebody else, stays."""
        if token == self._token:
            self._token = None

    async def token(self, team: str) -> str:
        """The same for every team. Raises as :meth:`get_access_token`."""
        return await self.get_access_token()

    async def rejected(self, team: str, token: str) -> None:
        self.invalidate(token)

    async def aclose(self) -> None:
        await self._flights.aclose()
        if self._own_client:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _renew(self) -> str:
        asked = self._monotonic()
        issued = await self._endpoint.fetch(self._grant)
        self._token, self._renew_at = issued.token, asked + issued.lifetime - REFRESH_MARGIN_SECONDS
        return issued.token
