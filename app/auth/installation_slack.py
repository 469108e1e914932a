"""Installing in a Slack workspace: https://docs.slack.dev/authentication/installing-with-oauth.

**PKCE.** Slack takes ``code_challenge`` and ``code_verifier`` from applications whose owner has switched PKCE on, which makes
the application a public client for good and lets its refresh tokens expire after 30 days
(https://docs.slack.dev/authentication/using-pkce). That is no bargain for one that has a client secret and a redirect URI of
its own. So it is sent only where the constructor is told so; else secret, state and browser hold the code.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

import httpx2

from app.auth.grants import (
    NEVER_EXPIRES,
    GrantRefused,
    IssuedToken,
    MalformedTokenAnswer,
    lifetime_seconds,
    slack_answer,
    slack_request,
    token_in,
)
from app.auth.installation import InstallationRefused, Installed, require_https
from app.auth.renewal import SLACK_MARGIN_SECONDS
from app.http.outbound import CallFailed, post
from app.platforms.slack.manifest import SCOPES

CALL_SECONDS: Final = 10.0
LONGEST_NAME: Final = 100
# https://docs.slack.dev/reference/methods/oauth.v2.access#errors
_CODE: Final = frozenset({"code_already_used", "invalid_code", "code_expired"})
_REASONS: Final = {
    "bad_redirect_uri": "the redirect URI is not entered at api.slack.com/apps under OAuth & Permissions",
    "bad_client_secret": "SLACK_CLIENT_SECRET is not this application's",
    "invalid_client_id": "SLACK_CLIENT_ID is no application's",
    "org_login_required": "the workspace was moved into an organisation and must be signed in to anew",
}


class SlackInstallation:
    """``client`` stays open. ``pkce``: the application has it on (above). Raises :class:`app.settings.SettingsError`."""

    name = "slack"
    title = "Slack"
    margin_seconds = SLACK_MARGIN_SECONDS

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        client_id: str,
        client_secret: str,
        api_url: str,
        authorize_url: str,
        scopes: Iterable[str] = SCOPES,
        pkce: bool = False,
    ) -> None:
        require_https("SLACK_AUTHORIZE_URL", authorize_url)
        require_https("SLACK_API_URL", api_url)
        self._client = client
        self._client_id, self._client_secret = client_id, client_secret
        self._api_url, self._authorize_url = api_url.rstrip("/"), authorize_url
        self._scopes, self._pkce = sorted(scopes), pkce

    def authorize_url(self, state: str, challenge: str, redirect_uri: str) -> str:
        query = {"client_id": self._client_id, "scope": ",".join(self._scopes), "redirect_uri": redirect_uri, "state": state}
        if self._pkce:
            query |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        return f"{self._authorize_url}?{urlencode(query)}"

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> Installed:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if self._pkce:
            form["code_verifier"] = verifier
        request = slack_request(self._client_id, self._client_secret, form)
        try:
            answer = await post(self._client, f"{self._api_url}/oauth.v2.access", request.body, request.headers, CALL_SECONDS)
            if answer.status != 200:
                raise _unavailable(f"answered {answer.status}")
            return installed(slack_answer(answer.body))
        except GrantRefused as error:
            raise refused(error) from None
        except (CallFailed, MalformedTokenAnswer) as error:
            raise _unavailable(str(error)) from None

    async def discard(self, installed: Installed) -> None:
        """https://docs.slack.dev/reference/methods/auth.revoke; what cannot be revoked is forgotten all the same."""
        headers = {"Authorization": f"Bearer {installed.issued.token}"}
        with contextlib.suppress(CallFailed):
            await post(self._client, f"{self._api_url}/auth.revoke", b"", headers, CALL_SECONDS)


def installed(values: dict[str, object]) -> Installed:
    """Raises :class:`InstallationRefused` or :class:`app.auth.grants.MalformedTokenAnswer`."""
    team = values.get("team")
    if values.get("is_enterprise_install") is True or not isinstance(team, dict):
        message = (
            "The assistant is installed in a workspace, not in a whole organisation: choose one workspace and begin again."
        )
        raise InstallationRefused(400, "organisation", message)
    if values.get("token_type") != "bot":
        raise MalformedTokenAnswer("the token is not a bot's")
    identity, name = team.get("id"), team.get("name")
    rotated = values.get("refresh_token") is not None
    issued = IssuedToken(
        token_in(values, "access_token"),
        lifetime_seconds(values.get("expires_in")) if rotated else NEVER_EXPIRES,
        token_in(values, "refresh_token") if rotated else None,
    )
    return Installed(
        identity if isinstance(identity, str) else "", name[:LONGEST_NAME] if isinstance(name, str) else "", issued
    )


def refused(error: GrantRefused) -> InstallationRefused:
    if error.passing:
        return _unavailable(error.code)
    if error.code in _CODE:
        message = (
            f"Slack does not take this code ({error.code}): it was used already or is too old. Begin the installation again."
        )
        return InstallationRefused(400, "code_refused", message)
    reason = _REASONS.get(error.code, "its operator finds the meaning in Slack's documentation of oauth.v2.access")
    return InstallationRefused(502, "platform_refused", f"Slack refuses this assistant ({error.code}): {reason}.")


def _unavailable(reason: str) -> InstallationRefused:
    message = f"Slack gave no usable answer ({reason}). Begin the installation again in a minute."
    return InstallationRefused(502, "platform_unavailable", message)
