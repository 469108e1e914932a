"""Installing for a company at Feishu or Lark.

An application that a company made for itself speaks with a token of its own (``tenant_access_token``), which nobody has to
consent to. What the installation adds is the proof *which* company that is: somebody of it signs in, and their
``tenant_key`` is the team. Their own token is used for that one question and then forgotten.

- authorise, with PKCE: https://open.feishu.cn/document/authentication-management/access-token/obtain-oauth-code
- exchange: https://open.feishu.cn/document/authentication-management/access-token/get-user-access-token
- who: https://open.feishu.cn/document/server-docs/authentication-management/login-state-management/get
"""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlencode

import httpx2

from app.auth.access_tokens import AccessTokenRefused, AccessTokenUnavailable
from app.auth.grants import GrantRefused, MalformedTokenAnswer, TenantAccessToken, feishu_answer, token_in
from app.auth.installation import InstallationRefused, Installed, require_https
from app.auth.renewal import FEISHU_MARGIN_SECONDS
from app.auth.token_endpoint import TokenEndpoint
from app.http.outbound import Answer, CallFailed, get, post

TOKEN_PATH: Final = "/open-apis/auth/v3/tenant_access_token/internal"  # noqa: S105
CALL_SECONDS: Final = 10.0
# The codes of get-user-access-token, above.
_CODE: Final = frozenset({"20003", "20004", "20024", "20065"})
_PASSING: Final = frozenset({"20050", "20072", "99991400"})
_REASONS: Final = {
    "20002": "FEISHU_APP_SECRET is not this application's",
    "20009": "the application is not installed in this company",
    "20010": "this person may not use the application: its availability must be widened in the developer console",
    "20048": "FEISHU_APP_ID is no application's",
    "20049": "the proof of PKCE does not fit",
    "20069": "the application is not enabled",
    "20071": "the redirect URI is not the one that the installation began with",
}


class FeishuInstallation:
    """``client`` stays open. ``url`` and ``accounts_url``: Feishu's, or Lark's. Raises :class:`app.settings.SettingsError`."""

    name = "feishu"
    title = "Feishu"
    margin_seconds = FEISHU_MARGIN_SECONDS

    def __init__(self, client: httpx2.AsyncClient, *, app_id: str, app_secret: str, url: str, accounts_url: str) -> None:
        require_https("FEISHU_URL", url)
        require_https("FEISHU_ACCOUNTS_URL", accounts_url)
        self._client = client
        self._app_id, self._app_secret = app_id, app_secret
        self._url, self._accounts_url = url.rstrip("/"), accounts_url.rstrip("/")
        self._endpoint = TokenEndpoint(client, self._url + TOKEN_PATH, app_id, app_secret)

    def authorize_url(self, state: str, challenge: str, redirect_uri: str) -> str:
        query = {
            "client_id": self._app_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._accounts_url}/open-apis/authen/v1/authorize?{urlencode(query)}"

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> Installed:
        try:
            person = await self._person(code, verifier, redirect_uri)
            team = await self._team(person)
            return Installed(team, "", await self._endpoint.fetch(TenantAccessToken()))
        except GrantRefused as error:
            raise refused(error) from None
        except (CallFailed, MalformedTokenAnswer, AccessTokenUnavailable) as error:
            raise _unavailable(str(error)) from None
        except AccessTokenRefused as error:
            raise InstallationRefused(502, "platform_refused", f"Feishu refuses this assistant: {error}.") from None

    async def discard(self, installed: Installed) -> None:
        """The application's own token: it is not given up because somebody else knocked."""

    async def _person(self, code: str, verifier: str, redirect_uri: str) -> str:
        """The ``user_access_token``. The identity goes in the body alone: twice is refused (20070)."""
        body = {
            "grant_type": "authorization_code",
            "client_id": self._app_id,
            "client_secret": self._app_secret,
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/json; charset=utf-8"}
        url = f"{self._url}/open-apis/authen/v2/oauth/token"
        return token_in(
            _values(await post(self._client, url, json.dumps(body).encode(), headers, CALL_SECONDS)), "access_token"
        )

    async def _team(self, person: str) -> str:
        url = f"{self._url}/open-apis/authen/v1/user_info"
        values = _values(await get(self._client, url, {"Authorization": f"Bearer {person}"}, CALL_SECONDS))
        data = values.get("data")
        team = data.get("tenant_key") if isinstance(data, dict) else None
        return team if isinstance(team, str) else ""


def refused(error: GrantRefused) -> InstallationRefused:
    if error.code in _PASSING:
        return _unavailable(error.code)
    if error.code in _CODE:
        message = (
            f"Feishu does not take this code ({error.code}): it was used already or is too old. Begin the installation again."
        )
        return InstallationRefused(400, "code_refused", message)
    reason = _REASONS.get(error.code, "its operator finds the meaning in Feishu's list of error codes")
    return InstallationRefused(502, "platform_refused", f"Feishu refuses this assistant ({error.code}): {reason}.")


def _values(answer: Answer) -> dict[str, object]:
    """Refusals come with 400, 500 and 503 as well, and say why in the same form. Raises as :func:`feishu_answer`."""
    values = feishu_answer(answer.body)
    if answer.status != 200:
        raise MalformedTokenAnswer(f"answered {answer.status}")
    return values


def _unavailable(reason: str) -> InstallationRefused:
    message = f"Feishu gave no usable answer ({reason}). Begin the installation again in a minute."
    return InstallationRefused(502, "platform_unavailable", message)
