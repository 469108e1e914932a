"""The tokens of one platform's teams, shared by all processes: one renews, everybody else reads what it has stored.

What becomes of a token, seen from one process:

=====================  ===================================================================================================
not yet due            used; the process keeps it, and looks once a minute whether another has been stored
due, still valid       one process renews it under the lock; the others go on with it, and so does the one if that fails
expired, or rejected   one process renews it; the others wait for what it stores
lock's holder dies     the lock expires after :data:`LOCK_SECONDS`, the next takes over
holder wakes late      its write is refused if somebody stored meanwhile (the fence); it reads that token then
Redis is away          the process goes on with its own token. Where that has expired: Feishu's is fetched for this process
                       alone; Slack's cannot be, for its refresh token is good for one use and its successor must be stored
                       before it is used
=====================  ===================================================================================================

Every wait ends: a call takes :data:`WAIT_SECONDS` and one exchange with the platform at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from app.auth.access_tokens import AccessTokenError, AccessTokenRefused, AccessTokens, AccessTokenUnavailable
from app.auth.grants import Grant, IssuedToken
from app.auth.renewal import Renewal
from app.auth.static_tokens import REJECTED_SECONDS
from app.auth.token_endpoint import CALL_SECONDS, TokenEndpoint
from app.auth.token_flights import TokenFlights
from app.auth.token_store import Slot, StoredToken, TokenStore
from app.pipeline.redis_client import RedisUnavailable
from app.telemetry.audit.actions import TOKEN_REFRESHED
from app.telemetry.audit.record import Audit, AuditUnavailable
from app.telemetry.logs import get_logger

LOCK_SECONDS: Final = 3 * CALL_SECONDS  # the exchange and the write after it, and room for a slow disk
WAIT_SECONDS: Final = LOCK_SECONDS + CALL_SECONDS  # so that who waits sees a dead holder's lock end
POLL_SECONDS: Final = 0.1
# A renewal that failed while the token is still good is not tried again at every use of it.
PAUSE_SECONDS: Final = 30.0
# So long a process without Redis does not ask it again while its own token is good.
ALONE_SECONDS: Final = 5.0
# A rotated pair that Redis did not take is offered again this often before the caller is told; and then at every later use.
STORE_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class _Own:
    """This process's copy; times on its monotonic clock."""

    token: str = field(repr=False)
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Unstored:
    """A pair that the platform has given and Redis has not taken yet."""

    fence: int
    issued: IssuedToken
    asked_at: float


class SharedTokens:
    """:class:`app.auth.access_tokens.AccessTokens` over one :class:`TokenStore`.

    ``endpoint``: None where tokens are only installed, never renewed. ``fallback``: for teams that nothing is stored for.
    ``how_to_install`` ends the sentence that tells people so. ``store`` may be None for a platform whose grant is repeatable:
    each process then has its own token. Client and store stay open.
    """

    def __init__(
        self,
        platform: str,
        renewal: Renewal,
        *,
        endpoint: TokenEndpoint | None,
        store: TokenStore | None,
        fallback: AccessTokens | None = None,
        how_to_install: str = "install the assistant there",
        audit: Audit | None = None,
        lock_seconds: float = LOCK_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._platform, self._renewal = platform, renewal
        self._endpoint, self._store, self._fallback = endpoint, store, fallback
        self._how_to_install, self._audit = how_to_install, audit
        self._lock_seconds, self._wait_seconds = lock_seconds, wait_seconds
        self._monotonic = monotonic
        self._own: dict[str, _Own] = {}
        self._refused: dict[str, tuple[str, float]] = {}  # the last token of a team that the platform did not accept, and when
        self._unstored: dict[str, _Unstored] = {}
        self._flights = TokenFlights()
        self._log = get_logger(platform=platform)

    def __repr__(self) -> str:
        return f"SharedTokens({self._platform!r})"

    async def token(self, team: str) -> str:
        own = self._own.get(team)
        if own is not None and self._monotonic() < own.renew_at:
            return own.token
        return await self._flights.run(team, lambda: self._obtain(team))

    async def rejected(self, team: str, token: str) -> None:
        own = self._own.get(team)
        if own is not None and own.token == token:
            del self._own[team]
        self._refused[team] = (token, self._monotonic())
        if self._fallback is not None:
            await self._fallback.rejected(team, token)
        if self._store is None:
            return
        try:
            slot = await self._store.read(self._platform, team)
            if slot.token is not None and slot.token.token == token:
                await self._store.reject(self._platform, team, slot.version)
        except RedisUnavailable as error:
            self._log.warning("rejected_token_not_shared", team=team, reason=str(error))

    async def aclose(self) -> None:
        """Waits for a renewal under way: what it brings must be stored."""
        await self._flights.aclose(grace_seconds=0.0 if self._renewal.repeatable else self._lock_seconds)
        if self._fallback is not None:
            await self._fallback.aclose()

    async def _obtain(self, team: str) -> str:
        store = self._store
        if store is None:
            return await self._alone(team)
        deadline = self._monotonic() + self._wait_seconds
        while True:
            try:
                await self._store_again(team, store)
                slot = await store.read(self._platform, team)
                usable = self._usable(team, slot)
                if usable is not None and usable.renew_in > 0:
                    return self._keep(team, usable)
                grant = self._renewal.grant(slot.token)
                if grant is None or self._endpoint is None:
                    return await self._without_renewal(team, slot, usable)
                claim = await store.claim(self._platform, team, slot.version, self._lock_seconds)
                if claim.fence is not None:
                    try:
                        renewed = await self._renew(team, store, self._endpoint, grant, claim.fence, usable)
                    except AccessTokenRefused:
                        # A refresh token that somebody used up before us, and stored its successor since.
                        if (await store.read(self._platform, team)).version == slot.version:
                            raise
                    else:
                        if renewed is not None:
                            return renewed
                elif usable is not None:
                    return usable.token
            except RedisUnavailable as error:
                self._log.warning("tokens_without_redis", team=team, reason=str(error))
                return await self._alone(team)
            if self._monotonic() >= deadline:
                message = f"another process renews the {self._platform} token of team {team} and does not come to an end"
                raise AccessTokenUnavailable(message, retry_after=self._lock_seconds)
            if claim.fence is None:
                await asyncio.sleep(min(POLL_SECONDS, claim.wait_seconds))

    async def _renew(
        self, team: str, store: TokenStore, endpoint: TokenEndpoint, grant: Grant, fence: int, usable: StoredToken | None
    ) -> str | None:
        """None: look again, somebody else has stored a newer one."""
        asked = self._monotonic()
        try:
            issued = await endpoint.fetch(grant)
        except AccessTokenError as error:
            # A lost answer may mean that the refresh token is being used up: none offers it again until the lock expires.
            if self._renewal.repeatable or isinstance(error, AccessTokenRefused):
                with contextlib.suppress(RedisUnavailable):
                    await store.release(self._platform, team, fence)
            if usable is None:
                raise self._explained(team, error) from None
            self._log.warning("token_not_renewed", team=team, reason=str(error), expires_in=round(usable.expires_in))
            now = self._monotonic()
            self._own[team] = _Own(usable.token, now + min(PAUSE_SECONDS, usable.expires_in), now + usable.expires_in)
            return usable.token
        self._log.info("token_renewed", team=team, lifetime=issued.lifetime)
        self._refused.pop(team, None)
        self._unstored[team] = _Unstored(fence, issued, asked)
        for attempt in range(STORE_TRIES):
            try:
                stored = await self._store_again(team, store)
                await self._tell(team)
                return issued.token if stored else None
            except RedisUnavailable as error:
                if self._renewal.repeatable:
                    del self._unstored[team]
                    return self._keep_issued(team, issued, asked)
                failure = str(error)
                await asyncio.sleep(POLL_SECONDS * 2**attempt)
        self._log.error("renewed_token_not_stored", team=team, reason=failure)
        raise AccessTokenUnavailable(f"a new {self._platform} token of team {team} cannot be stored yet: {failure}")

    async def _tell(self, team: str) -> None:
        if self._audit is None:
            return
        try:
            await self._audit.record(TOKEN_REFRESHED, actor="process", subject=team, platform=self._platform, team=team)
        except AuditUnavailable as error:
            self._log.error("renewal_not_recorded", team=team, reason=str(error))

    async def _store_again(self, team: str, store: TokenStore) -> bool:
        """Whether what was still to be stored is; False: a newer one stands there, or there was nothing."""
        unstored = self._unstored.get(team)
        if unstored is None:
            return False
        margin, elapsed = self._renewal.margin_seconds, self._monotonic() - unstored.asked_at
        stored = await store.store(self._platform, team, unstored.fence, unstored.issued, margin, elapsed)
        del self._unstored[team]
        if stored:
            self._keep_issued(team, unstored.issued, unstored.asked_at)
        else:
            self._log.warning("renewed_token_stale", team=team, fence=unstored.fence)
        return stored

    async def _without_renewal(self, team: str, slot: Slot, usable: StoredToken | None) -> str:
        if usable is not None:
            return self._keep(team, usable)
        if slot.token is None and self._fallback is not None:
            return await self._fallback.token(team)
        if slot.unreadable:
            reason = "what is stored does not open with the TOKEN_KEY given"
        elif slot.token is None:
            reason = "none was ever stored"
        else:
            reason = "the platform does not accept it any more, or it has expired"
        raise AccessTokenRefused(f"there is no {self._platform} token of team {team} ({reason}): {self._how_to_install}")

    async def _alone(self, team: str) -> str:
        """Without the store: this process's own token, or one of its own making."""
        own, now = self._own.get(team), self._monotonic()
        good = own if own is not None and now < own.expires_at else None
        if good is not None and self._store is not None:
            self._own[team] = replace(good, renew_at=min(now + ALONE_SECONDS, good.expires_at))
            return good.token
        if self._fallback is not None:
            return await self._fallback.token(team)
        grant = self._renewal.grant(None) if self._renewal.repeatable else None
        if grant is None or self._endpoint is None:
            raise AccessTokenUnavailable(f"the {self._platform} token of team {team} cannot be read: Redis is away")
        try:
            issued = await self._endpoint.fetch(grant)
        except AccessTokenUnavailable:
            if good is None:
                raise
            return good.token
        self._refused.pop(team, None)
        return self._keep_issued(team, issued, now)

    def _usable(self, team: str, slot: Slot) -> StoredToken | None:
        stored = slot.token
        return None if stored is None or stored.expires_in <= 0 or self._is_refused(team, stored) else stored

    def _is_refused(self, team: str, stored: StoredToken) -> bool:
        """One that can be renewed is refused for good; another is tried again after a while, as somebody may have mended it."""
        for_good = self._renewal.grant(stored) is not None
        token, at = self._refused.get(team, ("", 0.0))
        here = token == stored.token and (for_good or self._monotonic() - at < REJECTED_SECONDS)
        return here or (stored.rejected_ago is not None and (for_good or stored.rejected_ago < REJECTED_SECONDS))

    def _explained(self, team: str, error: AccessTokenError) -> AccessTokenError:
        if isinstance(error, AccessTokenRefused) and not self._renewal.repeatable:
            return AccessTokenRefused(
                f"the {self._platform} token of team {team} cannot be renewed ({error}): {self._how_to_install}"
            )
        return error

    def _keep(self, team: str, stored: StoredToken) -> str:
        now = self._monotonic()
        # What never expires is read again from time to time: somebody may have installed another.
        self._own[team] = _Own(stored.token, now + min(stored.renew_in, REJECTED_SECONDS), now + stored.expires_in)
        return stored.token

    def _keep_issued(self, team: str, issued: IssuedToken, asked_at: float) -> str:
        margin = min(self._renewal.margin_seconds, issued.lifetime / 2)
        self._own[team] = _Own(issued.token, asked_at + issued.lifetime - margin, asked_at + issued.lifetime)
        return issued.token
