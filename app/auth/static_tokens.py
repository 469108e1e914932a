"""A token that somebody entered: it never expires and is never refreshed."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.auth.access_tokens import AccessTokenRefused

# Of a token that the platform did not accept: then it is tried again. Slack says ``invalid_auth`` to a good token, too, that
# comes from an address which the workspace does not allow, and that somebody mends without a word to us.
REJECTED_SECONDS = 60.0


class StaticTokens:
    """One token for every team, as Slack's bot token of an application that is installed in one workspace by hand."""

    def __init__(self, platform: str, setting: str, token: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``setting``: the name of the setting that holds the token, for people."""
        self._platform, self._setting, self._token = platform, setting, token
        self._monotonic = monotonic
        self._refused_until = 0.0

    def __repr__(self) -> str:
        return f"StaticTokens({self._platform!r}, {self._setting!r})"

    async def token(self, team: str) -> str:
        if self._monotonic() < self._refused_until:
            raise AccessTokenRefused(
                f"{self._platform} does not accept {self._setting}: it was revoked, is another application's, or comes from an "
                f"address that the workspace does not allow. Install the application there again and enter the new token"
            )
        return self._token

    async def rejected(self, team: str, token: str) -> None:
        if token == self._token:
            self._refused_until = self._monotonic() + REJECTED_SECONDS

    async def aclose(self) -> None:
        """Nothing is open."""
