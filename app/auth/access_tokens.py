"""What a platform's sending half asks for a token, and how it is told that there is none."""

from __future__ import annotations

from typing import Protocol


class AccessTokenError(Exception):
    """No token could be had. The message names the endpoint's host and the reason, never a credential."""


class AccessTokenRefused(AccessTokenError):
    """No, says the platform (a wrong secret, nothing installed): repeating does not help, a person must look."""


class AccessTokenUnavailable(AccessTokenError):
    """No usable answer came, from the platform or from the store. ``retry_after``: seconds it asked to wait, if it did."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AccessTokens(Protocol):
    """The tokens of one platform. ``team`` is the platform's own name of it (Slack's ``team_id``, Feishu's ``tenant_key``).

    A caller whose token the platform does not accept calls :meth:`rejected`, asks once more and repeats its call once.
    """

    async def token(self, team: str) -> str:
        """Raises :class:`AccessTokenRefused` or :class:`AccessTokenUnavailable`."""

    async def rejected(self, team: str, token: str) -> None:
        """The platform did not accept ``token``: forget it, in every process. A newer one, fetched meanwhile, stays."""

    async def aclose(self) -> None: ...
