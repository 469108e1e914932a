"""One request to a platform's token endpoint, and every way it can fail as one of two errors."""

from __future__ import annotations

import httpx2

from app.auth.access_tokens import AccessTokenRefused, AccessTokenUnavailable
from app.auth.grants import Grant, GrantRefused, IssuedToken, MalformedTokenAnswer, error_code
from app.http.outbound import CallFailed, post

CALL_SECONDS = 5.0


class TokenEndpoint:
    """``client`` is the caller's, and stays open."""

    def __init__(
        self, client: httpx2.AsyncClient, url: str, client_id: str, client_secret: str, timeout_seconds: float = CALL_SECONDS
    ) -> None:
        self._client, self._url = client, httpx2.URL(url)
        self._client_id, self._client_secret = client_id, client_secret
        self._timeout = timeout_seconds

    def __repr__(self) -> str:
        return f"TokenEndpoint(client_id={self._client_id!r}, host={self.host!r})"

    @property
    def host(self) -> str:
        return self._url.host

    async def fetch(self, grant: Grant) -> IssuedToken:
        """Raises :class:`AccessTokenRefused` or :class:`AccessTokenUnavailable`."""
        request = grant.request(self._client_id, self._client_secret)
        try:
            answer = await post(self._client, self._url, request.body, request.headers, self._timeout)
        except CallFailed as error:
            raise AccessTokenUnavailable(f"token endpoint: {error}") from None
        if answer.status == 200:
            try:
                return grant.parse(answer.body)
            except MalformedTokenAnswer as error:
                raise AccessTokenUnavailable(f"the token endpoint {self.host} gave no token: {error}") from None
            except GrantRefused as error:
                message = f"the token endpoint {self.host} refuses: {error.code}"
                if error.passing:
                    raise AccessTokenUnavailable(message, answer.retry_after) from None
                raise AccessTokenRefused(f"{message}: check the application's id, secret and permissions there") from None
        code = error_code(answer.body)
        message = f"the token endpoint {self.host} answered {answer.status}" + (f" ({code})" if code else "")
        if 400 <= answer.status < 500 and answer.status not in (408, 425, 429):
            raise AccessTokenRefused(f"{message}: check the client's id, secret and permissions there")
        raise AccessTokenUnavailable(message, answer.retry_after)
