"""Access tokens, outbound: fetched once, shared by everybody who needs one, renewed before they expire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx2

from app.auth.grants import ClientCredentials, Grant, IssuedToken, MalformedTokenAnswer, error_code
from app.http.outbound import CallFailed, client_for, post

REFRESH_MARGIN_SECONDS = 60.0  # a token that is about to expire may expire on its way


class AccessTokenError(Exception):
    """No token could be had. The message names the endpoint's host and the reason, never a credential."""


class AccessTokenRefused(AccessTokenError):
    """The endpoint answered and says no (a wrong secret, an unknown client): repeating does not help, a person must look."""


class AccessTokenUnavailable(AccessTokenError):
    """The endpoint did not answer, or not usefully. ``retry_after``: seconds it asked to wait, if it did."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TokenManager:
    """A valid access token on demand.

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
        timeout_seconds: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client_id, self._client_secret = client_id, client_secret
        self._url = httpx2.URL(token_url)
        self._grant: Grant = grant if grant is not None else ClientCredentials()
        self._own_client = client is None
        self._client = client if client is not None else client_for(token_url)
        self._timeout = timeout_seconds
        self._monotonic = monotonic
        self._token: str | None = None
        self._renew_at = 0.0
        self._flight: asyncio.Task[str] | None = None

    def __repr__(self) -> str:
        return f"TokenManager(client_id={self._client_id!r}, host={self._url.host!r})"

    async def get_access_token(self) -> str:
        """Raises :class:`AccessTokenRefused` or :class:`AccessTokenUnavailable`."""
        if self._token is not None and self._monotonic() < self._renew_at:
            return self._token
        if self._flight is None:
            self._flight = asyncio.create_task(self._renew())
            self._flight.add_done_callback(self._landed)
        flight = self._flight
        try:
            # Shielded: a caller who gives up must not take the others' token along.
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if flight.cancelled() and not (task and task.cancelling()):
                raise AccessTokenUnavailable("the token manager was closed while a token was on its way") from None
            raise

    def invalidate(self, token: str) -> None:
        """The platform did not accept ``token``: forget it. A newer one, fetched meanwhile by somebody else, stays."""
        if token == self._token:
            self._token = None

    async def aclose(self) -> None:
        if self._flight is not None:
            self._flight.cancel()
        if self._own_client:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _landed(self, flight: asyncio.Task[str]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # seen, also when every caller has gone: no "exception was never retrieved"

    async def _renew(self) -> str:
        asked = self._monotonic()
        issued = await self._fetch()
        self._token, self._renew_at = issued.token, asked + issued.lifetime - REFRESH_MARGIN_SECONDS
        return issued.token

    async def _fetch(self) -> IssuedToken:
        request = self._grant.request(self._client_id, self._client_secret)
        try:
            answer = await post(self._client, self._url, request.body, request.headers, self._timeout)
        except CallFailed as error:
            raise AccessTokenUnavailable(f"token endpoint: {error}") from None
        if answer.status == 200:
            try:
                return self._grant.parse(answer.body)
            except MalformedTokenAnswer as error:
                raise AccessTokenUnavailable(f"the token endpoint {self._url.host} gave no token: {error}") from None
        code = error_code(answer.body)
        message = f"the token endpoint {self._url.host} answered {answer.status}" + (f" ({code})" if code else "")
        if 400 <= answer.status < 500 and answer.status not in (408, 425, 429):
            raise AccessTokenRefused(f"{message}: check the client's id, secret and permissions there")
        raise AccessTokenUnavailable(message, answer.retry_after)
