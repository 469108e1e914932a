"""The tokens of all teams in Redis, sealed, and the lock under which one of several processes renews one.

The key is ``{assistant}:token:<platform>:<team>``; the steps, each atomic, are in ``token_slot.lua``. Every method raises
:class:`app.pipeline.redis_client.RedisUnavailable` when Redis is away.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.auth.grants import IssuedToken
from app.auth.vault import SealBroken, Vault
from app.pipeline.redis_client import RedisClient, Script
from app.telemetry.logs import get_logger

PREFIX: Final = "{assistant}"
SEALED_NAME: Final = "token"


@dataclass(frozen=True, slots=True)
class StoredToken:
    """Seconds from now: ``renew_in`` and ``expires_in`` (infinite: never; negative: that long ago), ``rejected_ago`` (None: the
    platform has not refused it)."""

    token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    renew_in: float
    expires_in: float
    rejected_ago: float | None


@dataclass(frozen=True, slots=True)
class Slot:
    """What stands there for a team. ``version`` grows with each token that is stored. ``unreadable``: something does, and does
    not open, so ``token`` is None as where nothing is."""

    version: int
    token: StoredToken | None
    unreadable: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """``fence``: the lock is ours, under this number. None: it is held ``wait_seconds`` more, or (0) a newer token is there."""

    fence: int | None
    wait_seconds: float = 0.0


class TokenStore:
    def __init__(self, client: RedisClient, vault: Vault, prefix: str = PREFIX) -> None:
        self._client, self._vault, self._prefix = client, vault, prefix
        self._script = Script((Path(__file__).parent / "token_slot.lua").read_text(encoding="utf-8"))

    async def read(self, platform: str, team: str) -> Slot:
        sealed, version, renew_in, expires_in, rejected_ago = await self._run(platform, team, "read")
        if not sealed:
            return Slot(int(version), None)
        try:
            opened = self._vault.open(_tenant(platform, team), SEALED_NAME, sealed)
        except SealBroken as error:
            get_logger().error("stored_token_unreadable", platform=platform, team=team, reason=str(error))
            return Slot(int(version), None, unreadable=True)
        values = json.loads(opened.plaintext)
        if opened.previous:
            await self._run(
                platform, team, "reseal", version, self._vault.seal(_tenant(platform, team), SEALED_NAME, opened.plaintext)
            )
        token = StoredToken(
            token=values["token"],
            refresh_token=values["refresh_token"],
            renew_in=_seconds(renew_in, math.inf),
            expires_in=_seconds(expires_in, math.inf),
            rejected_ago=_seconds(rejected_ago, 0.0) if rejected_ago else None,
        )
        return Slot(int(version), token)

    async def claim(self, platform: str, team: str, seen: int, lock_seconds: float) -> Claim:
        """The lock, if nobody holds it and the token is still that of version ``seen``."""
        fence, wait = await self._run(platform, team, "claim", seen, math.ceil(lock_seconds * 1000))
        return Claim(int(fence) or None, _seconds(wait, 0.0))

    async def store(
        self, platform: str, team: str, fence: int, issued: IssuedToken, margin: float, elapsed: float = 0.0
    ) -> bool:
        """Whether it was stored, and the lock given back; False: ``fence`` is stale, a newer token stands there.

        ``margin``: how long before its end it is renewed; ``elapsed``: the seconds that it has lived already.
        """
        arguments = self._sealed(platform, team, issued, margin, elapsed)
        return bool(await self._run(platform, team, "store", fence, *arguments) == "stored")

    async def install(self, platform: str, team: str, issued: IssuedToken, margin: float) -> None:
        """As somebody has just given it: over whatever stands there, and whatever is under way."""
        await self._run(platform, team, "install", *self._sealed(platform, team, issued, margin, 0.0))

    async def release(self, platform: str, team: str, fence: int) -> None:
        await self._run(platform, team, "release", fence)

    async def reject(self, platform: str, team: str, version: int) -> None:
        """The platform did not accept the token of that version; a newer one stays as it is."""
        await self._run(platform, team, "reject", version)

    def _sealed(self, platform: str, team: str, issued: IssuedToken, margin: float, elapsed: float) -> tuple[str, str, str]:
        plaintext = json.dumps({"token": issued.token, "refresh_token": issued.refresh_token}).encode()
        expires_in = issued.lifetime - elapsed
        sealed = self._vault.seal(_tenant(platform, team), SEALED_NAME, plaintext)
        # A token that lives no longer than the margin is renewed at half its life, not at every use.
        return sealed, _milliseconds(expires_in - min(margin, issued.lifetime / 2)), _milliseconds(expires_in)

    async def _run(self, platform: str, team: str, act: str, *arguments: str | int) -> Any:
        return await self._client.run(self._script, [f"{self._prefix}:token:{platform}:{team}"], (act, *arguments))


def _tenant(platform: str, team: str) -> str:
    """Whose key seals: the team's, not that of the tenant it is listed under, which a line in a file may change."""
    return f"{platform}:{team}"


def _milliseconds(seconds: float) -> str:
    return "" if math.isinf(seconds) else str(math.floor(seconds * 1000))


def _seconds(milliseconds: str, absent: float) -> float:
    return int(milliseconds) / 1000 if milliseconds else absent
