"""Installation by authorisation code, as Feishu's accounts do it.

A code works once, for five minutes, with the redirect URI and the PKCE verifier that it was asked for with. Sources:
https://open.feishu.cn/document/authentication-management/access-token/obtain-oauth-code and …/get-user-access-token
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from feishu.refusal import Refused
from generic.faulty_server import Answer

CODE_SECONDS = 300.0
TOKEN_PATHS = ("/open-apis/authen/v2/oauth/token", "/oauth/v3/token")


class SignIn:
    def __init__(
        self,
        app_id: str,
        app_secret: str,
        redirect_uris: tuple[str, ...],
        tenant: str,
        clock: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._app_id, self._app_secret, self._tenant = app_id, app_secret, tenant
        self.redirect_uris = redirect_uris
        self._clock, self._say = clock, say
        self._codes: dict[str, dict[str, Any]] = {}
        self._users: dict[str, str] = {}

    def handle(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> Answer | None:
        match method, path:
            case "GET", "/open-apis/authen/v1/authorize" | "/open-apis/authen/v1/index":
                return self._authorise(query)
            case "POST", path if path in TOKEN_PATHS:
                return self._token(headers, body)
            case "GET", "/open-apis/authen/v1/user_info":
                return self._user(headers)
        return None

    def _authorise(self, query: dict[str, str]) -> Answer:
        """The person agrees at once, and the browser is sent back."""
        if query.get("client_id", query.get("app_id")) != self._app_id:
            raise Refused(20048, "The app does not exist", 400)
        if query.get("redirect_uri") not in self.redirect_uris:
            raise Refused(20029, "redirect_uri is not valid: it is not listed in the console", 400)
        if query.get("code_challenge_method", "S256") != "S256":
            raise Refused(20001, "code_challenge_method is not S256", 400)
        code = secrets.token_urlsafe(16)
        self._codes[code] = {
            "redirect_uri": query["redirect_uri"],
            "challenge": query.get("code_challenge"),
            "until": self._clock() + CODE_SECONDS,
            "used": False,
        }
        self._say("sign-in   a code is given")
        state = {"state": query["state"]} if "state" in query else {}
        return Answer(302, {}, {"Location": f"{query['redirect_uri']}?{urlencode({'code': code, **state})}"})

    def _token(self, headers: dict[str, str], body: bytes) -> Answer:
        text = body.decode()
        form = json.loads(text) if "json" in headers.get("content-type", "") else dict(parse_qsl(text))
        if form.get("grant_type") != "authorization_code":
            raise _oauth(20036, "unsupported_grant_type", "the grant_type is not supported")
        if form.get("client_id") != self._app_id:
            raise _oauth(20048, "invalid_client", "the app does not exist")
        if form.get("client_secret") != self._app_secret:
            raise _oauth(20002, "invalid_client", "the client secret is not valid")
        code = self._codes.get(str(form.get("code")))
        if code is None:
            raise _oauth(20003, "invalid_grant", "the code is not valid")
        if code["used"]:
            raise _oauth(20065, "invalid_grant", "the code was used before")
        code["used"] = True
        if code["until"] < self._clock():
            raise _oauth(20004, "invalid_grant", "the code has expired")
        if form.get("redirect_uri") != code["redirect_uri"]:
            raise _oauth(20071, "invalid_grant", "the redirect_uri is not the one that the code was asked for with")
        if code["challenge"] is not None and _challenge(str(form.get("code_verifier", ""))) != code["challenge"]:
            raise _oauth(20049, "invalid_grant", "PKCE: the verifier does not match")
        token = f"u-{secrets.token_urlsafe(16)}"
        self._users[token] = "ou_ada"
        self._say("sign-in   finished")
        answer = {"code": 0, "access_token": token, "token_type": "Bearer", "expires_in": 7200}
        return Answer(200, {**answer, "refresh_token": f"ur-{secrets.token_urlsafe(16)}", "refresh_token_expires_in": 604800})

    def _user(self, headers: dict[str, str]) -> Answer:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self._users:
            raise Refused(99991668, "Invalid access token for authorization.", 401)
        person = {"name": "Ada", "open_id": self._users[token], "union_id": "on_ada", "tenant_key": self._tenant}
        return Answer(200, {"code": 0, "msg": "success", "data": person})


def _oauth(code: int, error: str, description: str) -> Refused:
    return Refused(code, description, 400, error=error, error_description=description)


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
