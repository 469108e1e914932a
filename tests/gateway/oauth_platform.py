"""Slack and Feishu as far as an installation sees them, on a socket: consent, one-use codes, PKCE, who it was."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from generic.faulty_server import Answer, Fault, FaultyServer

SLACK_ID, FEISHU_ID, SECRET = "12.34", "cli_a1", "platform-canary-secret"
PERSON = "u-person"


@dataclass
class Code:
    redirect_uri: str
    challenge: str
    used: bool = False


@dataclass
class OAuthPlatform:
    """``redirect_uris`` are those entered in the console. ``consents``: what the person in front of the page does."""

    redirect_uris: set[str] = field(default_factory=set)
    consents: bool = True
    team: Any = field(default_factory=lambda: {"id": "T1", "name": "Team & <b>Co</b>"})
    tenant_key: str = "tenant1"
    rotation: bool = True
    more: dict[str, Any] = field(default_factory=dict)  # fields of Slack's answer to be changed
    revoked: list[str] = field(default_factory=list)
    forms: list[dict[str, Any]] = field(default_factory=list)  # what the token endpoints were asked
    codes: dict[str, Code] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._server = FaultyServer("127.0.0.1", 0, self._handle, self._fault)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _fault(self, path: str) -> Fault | None:
        return self.faults.pop(0) if self.faults and self.faults[0].path == path else None

    def _handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if (method, parts.path) in (("GET", "/oauth/v2/authorize"), ("GET", "/open-apis/authen/v1/authorize")):
            return self._authorize(query)
        if (method, parts.path) == ("POST", "/api/oauth.v2.access"):
            return self._slack(headers, {name: values[0] for name, values in parse_qs(body.decode()).items()})
        if (method, parts.path) == ("POST", "/api/auth.revoke"):
            self.revoked.append(headers["authorization"].removeprefix("Bearer "))
            return Answer(200, {"ok": True, "revoked": True})
        if (method, parts.path) == ("POST", "/open-apis/authen/v2/oauth/token"):
            return self._feishu(json.loads(body))
        if (method, parts.path) == ("GET", "/open-apis/authen/v1/user_info"):
            assert headers["authorization"] == f"Bearer {PERSON}"
            return Answer(200, {"code": 0, "msg": "success", "data": {"open_id": "ou_1", "tenant_key": self.tenant_key}})
        assert (method, parts.path) == ("POST", "/open-apis/auth/v3/tenant_access_token/internal")
        return Answer(200, {"code": 0, "msg": "ok", "tenant_access_token": "t-tenant", "expire": 7200})

    def _authorize(self, query: dict[str, str]) -> Answer:
        if query["redirect_uri"] not in self.redirect_uris:
            return Answer(400, {"error": "redirect_uri did not match any configured URIs"})
        if not self.consents:
            return Answer(
                302,
                {},
                {"Location": f"{query['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': query['state']})}"},
            )
        code = f"code-{next(self._numbers)}"
        assert query.get("code_challenge_method", "S256") == "S256"
        self.codes[code] = Code(query["redirect_uri"], query.get("code_challenge", ""))
        return Answer(302, {}, {"Location": f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"})

    def _take(self, form: dict[str, Any]) -> str | None:
        """The error, if any."""
        self.forms.append(form)
        code = self.codes.get(form["code"])
        if code is None:
            return "unknown"
        if code.used:
            return "used"
        if code.redirect_uri != form.get("redirect_uri"):
            return "redirect"
        verifier = form.get("code_verifier", "")
        if (
            code.challenge
            and base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode() != code.challenge
        ):
            return "pkce"
        code.used = True
        return None

    def _slack(self, headers: dict[str, str], form: dict[str, Any]) -> Answer:
        if base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode() != f"{SLACK_ID}:{SECRET}":
            return Answer(200, {"ok": False, "error": "bad_client_secret"})
        if error := self._take(form):
            words = {
                "unknown": "invalid_code",
                "used": "code_already_used",
                "redirect": "bad_redirect_uri",
                "pkce": "pkce_failed",
            }
            return Answer(200, {"ok": False, "error": words[error]})
        rotating = {"refresh_token": "xoxe-1-installed", "expires_in": 43200} if self.rotation else {}
        body = {"ok": True, "access_token": "xoxb-installed", "token_type": "bot", "team": self.team, "enterprise": None}
        return Answer(200, {**body, "is_enterprise_install": False, **rotating, **self.more})

    def _feishu(self, body: dict[str, Any]) -> Answer:
        if (body["client_id"], body["client_secret"]) != (FEISHU_ID, SECRET):
            return Answer(400, {"code": 20002, "error": "invalid_client"})
        if error := self._take(body):
            codes = {"unknown": 20003, "used": 20065, "redirect": 20071, "pkce": 20049}
            return Answer(400, {"code": codes[error], "error": "invalid_grant"})
        return Answer(200, {"code": 0, "access_token": PERSON, "expires_in": 7200, "token_type": "Bearer"})
