"""Installation by authorisation code (RFC 6749 §4.1) with state and PKCE (RFC 7636): how a team's token comes to be stored.

Anyone may begin: the platform asks that person to sign in and to consent, and only a team that a tenant lists is stored. What
binds the end to the beginning, per RFC 9700 §4.7:

- the *state*: 256 random bits, in Redis for ten minutes under their digest, taken out by whoever presents them first;
- the *browser*: a cookie whose digest lies with the state, so nobody is made to finish what another began;
- the *verifier* of PKCE, sealed with the state, so a code that was stolen on its way is worth nothing;
- the *redirect URI*: one a platform, by which an answer of one platform is not taken for another's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from app.auth.grants import IssuedToken
from app.auth.token_store import PREFIX, TokenStore
from app.auth.vault import SealBroken, Vault
from app.pipeline.redis_client import RedisClient, RedisUnavailable, Script
from app.settings import SettingsError
from app.telemetry.audit.actions import INSTALL_FINISHED, INSTALL_REFUSED, INSTALL_STARTED
from app.telemetry.audit.notices import Notices
from app.telemetry.audit.operation import operation
from app.telemetry.audit.record import Audit, AuditUnavailable
from app.telemetry.logs import get_logger

STATE_SECONDS: Final = 600
# Anyone may begin, and each beginning is kept in a Redis that never evicts.
STARTS_A_MINUTE: Final = 120
NOBODY: Final = "anonymous"  # the actor of the audit log: who installs signs in at the platform, not here
LONGEST_STATE: Final = 128
LONGEST_CODE: Final = 4096
_TEAM = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ERROR = re.compile(r"[a-z_]{1,64}", re.ASCII)


class InstallationRefused(Exception):
    """What the person in front of the browser is told. ``code`` is a stable word for the audit log, ``status`` HTTP's."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Installed:
    """``team``: the platform's own name of it, as in its events. ``team_name``: for people, as the platform tells it, or ""."""

    team: str
    team_name: str
    issued: IssuedToken


class InstallationDialect(Protocol):
    """One platform's way; see :mod:`app.auth.installation_slack` and :mod:`app.auth.installation_feishu`."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """For people."""

    @property
    def margin_seconds(self) -> float:
        """As :attr:`app.auth.renewal.Renewal.margin_seconds`."""

    def authorize_url(self, state: str, challenge: str, redirect_uri: str) -> str: ...

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> Installed:
        """Raises :class:`InstallationRefused`."""

    async def discard(self, installed: Installed) -> None:
        """What came is not kept: give it back, if the platform takes it."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and the secret that it is to keep until it comes back."""

    url: str
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Finished:
    tenant: str
    title: str
    team: str
    team_name: str


@dataclass(frozen=True, slots=True)
class Pending:
    """What lies under a state. ``browser``: the digest of its secret."""

    platform: str
    browser: str
    verifier: str = field(repr=False)


class InstallationStates:
    """Raises :class:`app.pipeline.redis_client.RedisUnavailable`."""

    def __init__(self, client: RedisClient, vault: Vault, prefix: str = PREFIX) -> None:
        self._client, self._vault, self._prefix = client, vault, prefix
        self._script = Script((Path(__file__).parent / "installation_begin.lua").read_text(encoding="utf-8"))

    async def keep(self, state: str, pending: Pending) -> bool:
        """False: too many have begun within this minute."""
        key = self._key(state)
        text = json.dumps({"platform": pending.platform, "browser": pending.browser, "verifier": pending.verifier})
        sealed = self._vault.seal("installation", key, text.encode())
        keys = [f"{self._prefix}:oauth:starts", key]
        return bool(await self._client.run(self._script, keys, (STARTS_A_MINUTE, 60_000, STATE_SECONDS * 1000, sealed)))

    async def take(self, state: str) -> Pending | None:
        """What lies under ``state``, once: it is gone then, whatever comes of it."""
        key = self._key(state)
        sealed = await self._client.command("GETDEL", key)
        if sealed is None:
            return None
        try:
            values = json.loads(self._vault.open("installation", key, sealed).plaintext)
        except SealBroken as error:
            get_logger().error("installation_state_unreadable", reason=str(error))
            return None
        return Pending(**values)

    def _key(self, state: str) -> str:
        return f"{self._prefix}:oauth:state:{_digest(state)}"


class Installer:
    """``tenant_of(platform, team)``: the name of the tenant that lists the team, None for nobody's. Raises
    :class:`app.settings.SettingsError` for a ``public_url`` that no browser keeps a cookie of."""

    def __init__(
        self,
        public_url: str,
        dialects: Iterable[InstallationDialect],
        *,
        states: InstallationStates,
        store: TokenStore,
        tenant_of: Callable[[str, str], str | None],
        audit: Audit,
    ) -> None:
        require_https("PUBLIC_URL", public_url)
        self._dialects = {dialect.name: dialect for dialect in dialects}
        self._public_url = public_url.rstrip("/")
        self._states, self._store = states, store
        self._tenant_of, self._audit = tenant_of, audit
        self._notices = Notices(audit)  # strangers cause refusals as they like

    async def aclose(self) -> None:
        """Record the refusals that were counted and not told yet."""
        await self._notices.aclose()

    @property
    def redirect_uris(self) -> Mapping[str, str]:
        """By platform: what is entered in each developer console."""
        return {name: f"{self._public_url}/oauth/{name}/callback" for name in self._dialects}

    async def start(self, platform: str, redirect_uris: list[str]) -> Begun:
        """``redirect_uris``: those that the caller named, if any. Raises :class:`InstallationRefused`."""
        try:
            dialect = self._dialect(platform)
            own = self.redirect_uris[platform]
            if any(named != own for named in redirect_uris):
                raise InstallationRefused(400, "wrong_redirect_uri", f"The only redirect URI of this assistant is {own}.")
            state, verifier, browser = (secrets.token_urlsafe(32) for _ in range(3))
            try:
                await self._audit.record(INSTALL_STARTED, actor=NOBODY, platform=platform)
                kept = await self._states.keep(state, Pending(platform, _digest(browser), verifier))
            except (AuditUnavailable, RedisUnavailable) as error:
                get_logger().error("installation_not_begun", platform=platform, reason=str(error))
                raise InstallationRefused(
                    503, "unavailable", "Nothing can be stored at the moment. Try again in a minute."
                ) from None
            if not kept:
                raise InstallationRefused(429, "too_many", "Too many installations have begun. Try again in a minute.")
        except InstallationRefused as refusal:
            self._tell(platform, refusal)
            raise
        return Begun(dialect.authorize_url(state, challenge_of(verifier), own), browser)

    async def finish(self, platform: str, *, state: str, code: str, error: str, browser: str) -> Finished:
        """Empty is what the browser did not bring. Raises :class:`InstallationRefused`."""
        try:
            dialect = self._dialect(platform)
            pending = await self._pending(platform, state, browser)
            if error:
                raise _declined(dialect.title, error)
            if not 0 < len(code) <= LONGEST_CODE:
                raise InstallationRefused(400, "code_missing", f"{dialect.title} sent no code. Begin the installation again.")
            installed = await dialect.exchange(code, pending.verifier, self.redirect_uris[platform])
            return await self._keep(dialect, installed)
        except InstallationRefused as refusal:
            self._tell(platform, refusal)
            raise

    def _dialect(self, platform: str) -> InstallationDialect:
        found = self._dialects.get(platform)
        if found is None:
            names = ", ".join(sorted(self._dialects)) or "nothing"
            message = f"This assistant cannot be installed there; what can be installed: {names}."
            raise InstallationRefused(404, "unknown_platform", message)
        return found

    async def _pending(self, platform: str, state: str, browser: str) -> Pending:
        again = "Begin the installation again, and finish it in the same browser within ten minutes."
        if not 0 < len(state) <= LONGEST_STATE:
            raise InstallationRefused(
                400, "state_missing", f"This address was not called by an installation that began here. {again}"
            )
        try:
            pending = await self._states.take(state)
        except RedisUnavailable:
            raise InstallationRefused(503, "unavailable", f"Nothing can be read at the moment. {again}") from None
        if pending is None or pending.platform != platform:
            raise InstallationRefused(
                400, "state_unknown", f"This installation is unknown, was finished already or took too long. {again}"
            )
        if not hmac.compare_digest(pending.browser, _digest(browser)):
            raise InstallationRefused(400, "other_browser", f"This installation was begun in another browser. {again}")
        return pending

    async def _keep(self, dialect: InstallationDialect, installed: Installed) -> Finished:
        platform, team = dialect.name, installed.team
        if not _TEAM.fullmatch(team):
            raise InstallationRefused(502, "team_malformed", f"{dialect.title} did not say for which team this is.")
        tenant = self._tenant_of(platform, team)
        if tenant is None:
            await dialect.discard(installed)
            message = f"The {dialect.title} team {team} is not among those that this assistant serves. Its operator can add it."
            raise InstallationRefused(403, "unknown_team", message)
        details = {"tenant": tenant, "subject": team, "platform": platform, "team": team}
        try:
            async with operation(self._audit, INSTALL_FINISHED, actor=NOBODY, **details):
                await self._store.install(platform, team, installed.issued, dialect.margin_seconds)
        except (AuditUnavailable, RedisUnavailable) as error:
            get_logger().error("installation_not_stored", platform=platform, team=team, reason=str(error))
            message = "The token could not be stored. Begin the installation again in a minute."
            raise InstallationRefused(503, "unavailable", message) from None
        return Finished(tenant, dialect.title, team, installed.team_name)

    def _tell(self, platform: str, refusal: InstallationRefused) -> None:
        known = platform if platform in self._dialects else "unknown"
        get_logger().warning("installation_refused", platform=known, reason=refusal.code, status=refusal.status)
        self._notices.note(INSTALL_REFUSED, reason=refusal.code, platform=known, actor=NOBODY, status=refusal.status)


def require_https(setting: str, url: str) -> None:
    """Codes, states and cookies go there. Raises :class:`app.settings.SettingsError`, but for this machine itself."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise SettingsError(f"{setting}={url}: an https:// address is expected, installations send secrets there")


def challenge_of(verifier: str) -> str:
    """RFC 7636 §4.2, S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode("ascii")


def _declined(title: str, error: str) -> InstallationRefused:
    if error == "access_denied":
        message = f"{title} says that consent was not given, so nothing was installed. You can begin again at any time."
        return InstallationRefused(400, "access_denied", message)
    word = error if _ERROR.fullmatch(error) else "an unknown error"
    return InstallationRefused(400, "platform_error", f"{title} ended the installation: {word}. Begin it again.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
