"""What an operator sees and does of what was set aside: recorded, without a word of what was said, their own alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.api_keys import ApiKeys, TenantKey, parse_digests
from app.auth.identity import Identities
from app.auth.principal import OPERATOR, PRINCIPAL, Principal
from app.auth.roles import Role, Roles
from app.gateway.administration import administration_routes
from app.gateway.application import create_app
from app.gateway.callers import Callers
from app.gateway.metrics import GatewayMetrics
from app.gateway.routes import DEAD_LETTERS
from app.http import errors
from app.http.lifecycle import Lifecycle
from app.pipeline.event import Event
from app.pipeline.memory_queue import MemoryQueue
from app.pipeline.queue import QueueUnavailable, State
from app.telemetry.audit.operation import NoAudit
from app.telemetry.audit.record import AuditUnavailable, Detail, Entry
from app.tenants.access import Access
from app.tenants.tenant import Tenant, Tenants

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SALES = Principal(name="key:sales-bot", tenant="sales")
TENANTS = Tenants([Tenant(name="sales", teams=frozenset({"slack:T1"})), Tenant(name="rest", teams=frozenset({"*"}))])


@dataclass
class Kept:
    """The audit log of these tests: a list."""

    entries: list[Entry] = field(default_factory=list)
    away_after: int | None = None

    async def record(
        self, action: str, *, actor: str, tenant: str = "", subject: str = "", outcome: str = "done", **details: Detail
    ) -> None:
        if self.away_after is not None and len(self.entries) >= self.away_after:
            raise AuditUnavailable("the audit log cannot be written: No space left on device")
        self.entries.append(Entry(action=action, actor=actor, tenant=tenant, subject=subject, outcome=outcome, details=details))

    @property
    def told(self) -> list[tuple[str, str, str, str]]:
        return [(entry.action, entry.actor, entry.subject, entry.outcome) for entry in self.entries]


class Office:
    """A gateway's administration, asked by ``principal``."""

    def __init__(self, queue: MemoryQueue, audit: Any) -> None:
        self.queue, self.audit = queue, audit
        self.principal: Principal | None = OPERATOR
        app = FastAPI()
        errors.install(app)
        app.include_router(administration_routes(queue, lambda: TENANTS, audit))
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(self._let_in(app)), base_url="http://gateway")

    async def list(self, **query: Any) -> httpx2.Response:
        return await self.client.get(DEAD_LETTERS, params=query)

    async def call(self, method: str, key: str, then: str = "") -> httpx2.Response:
        return await self.client.request(method, f"{DEAD_LETTERS}/{quote(key, safe='')}{then}")

    def _let_in(self, app: ASGIApp) -> ASGIApp:
        async def edge(scope: Scope, receive: Receive, send: Send) -> None:
            if self.principal is not None:
                scope.setdefault("state", {})[PRINCIPAL] = self.principal
            await app(scope, receive, send)

        return edge


@pytest.fixture
def audit() -> Kept:
    return Kept()


@pytest.fixture
async def office(audit: Kept) -> AsyncIterator[Office]:
    moments = itertools.count(NOW.timestamp(), 0.002)  # no two events are set aside in the same millisecond
    office = Office(MemoryQueue(clock=lambda: next(moments)), audit)
    yield office
    await office.client.aclose()


SetAsideEvent = Callable[..., Any]


@pytest.fixture
def set_aside(office: Office) -> SetAsideEvent:
    async def put(number: str, platform: str = "slack", team: str = "T1", state: State = State.DEAD) -> str:
        event = Event(
            id=number,
            platform=platform,
            tenant=team,
            conversation=number,
            sender="U-canary",
            text="text-canary",
            received_at=NOW,
            reply_to={"channel": "channel-canary"},
        )
        await office.queue.deliver(event)
        lease = await office.queue.lease("worker")
        assert lease is not None
        await (office.queue.dead_letter if state is State.DEAD else office.queue.park)(lease, "the platform answered 404")
        return event.key

    return put


async def test_what_is_set_aside_is_listed_with_its_reason_and_not_with_its_text(
    office: Office, audit: Kept, set_aside: SetAsideEvent
) -> None:
    dead, unknown = await set_aside("1"), await set_aside("会/2?", "feishu", "t-9", State.UNKNOWN)
    response = await office.list()
    assert response.status_code == 200
    letters = response.json()["dead_letters"]
    assert [(letter["event"], letter["state"]) for letter in letters] == [(dead, "dead"), (unknown, "unknown")]
    assert {(letter["reason"], letter["attempts"]) for letter in letters} == {("the platform answered 404", 1)}
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", letters[0]["at"])
    assert response.json()["next"] is None
    assert [letter["event"] for letter in (await office.list(state="unknown")).json()["dead_letters"]] == [unknown]
    shown = await office.call("GET", unknown)
    assert [entry["stage"] for entry in shown.json()["timeline"]] == ["accepted", "leased", "unknown"]
    assert "canary" not in response.text + shown.text + str(audit.entries)
    assert audit.told == [
        ("event.read_aside", "key:operator", "", "done"),
        ("event.read_aside", "key:operator", "", "done"),
        ("event.read_aside", "key:operator", unknown, "done"),
    ]
    assert [dict(entry.details) for entry in audit.entries] == [
        {"count": 2},
        {"count": 1, "state": "unknown"},
        {"state": "unknown"},
    ]


async def test_page_after_page_gives_each_event_once(office: Office, set_aside: SetAsideEvent) -> None:
    keys = [await set_aside(f"{number}:/ü") for number in range(5)]
    pages: list[list[str]] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        body = (await office.list(**query)).json()
        pages.append([letter["event"] for letter in body["dead_letters"]])
        if body["next"] is None:
            break
        query["after"] = body["next"]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(key for page in pages for key in page) == sorted(keys)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"state": "done"}, "state"),
        ({"after": "yesterday"}, "after"),
        ({"after": "999999999999999:x"}, "after"),
        ({"after": "x" * 1000}, "after"),
    ],
)
async def test_a_wrong_query_is_named(office: Office, query: dict[str, Any], param: str) -> None:
    response = await office.list(**query)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_a_replayed_event_is_queued_again_and_who_did_it_is_recorded(
    office: Office, audit: Kept, set_aside: SetAsideEvent
) -> None:
    key = await set_aside("1")
    response = await office.call("POST", key, "/replay")
    assert (response.status_code, response.json()) == (
        200,
        {"event": key, "was": "dead", "state": "queued", "warning": None},
    )
    lease = await office.queue.lease("worker")
    assert lease is not None
    assert (lease.event.key, lease.attempt) == (key, 1)
    assert audit.told == [
        ("event.replayed", "key:operator", key, "begun"),
        ("event.replayed", "key:operator", key, "done"),
    ]
    assert audit.entries[0].tenant == "sales"
    assert dict(audit.entries[0].details) == {"state": "dead", "attempts": 1}


async def test_a_replay_of_an_unknown_outcome_warns_that_it_may_happen_twice(office: Office, set_aside: SetAsideEvent) -> None:
    key = await set_aside("1", state=State.UNKNOWN)
    assert "twice" in (await office.call("POST", key, "/replay")).json()["warning"]


async def test_a_discarded_event_is_gone(office: Office, audit: Kept, set_aside: SetAsideEvent) -> None:
    key = await set_aside("1")
    response = await office.call("DELETE", key)
    assert response.json() == {"event": key, "was": "dead", "state": "discarded", "warning": None}
    assert await office.queue.set_aside() == []
    assert [told[::3] for told in audit.told] == [("event.discarded", "begun"), ("event.discarded", "done")]
    assert (await office.call("DELETE", key)).status_code == 404


@pytest.mark.parametrize(("method", "then"), [("GET", ""), ("POST", "/replay"), ("DELETE", "")])
async def test_another_tenants_event_is_as_one_that_never_was(
    office: Office, audit: Kept, set_aside: SetAsideEvent, method: str, then: str
) -> None:
    own, other = await set_aside("1"), await set_aside("2", team="T2")
    office.principal = SALES
    assert [letter["event"] for letter in (await office.list()).json()["dead_letters"]] == [own]
    refused, never = await office.call(method, other, then), await office.call(method, "slack:T1:never", then)
    assert refused.status_code == never.status_code == 404
    assert refused.json() == never.json()
    assert len(await office.queue.set_aside()) == 2
    assert [entry.action for entry in audit.entries] == ["event.read_aside"]
    assert (await office.call(method, own, then)).status_code == 200


async def test_a_tenants_list_is_full_although_others_stand_before_it(
    office: Office, set_aside: SetAsideEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gateway.administration.PAGE", 3)
    for number in range(7):
        await set_aside(f"other {number}", team="T2")
    own = [await set_aside(f"own {number}") for number in range(3)]
    office.principal = SALES
    body = (await office.list(limit=2)).json()
    assert len(body["dead_letters"]) == 2
    rest = (await office.list(limit=2, after=body["next"])).json()
    assert sorted(letter["event"] for letter in body["dead_letters"] + rest["dead_letters"]) == sorted(own)
    assert rest["next"] is None


@pytest.mark.parametrize("away_after", [0, None])
async def test_without_an_audit_record_nothing_is_shown_or_done(
    office: Office, audit: Kept, set_aside: SetAsideEvent, away_after: int | None
) -> None:
    key = await set_aside("1")
    asked = Office(office.queue, NoAudit()) if away_after is None else office
    audit.away_after = away_after
    for response in (
        await asked.list(),
        await asked.call("GET", key),
        await asked.call("POST", key, "/replay"),
        await asked.call("DELETE", key),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (503, "audit_unavailable")
        assert response.headers["retry-after"]
        assert key not in response.text
    assert [aside.key for aside in await office.queue.set_aside()] == [key]


async def test_what_was_done_stands_although_its_second_record_was_lost(
    office: Office, audit: Kept, set_aside: SetAsideEvent
) -> None:
    key = await set_aside("1")
    audit.away_after = 1
    assert (await office.call("POST", key, "/replay")).status_code == 200
    assert audit.told == [("event.replayed", "key:operator", key, "begun")]


async def test_somebody_who_was_faster_is_told_and_recorded(
    office: Office, audit: Kept, set_aside: SetAsideEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await set_aside("1")

    async def too_late(_key: str) -> bool:
        return False

    monkeypatch.setattr(office.queue, "replay", too_late)
    response = await office.call("POST", key, "/replay")
    assert (response.status_code, "somebody was faster" in response.text) == (404, True)
    assert [told[3] for told in audit.told] == ["begun", "not_found"]


async def test_a_queue_that_does_not_answer_leaves_the_outcome_unknown(
    office: Office, audit: Kept, set_aside: SetAsideEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await set_aside("1")

    async def lost(_key: str) -> bool:
        raise QueueUnavailable("Redis did not answer within 250 ms")

    monkeypatch.setattr(office.queue, "discard", lost)
    response = await office.call("DELETE", key)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "queue_unavailable")
    assert [told[3] for told in audit.told] == ["begun", "unknown"]


async def test_whom_the_edge_did_not_let_in_sees_nothing(office: Office, set_aside: SetAsideEvent) -> None:
    await set_aside("1")
    office.principal = None
    assert (await office.list()).status_code == 403


@pytest.mark.parametrize("key", ["x" * 513, "slack:T1:\x00", "slack", "replay"])
async def test_a_key_that_can_be_none_is_404(office: Office, key: str) -> None:
    assert (await office.call("GET", key)).status_code == 404


KEYS = {
    "operator": "operator-key-canary-0",
    "clerk": "clerk-key-canary-0000",
    "chief": "chief-key-canary-0000",
    "guest": "guest-key-canary-0000",
}
MAY = {
    "operator": {"list", "show", "replay", "discard"},
    "chief": {"list", "show", "replay", "discard"},
    "clerk": {"list", "show"},
    "guest": set(),
    "chief, limited": {"list", "show", "replay"},
}
CALLS = {
    "list": ("GET", "", ""),
    "show": ("GET", "key", ""),
    "replay": ("POST", "key", "/replay"),
    "discard": ("DELETE", "key", ""),
}


def behind_the_edge(queue: MemoryQueue, audit: Kept) -> httpx2.AsyncClient:
    """The gateway with its edge, three keys of the tenant "sales" and what their roles permit."""
    tenant_keys = tuple(
        TenantKey(name=name, tenant="sales", digests=parse_digests(secret), scopes=scopes)
        for name, secret, scopes in (
            ("chief", KEYS["chief"], None),
            ("clerk", KEYS["clerk"], None),
            ("guest", KEYS["guest"], None),
            ("chief", f"{KEYS['chief']}-limited", frozenset({"administer:dead-letters", "administer:replay"})),
        )
    )
    tenants = Tenants([Tenant(name="sales", teams=frozenset({"slack:T1"}), keys=tenant_keys)])
    roles = Roles(
        (
            Role(name="operator", members=frozenset({"key:operator"}), permissions=frozenset({"*"})),
            Role(name="chief", members=frozenset({"key:chief"}), permissions=frozenset({"administer"})),
            Role(name="clerk", members=frozenset({"key:clerk"}), permissions=frozenset({"administer:dead-letters"})),
            Role(name="user", members=frozenset({"everybody"}), permissions=frozenset({"ask", "read:events"})),
        )
    )
    access = Access(tenants, roles)
    app = create_app(
        callers=Callers(Identities(ApiKeys.parse(KEYS["operator"]), lambda: access), lambda: access),
        platforms={},
        queue=queue,
        answerer=None,  # type: ignore[arg-type]
        readiness=None,  # type: ignore[arg-type]
        lifecycle=Lifecycle(),
        metrics=GatewayMetrics(CollectorRegistry()),
        tenants=lambda: access.tenants,
        audit=audit,
    )
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://gateway")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("who", MAY)
async def test_each_route_is_open_to_who_has_its_permission_and_to_nobody_else(
    office: Office, audit: Kept, set_aside: SetAsideEvent, who: str, call: str
) -> None:
    key = await set_aside("1")
    method, part, then = CALLS[call]
    secret = KEYS[who] if who in KEYS else f"{KEYS['chief']}-limited"
    async with behind_the_edge(office.queue, audit) as client:
        path = DEAD_LETTERS + (f"/{quote(key, safe='')}" if part else "") + then
        response = await client.request(method, path, headers={"Authorization": f"Bearer {secret}"})
    assert response.status_code == (200 if call in MAY[who] else 403)
    assert {entry.actor for entry in audit.entries} == ({f"key:{who.split(',')[0]}"} if call in MAY[who] else set())
    assert "canary" not in str(audit.entries)
    if call not in MAY[who]:
        assert [aside.key for aside in await office.queue.set_aside()] == [key]


async def test_without_a_key_nothing_is_there_to_be_seen(office: Office, audit: Kept, set_aside: SetAsideEvent) -> None:
    await set_aside("1")
    async with behind_the_edge(office.queue, audit) as client:
        assert (await client.get(DEAD_LETTERS)).status_code == 401
