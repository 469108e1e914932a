"""Who may call what: every route of the table, by every kind of caller. A route without a row here fails.

The edge is the gateway's own, with keys, roles, tenants and a real identity provider; behind it stands an application that
answers everything, so 200 says that the edge let the request in, and nothing that a handler does is between.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from identity_provider import AUDIENCE, GONE, IdentityProvider
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from app.auth.api_keys import ApiKeys
from app.auth.bearer_tokens import BearerTokens
from app.auth.identity import LONGEST_CREDENTIAL, Identities
from app.auth.permissions import permissions
from app.auth.principal import OPERATOR, PRINCIPAL, Principal
from app.auth.signing_keys import SigningKeys
from app.gateway.callers import CallerRefused, Callers, unknown_event
from app.gateway.edge import Edge
from app.gateway.intake import Intake
from app.gateway.metrics import GatewayMetrics
from app.gateway.refusals import Refusals
from app.gateway.routes import ROUTES, Authentication, RouteTable
from app.http.outbound import client_for
from app.pipeline.memory_queue import MemoryQueue
from app.platforms.generic import GenericEvents
from app.tasks.actions import registry
from app.telemetry.audit.actions import PERMISSION_DENIED, SIGN_IN_REFUSED
from app.telemetry.audit.notices import Notices
from app.tenants.access import Sources

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
EVENT_OF_ACME, EVENT_OF_BETA = "slack:T1:C1.17", "slack:T2:C1.17"
DEAD = "/api/v1/admin/dead-letters"


@dataclass(frozen=True)
class Row:
    """``path``: one that the route serves. ``needs``: a permission, or another way by which the route is proved."""

    path: str
    needs: str


OPEN, SIGNED, OAUTH = "(open)", "(a platform's signature)", "(the state of an installation)"
# Written by hand, so that a change of the table that nobody meant fails.
ROWS = {
    ("POST", "/events"): Row("/events", SIGNED),
    ("POST", "/events/slack"): Row("/events/slack", SIGNED),
    ("POST", "/events/feishu"): Row("/events/feishu", SIGNED),
    ("POST", "/api/v1/answer"): Row("/api/v1/answer", "ask"),
    ("GET", "/api/v1/events/{key:path}"): Row("/api/v1/events/{event}", "read:events"),
    ("GET", DEAD): Row(DEAD, "administer:dead-letters"),
    ("GET", f"{DEAD}/{{key:path}}"): Row(DEAD + "/{event}", "administer:dead-letters"),
    ("POST", f"{DEAD}/{{key:path}}/replay"): Row(DEAD + "/{event}/replay", "administer:replay"),
    ("DELETE", f"{DEAD}/{{key:path}}"): Row(DEAD + "/{event}", "administer:discard"),
    ("GET", "/oauth/{platform}/start"): Row("/oauth/slack/start", OAUTH),
    ("GET", "/oauth/{platform}/callback"): Row("/oauth/slack/callback", OAUTH),
    **{
        ("GET", path): Row(path, OPEN)
        for path in ("/healthz", "/health", "/v2/health/live", "/readyz", "/v2/health/ready", "/docs", "/openapi.json")
    },
}
KEYS = {
    "key of all": "acme-all-0123456789abcdef",
    "key of beta": "beta-all-0123456789abcdef",
    "key of narrow scopes": "acme-narrow-0123456789abcdef",
    "key without a role": "acme-none-0123456789abcdef",
    "expired key": "acme-old-0123456789abcdef",
}
OPERATORS_KEY = "operators-key-0123456789abcdef"


def digest(key: str) -> str:
    return "sha256:" + hashlib.sha256(KEYS[key].encode()).hexdigest()


TENANTS = f"""
- name: acme
  teams: ["slack:T1"]
  apiKeys:
    - {{name: all, key: "{digest("key of all")}", groups: [staff]}}
    - {{name: narrow, key: "{digest("key of narrow scopes")}", groups: [staff], scopes: ["run:calendar.create"]}}
    - {{name: none, key: "{digest("key without a role")}"}}
    - {{name: old, key: "{digest("expired key")}", groups: [staff], expires: 2026-01-01}}
- name: beta
  teams: ["slack:T2"]
  apiKeys:
    - {{name: betas, key: "{digest("key of beta")}", groups: [staff]}}
"""
ROLES = """
- {role: operator, members: ["key:operator"], permissions: ["*"]}
- {role: staff, members: ["group:staff"], permissions: [ask, "run:calendar.create", "read:events", administer]}
- {role: guest, members: ["group:guests"], permissions: [ask]}
"""


@dataclass
class Stage:
    """``refused``: what the edge told of it."""

    client: httpx2.AsyncClient
    provider: IdentityProvider
    refused: list[tuple[str, str, Principal | None]] = field(default_factory=list)

    async def call(self, method: str, path: str, *credentials: str) -> httpx2.Response:
        headers = [("Authorization", f"Bearer {credential}") for credential in credentials]
        return await self.client.request(method, path, headers=headers)

    def token(self, **claims: Any) -> str:
        return self.provider.token(
            **{"tenant": "acme", "groups": ["staff"], "scope": " ".join(permissions(registry())), **claims}
        )


async def everything(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers who the edge says it is."""
    principal = getattr(Request(scope).state, PRINCIPAL, None)
    await JSONResponse({"principal": principal.name if principal else None})(scope, receive, send)


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    found = IdentityProvider()
    yield found
    found.close()


@pytest.fixture
async def stage(tmp_path: Path, provider: IdentityProvider) -> AsyncIterator[Stage]:
    for name, text in (("tenants.yaml", TENANTS), ("roles.yaml", ROLES)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    sources = Sources(
        tenants_file=tmp_path / "tenants.yaml", roles_file=tmp_path / "roles.yaml", actions=registry(), environment={}
    )
    access = sources.load()
    http = client_for(provider.issuer)
    keys = SigningKeys(http, issuer=provider.issuer)
    tokens = BearerTokens(keys, http, issuer=provider.issuer, audience=AUDIENCE, tenant_claim="tenant")
    identities = Identities(ApiKeys.parse(OPERATORS_KEY), lambda: access, tokens, lambda: datetime(2026, 11, 25, tzinfo=UTC))
    refused: list[tuple[str, str, Principal | None]] = []
    edge = Edge(
        everything,
        RouteTable(),
        Callers(identities, lambda: access),
        {"generic": GenericEvents([b"s" * 32])},
        GatewayMetrics(CollectorRegistry()),
        Intake(MemoryQueue()),
        lambda refusal, route: refused.append((refusal.code, route, refusal.principal)),
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(edge), base_url="http://gateway") as client:
        yield Stage(client, provider, refused)
    await tokens.aclose()


# What each caller presents, and what comes of it where a key or token is needed: the status and code, or "" for whoever is in.
def presented(stage: Stage, caller: str) -> tuple[str, ...]:
    match caller:
        case "nobody":
            return ()
        case "wrong key":
            return ("a-wrong-key-0123456789",)
        case "two keys":
            return (OPERATORS_KEY, OPERATORS_KEY)
        case "operator":
            return (OPERATORS_KEY,)
        case "token":
            return (stage.token(),)
        case "token without scopes":
            return (stage.token(scope=GONE),)
        case "token without a role":
            return (stage.token(groups=[]),)
        case "token of a guest":
            return (stage.token(groups=["guests"]),)
        case "token of beta":
            return (stage.token(tenant="beta"),)
        case "token of no tenant":
            return (stage.token(tenant="gamma"),)
        case "token without a tenant":
            return (stage.token(tenant=GONE),)
        case "expired token":
            return (stage.token(exp=1),)
        case "forged token":
            return (_forged(stage.token(), stage.token(sub="another")),)
        case "unsigned token":
            return (_unsigned(stage.token()),)
        case "token for another service":
            return (stage.token(aud="other"),)
        case "token of another issuer":
            return (stage.token(iss="https://elsewhere.example"),)
        case _:
            return (KEYS[caller],)


def _forged(token: str, signed_otherwise: str) -> str:
    return f"{token.rpartition('.')[0]}.{signed_otherwise.rpartition('.')[2]}"


def _unsigned(token: str) -> str:
    return "eyJhbGciOiJub25lIn0." + token.split(".")[1] + "."


REFUSED = {  # whatever the route
    "nobody": (401, "invalid_api_key"),
    "wrong key": (401, "invalid_api_key"),
    "two keys": (401, "invalid_api_key"),
    "expired key": (401, "expired_api_key"),
    "expired token": (401, "token_expired"),
    "forged token": (401, "token_invalid_signature"),
    "unsigned token": (401, "token_refused_algorithm"),
    "token for another service": (401, "token_wrong_audience"),
    "token of another issuer": (401, "token_wrong_issuer"),
    "token of no tenant": (403, "unknown_tenant"),
    "token without a tenant": (403, "unknown_tenant"),
    "key without a role": (403, "permission_denied"),
    "token without a role": (403, "permission_denied"),
    "key of narrow scopes": (403, "insufficient_scope"),
    "token without scopes": (403, "insufficient_scope"),
}
GUEST = "token of a guest"
ELSEWHERE = {"key of beta", "token of beta"}  # may everything that acme's may, with beta's events
INSIDE = {"operator": "key:operator", "key of all": "key:all", "key of beta": "key:betas", "token": "jwt:alice"}
CALLERS = [*REFUSED, GUEST, "operator", "key of all", "token", *sorted(ELSEWHERE)]


def expected(row: Row, caller: str, event: str) -> tuple[int, str]:
    if row.needs in (OPEN, OAUTH):
        return 200, ""
    if row.needs == SIGNED:
        return (401, "missing_signature") if row.path == "/events" else (404, "not_found")
    if caller in REFUSED:
        return REFUSED[caller]
    if caller == GUEST and row.needs != "ask":
        return 403, "permission_denied"
    owner = "beta" if event == EVENT_OF_BETA else "acme"
    home = {"operator": owner}.get(caller, "beta" if caller in ELSEWHERE else "acme")
    return (404, "unknown_event") if "{event}" in row.path and home != owner else (200, "")


def test_every_route_of_the_table_has_a_row_that_says_the_same() -> None:
    needs = {Authentication.NONE: OPEN, Authentication.PLATFORM: SIGNED, Authentication.OAUTH_STATE: OAUTH}
    assert {key: row.needs for key, row in ROWS.items()} == {
        (route.method, route.path): needs.get(route.authentication, route.permission) for route in ROUTES
    }
    assert all(route.event == "key" for route in ROUTES if "{key:path}" in route.path), "an event is its tenant's"
    known = permissions(registry())
    assert all(route.permission in known for route in ROUTES if route.permission)


@pytest.mark.parametrize("key", ROWS, ids=" ".join)
async def test_the_edge_lets_in_whom_the_row_says(stage: Stage, key: tuple[str, str]) -> None:
    row = ROWS[key]
    events = (EVENT_OF_ACME, EVENT_OF_BETA) if "{event}" in row.path else ("",)
    for caller, event in itertools.product(CALLERS, events):
        stage.refused.clear()
        answer = await stage.call(key[0], row.path.replace("{event}", event), *presented(stage, caller))
        status, code = expected(row, caller, event)
        came = (answer.status_code, answer.json().get("error", {}).get("code", ""))
        assert (caller, event, *came) == (caller, event, status, code)
        told = [(code, key[1])] if status in (401, 403) else []
        assert [(told_code, route) for told_code, route, _ in stage.refused] == told, caller
        if status == 403:
            assert answer.json()["error"]["type"] == "permission_error"
        if status == 401 and row.needs != SIGNED:
            assert answer.headers["www-authenticate"].startswith("Bearer")
        if status == 200:
            known = row.needs not in (OPEN, OAUTH)
            assert answer.json() == {"principal": INSIDE.get(caller, "jwt:alice") if known else None}


@pytest.mark.parametrize("caller", ["nobody", "wrong key", "expired key", "token for another service", "forged token"])
async def test_whoever_is_not_known_learns_of_no_event_that_there_is_or_is_not(stage: Stage, caller: str) -> None:
    answers = [
        await stage.call("GET", f"/api/v1/events/{event}", *presented(stage, caller))
        for event in (EVENT_OF_ACME, EVENT_OF_BETA, "nonsense")
    ]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1


async def test_an_event_of_another_tenant_is_as_one_that_never_was(stage: Stage) -> None:
    answer = await stage.call("GET", f"/api/v1/events/{EVENT_OF_ACME}", KEYS["key of beta"])
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, unknown_event().message)


async def test_scopes_that_do_not_suffice_are_told_apart_from_a_role_that_does_not(stage: Stage) -> None:
    answer = await stage.call("POST", "/api/v1/answer", KEYS["key of narrow scopes"])
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="ask"'
    assert "ask" in answer.json()["error"]["message"]
    (told,) = stage.refused
    assert told[2] is not None and (told[2].name, told[2].tenant) == ("key:narrow", "acme")


@pytest.mark.parametrize(
    ("credential", "code", "challenge"),
    [
        ("", "invalid_api_key", "Bearer"),
        ("a b", "invalid_api_key", "Bearer"),
        ("schlüssel-0123456789", "invalid_api_key", "Bearer"),
        ("a.b.c", "invalid_api_key", "Bearer"),
        ("eyJ.e30", "invalid_api_key", "Bearer"),
        ("eyJ.e30.c", "token_malformed", 'Bearer error="invalid_token"'),
        ("k" * (LONGEST_CREDENTIAL + 1), "token_too_long", 'Bearer error="invalid_token"'),
        ("eyJ" + "a" * LONGEST_CREDENTIAL + ".e30.c", "token_too_long", 'Bearer error="invalid_token"'),
    ],
)
async def test_a_credential_is_told_by_its_form(stage: Stage, credential: str, code: str, challenge: str) -> None:
    headers = {"Authorization": f"Bearer {credential}".encode()}
    answer = await stage.client.post("/api/v1/answer", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert answer.headers["www-authenticate"] == challenge


async def test_keys_that_cannot_be_had_are_503_and_nobody_is_refused_for_it(stage: Stage) -> None:
    broken = IdentityProvider()
    token = broken.token(tenant="acme", groups=["staff"])
    broken.close()
    http = client_for(broken.issuer)
    keys = SigningKeys(http, issuer=broken.issuer)
    tokens = BearerTokens(keys, http, issuer=broken.issuer, audience=AUDIENCE, tenant_claim="tenant")
    access = Sources(tenants_file=None, roles_file=None, actions=registry()).load()
    callers = Callers(Identities(ApiKeys.parse(OPERATORS_KEY), lambda: access, tokens), lambda: access)
    refused: list[str] = []
    edge = Edge(
        everything,
        RouteTable(),
        callers,
        {},
        GatewayMetrics(CollectorRegistry()),
        Intake(MemoryQueue()),
        lambda refusal, _: refused.append(refusal.code),
    )
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(edge), base_url="http://gateway") as client:
        answer = await client.post("/api/v1/answer", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "identity_provider_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        # The stack's own key needs nobody else.
        assert (await client.post("/api/v1/answer", headers={"Authorization": f"Bearer {OPERATORS_KEY}"})).status_code == 200
    assert refused == []
    await tokens.aclose()


async def test_without_an_identity_provider_a_token_is_a_wrong_key() -> None:
    access = Sources(tenants_file=None, roles_file=None, actions=registry()).load()
    callers = Callers(Identities(ApiKeys.parse(OPERATORS_KEY), lambda: access), lambda: access)
    route = next(route for route in ROUTES if route.path == "/api/v1/answer")
    with pytest.raises(CallerRefused) as raised:
        await callers.admit(route, {}, ["Bearer eyJhbGciOiJub25lIn0.e30."])
    assert raised.value.code == "invalid_api_key"
    assert await callers.admit(route, {}, [f"Bearer {OPERATORS_KEY}"]) == OPERATOR


async def test_a_token_that_names_no_tenant_is_the_only_tenants_where_there_is_one(provider: IdentityProvider) -> None:
    access = Sources(tenants_file=None, roles_file=None, actions=registry()).load()
    http = client_for(provider.issuer)
    tokens = BearerTokens(
        SigningKeys(http, issuer=provider.issuer), http, issuer=provider.issuer, audience=AUDIENCE, tenant_claim="tenant"
    )
    identities = Identities(ApiKeys.parse(OPERATORS_KEY), lambda: access, tokens)
    found = await identities.identify([f"Bearer {provider.token(groups=['staff'])}"])
    assert (found.name, found.tenant, found.groups, found.scopes) == ("jwt:alice", "default", {"staff"}, {"ask"})
    await tokens.aclose()


def test_a_running_gateway_takes_a_new_key_and_drops_an_old_one_without_a_restart(
    start_gateway: Any, redis_server: Any, tmp_path: Path
) -> None:
    files = {"TENANTS_FILE": tmp_path / "tenants.yaml", "ROLES_FILE": tmp_path / "roles.yaml"}
    without = TENANTS.replace(digest("key of all"), "sha256:" + "0" * 64)
    files["TENANTS_FILE"].write_text(without, encoding="utf-8")
    files["ROLES_FILE"].write_text(ROLES, encoding="utf-8")
    gateway = start_gateway(redis_server, **{name: str(path) for name, path in files.items()})

    def status(key: str) -> int:
        answer = gateway.client.get(f"/api/v1/events/{EVENT_OF_ACME}", headers={"Authorization": f"Bearer {KEYS[key]}"})
        return int(answer.status_code)

    def becomes(key: str, wanted: int) -> None:
        deadline = time.monotonic() + 60
        while status(key) != wanted and time.monotonic() < deadline:
            time.sleep(0.1)
        assert status(key) == wanted

    assert (status("key of all"), status("key of beta")) == (401, 404)
    files["TENANTS_FILE"].write_text(TENANTS, encoding="utf-8")
    becomes("key of all", 404)  # known, and there is no such event
    files["ROLES_FILE"].write_text(ROLES.replace("read:events", "read:event"), encoding="utf-8")
    while "access_reload_failed" not in gateway.log:
        time.sleep(0.1)
    assert status("key of all") == 404
    files["ROLES_FILE"].write_text(ROLES.replace('"read:events", ', ""), encoding="utf-8")
    becomes("key of all", 403)
    assert gateway.stop() == 0
    assert KEYS["key of all"] not in gateway.log


def test_a_running_gateway_takes_the_tokens_of_its_identity_provider_and_tells_what_is_wrong_with_others(
    start_gateway: Any, redis_server: Any, inference: Any, provider: IdentityProvider
) -> None:
    gateway = start_gateway(redis_server, OIDC_ISSUER=provider.issuer, OIDC_AUDIENCE=AUDIENCE)

    def code(token: str) -> str:
        answer = gateway.client.post(
            "/api/v1/answer", headers={"Authorization": f"Bearer {token}"}, json={"question": "What is the capital of France?"}
        )
        return str(answer.json()["error"]["code"]) if answer.status_code != 200 else "200"

    good = provider.token()
    assert {
        name: code(token)
        for name, token in {
            "good": good,
            "unsigned": _unsigned(good),
            "forged": _forged(good, provider.token(sub="another")),
            "another audience": provider.token(aud="another"),
            "another issuer": provider.token(iss="https://elsewhere.example"),
            "expired": provider.token(exp=1),
            "early": provider.token(nbf=int(time.time()) + 600),
            "unknown key": provider.token("rsa-new"),
            "no scope": provider.token(scope=GONE),
        }.items()
    } == {
        "good": "200",
        "unsigned": "token_refused_algorithm",
        "forged": "token_invalid_signature",
        "another audience": "token_wrong_audience",
        "another issuer": "token_wrong_issuer",
        "expired": "token_expired",
        "early": "token_not_yet_valid",
        "unknown key": "token_unknown_key",
        "no scope": "insufficient_scope",
    }
    assert gateway.stop() == 0
    assert good not in gateway.log and good.split(".")[2] not in gateway.log


def test_a_gateway_with_wrong_files_does_not_start_and_says_all_that_is_wrong(gateway: Any, tmp_path: Path) -> None:
    (tmp_path / "tenants.yaml").write_text(TENANTS.replace("slack:T1", "slak:T1"), encoding="utf-8")
    (tmp_path / "roles.yaml").write_text(ROLES.replace("[ask]", "[asks]"), encoding="utf-8")
    files = {"TENANTS_FILE": str(tmp_path / "tenants.yaml"), "ROLES_FILE": str(tmp_path / "roles.yaml")}
    ended = subprocess.run(
        [sys.executable, "-m", "app.gateway"], env=gateway.environment | files, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert 'unknown platform "slak"' in ended.stderr and 'unknown permission "asks"' in ended.stderr
    assert "Traceback" not in ended.stderr


class Kept:
    """An audit log that keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str, str, dict[str, Any]]] = []

    async def record(
        self, action: str, *, actor: str, tenant: str = "", subject: str = "", outcome: str = "done", **details: str | int
    ) -> None:
        self.records.append((action, actor, tenant, details))


async def test_a_refusal_is_counted_by_its_code_and_recorded_without_the_credential() -> None:
    log, counted = Kept(), CollectorRegistry()
    notices = Notices(log)
    refusals = Refusals(counted, notices)
    refusals(CallerRefused(401, "token_expired", "the token has expired"), "/api/v1/answer")
    who = Principal(name="key:ci", tenant="acme")
    refusals(CallerRefused(403, "permission_denied", "none of your roles", who), "/api/v1/answer")
    await notices.aclose()
    assert counted.get_sample_value("assistant_refused_total", {"code": "token_expired"}) == 1
    assert [(action, actor, tenant) for action, actor, tenant, _ in log.records] == [
        (SIGN_IN_REFUSED, "", ""),
        (PERMISSION_DENIED, "key:ci", "acme"),
    ]
    assert all(details["route"] == "/api/v1/answer" for *_, details in log.records)


def test_the_page_of_the_api_names_every_code_with_which_a_caller_is_refused() -> None:
    page = PAGE.read_text(encoding="utf-8")
    codes = {code for _, code in REFUSED.values()} | {
        *("token_malformed", "token_not_yet_valid", "token_unknown_key", "token_too_long"),
        *("identity_provider_unavailable", "insufficient_scope", "permission_denied", "unknown_tenant"),
    }
    assert not {code for code in codes if f"`{code}`" not in page}, json.dumps(sorted(codes))
