"""How a platform's token is renewed, given the one that is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from app.auth.grants import Grant, SlackRotation, TenantAccessToken
from app.auth.token_store import StoredToken

# Below the 30 minutes under which Feishu gives a new one, and long enough to sit out a short outage of its.
FEISHU_MARGIN_SECONDS: Final = 600.0
# Of twelve hours; as early as Slack's own SDK does it, so that an outage of an hour is noticed by nobody.
SLACK_MARGIN_SECONDS: Final = 7200.0


class Renewal(Protocol):
    @property
    def margin_seconds(self) -> float:
        """How long before its end a token is renewed; until its end it may still be used."""

    @property
    def repeatable(self) -> bool:
        """Whether the grant may be used by several processes, and again after an answer was lost: nothing is used up."""

    def grant(self, stored: StoredToken | None) -> Grant | None:
        """None: not without a person."""


@dataclass(frozen=True, slots=True)
class FeishuRenewal:
    """The application's id and secret are all that it takes."""

    margin_seconds: float = FEISHU_MARGIN_SECONDS
    repeatable: bool = True

    def grant(self, stored: StoredToken | None) -> Grant | None:
        return TenantAccessToken()


@dataclass(frozen=True, slots=True)
class SlackRenewal:
    """The refresh token that came with the stored one, if the application has token rotation switched on."""

    margin_seconds: float = SLACK_MARGIN_SECONDS
    repeatable: bool = False

    def grant(self, stored: StoredToken | None) -> Grant | None:
        return SlackRotation(stored.refresh_token) if stored and stored.refresh_token else None
