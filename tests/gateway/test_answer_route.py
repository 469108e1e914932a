"""What the answer route asks for: whose answer, and whether it may be one given before."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from app.auth.principal import OPERATOR, PRINCIPAL, Principal
from app.gateway.application import build
from app.http.health import Verdict
from app.http.lifecycle import Lifecycle
from app.pipeline.instructed import InstructedAnswers
from app.pipeline.memory_queue import MemoryQueue


class Recording:
    """An answerer that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def answer(self, question: str, context: str = "", **more: Any) -> str:
        self.asked.append({"question": question, "context": context, **more})
        return "Paris."


async def ready() -> Verdict:
    return Verdict()


async def ask(answerer: Any, principal: Principal | None, **headers: str) -> httpx2.Response:
    app = build(MemoryQueue(), answerer, ready, Lifecycle())

    async def let_in(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {} if principal is None else {PRINCIPAL: principal}
        await app(scope, receive, send)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(let_in), base_url="http://gateway") as client:
        body = {"question": "Why?", "context": "Europe"}
        return await client.post("/api/v1/answer", json=body, headers={**headers})


@pytest.mark.parametrize(
    ("principal", "tenant"),
    [
        (Principal(name="key:reports", tenant="acme"), "acme"),
        (Principal(name="jwt:ada", tenant="globex"), "globex"),
        (OPERATOR, "default"),
        (None, "default"),
    ],
)
async def test_a_question_is_the_tenants_who_asks(principal: Principal | None, tenant: str) -> None:
    answerer = Recording()
    response = await ask(answerer, principal)
    assert (response.status_code, response.json()) == (200, {"answer": "Paris."})
    assert answerer.asked == [{"question": "Why?", "context": "Europe", "tenant": tenant, "fresh": False}]


@pytest.mark.parametrize(
    ("value", "fresh"),
    [
        ("no-cache", True),
        ("No-Cache", True),
        ("max-age=0, no-cache", True),
        ("max-age=0", False),
        ("x-no-cache", False),
        ("", False),
    ],
)
async def test_no_cache_asks_for_a_fresh_answer(value: str, fresh: bool) -> None:
    answerer = Recording()
    await ask(answerer, None, **{"Cache-Control": value})
    assert answerer.asked[0]["fresh"] is fresh


async def test_a_tenants_instructions_go_along_with_what_its_callers_ask() -> None:
    answerer = Recording()
    instructed = InstructedAnswers(answerer, {"acme": "Be brief.", "default": ""}.__getitem__)
    await ask(instructed, Principal(name="key:reports", tenant="acme"))
    await ask(instructed, None)
    await instructed.answer("Why?", tenant="acme", instructions="In verse.")
    assert [asked["instructions"] for asked in answerer.asked] == ["Be brief.", "", "In verse."]
