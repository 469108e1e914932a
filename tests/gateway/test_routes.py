"""The one table: complete, enforced, and what the documentation says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.routing import Mount
from starlette.types import Message

from app.auth.api_keys import ApiKeys
from app.auth.identity import Identities
from app.gateway.application import build
from app.gateway.callers import Callers
from app.gateway.edge import Edge
from app.gateway.intake import Intake
from app.gateway.metrics import GatewayMetrics
from app.gateway.routes import INSTALLATION_PATHS, ROUTES, Authentication, Route, RouteError, RouteTable
from app.http.health import Verdict
from app.http.lifecycle import Lifecycle
from app.pipeline.memory_queue import MemoryQueue
from app.platforms.inbound import Received
from app.tenants.access import Sources

HIDDEN = {"/docs", "/openapi.json", *INSTALLATION_PATHS}  # pages for people


async def ready() -> Verdict:
    return Verdict()


def application() -> FastAPI:
    """As the gateway's, with the two documentation routes left to be added."""
    app = build(MemoryQueue(), None, ready, Lifecycle())  # type: ignore[arg-type]
    for path in ("/docs", "/openapi.json"):
        app.add_api_route(path, lambda: None)
    return app


def test_the_table_lists_what_the_application_serves() -> None:
    RouteTable().check(application())


@pytest.mark.parametrize("path", ["/new", "/events/{id}", "/api/v1/answer/"])
def test_a_route_without_an_entry_stops_the_start(path: str) -> None:
    app = application()
    app.add_api_route(path, lambda: None, methods=["POST"])
    with pytest.raises(RouteError, match=re.escape(path)):
        RouteTable().check(app)


def test_a_further_method_of_a_known_path_needs_an_entry_of_its_own() -> None:
    app = application()
    app.add_api_route("/events", lambda: None, methods=["DELETE"])
    with pytest.raises(RouteError, match="DELETE /events"):
        RouteTable().check(app)


def test_a_mount_cannot_be_judged_and_so_stops_the_start() -> None:
    app = application()
    app.routes.append(Mount("/static", lambda *_: None))  # type: ignore[arg-type]
    with pytest.raises(RouteError):
        RouteTable().check(app)


def test_an_entry_that_nothing_serves_stops_the_start() -> None:
    table = RouteTable([*ROUTES, Route(method="GET", path="/gone", authentication=Authentication.NONE)])
    with pytest.raises(RouteError, match="/gone"):
        table.check(application())


def test_an_entry_that_takes_an_api_key_says_what_the_key_must_permit_and_no_other_does() -> None:
    for authentication, permission in ((Authentication.API_KEY, ""), (Authentication.NONE, "ask")):
        with pytest.raises(RouteError, match="/odd"):
            RouteTable([Route(method="GET", path="/odd", authentication=authentication, permission=permission)])


def test_the_parts_of_a_path_are_found_by_their_names() -> None:
    found = RouteTable().find("GET", "/api/v1/events/slack:T1:a/b")
    assert found.route is not None and found.route.event == "key"
    assert found.parameters == {"key": "slack:T1:a/b"}


def test_only_probes_and_documentation_are_open() -> None:
    open_paths = {route.path for route in ROUTES if route.authentication is Authentication.NONE}
    probes = {"/healthz", "/health", "/v2/health/live", "/readyz", "/v2/health/ready"}
    assert open_paths == {*probes, "/docs", "/openapi.json"}


async def test_a_route_that_slipped_past_the_check_is_refused_all_the_same() -> None:
    app = application()
    app.add_api_route("/secret", lambda: "secret")
    access = Sources(tenants_file=None, roles_file=None, actions=("calendar.create",)).load()
    callers = Callers(Identities(ApiKeys.parse("k" * 32), lambda: access), lambda: access)
    edge = Edge(app, RouteTable(), callers, {}, GatewayMetrics(CollectorRegistry()), Intake(MemoryQueue()))
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/secret", "headers": [], "query_string": b"", "scheme": "http"}
    await edge(scope, receive, send)
    assert sent[0]["status"] == 404
    assert b"secret" not in sent[1]["body"]


class Broken:
    """A platform's half with a defect."""

    name = "generic"

    def admit(self, headers: object) -> None:
        raise ZeroDivisionError("canary-of-the-defect")

    def receive(self, request: object) -> Received:
        raise AssertionError("not reached")


async def test_a_defect_of_ours_is_a_500_that_tells_nothing_and_reaches_the_log() -> None:
    access = Sources(tenants_file=None, roles_file=None, actions=("calendar.create",)).load()
    callers = Callers(Identities(ApiKeys.parse("k" * 32), lambda: access), lambda: access)
    platforms = {"generic": Broken()}
    edge = Edge(application(), RouteTable(), callers, platforms, GatewayMetrics(CollectorRegistry()), Intake(MemoryQueue()))
    transport = httpx2.ASGITransport(edge, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.post("/events", content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "canary" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    with pytest.raises(ZeroDivisionError):  # what uvicorn writes down
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(edge), base_url="http://gateway") as client:
            await client.post("/events", content=b"{}")


def test_a_platform_that_is_not_configured_is_404(start_gateway: Any, redis_server: Any) -> None:
    gateway = start_gateway(redis_server, GENERIC_WEBHOOK_SECRET="whsec_" + "A" * 43 + "=")
    del gateway.environment["GENERIC_WEBHOOK_SECRET"]
    gateway.stop()
    gateway.start()
    assert gateway.client.post("/events", content=b"{}").status_code == 404
    gateway.stop()


def test_openapi_is_complete_and_says_how_each_operation_is_authenticated(gateway: Any) -> None:
    document = gateway.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    entries = {(route.method, route.path.replace(":path}", "}")): route for route in ROUTES}
    listed = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert listed == {pair for pair in entries if pair[1] not in HIDDEN}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            authentication = entries[method.upper(), path].authentication
            expected = [] if authentication is Authentication.NONE else [{authentication.value: []}]
            assert operation["security"] == expected
            assert operation["summary"]
            if expected:
                assert "401" in operation["responses"]
            if entries[method.upper(), path].permission:
                assert "403" in operation["responses"]
            assert "422" not in operation["responses"]
    assert set(document["components"]["securitySchemes"]) == {"api_key", "platform"}
    references = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document))
    assert references and set(references) <= set(document["components"]["schemas"])
    example = document["components"]["schemas"]["ErrorResponse"]["examples"][0]
    assert set(example["error"]) == {"message", "type", "code", "param"}


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(gateway: Any) -> None:
    response = gateway.client.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert "<script" not in response.text
    assert not re.search(r'(?:src|srcset|@import|url\()\s*=?\s*["\']?https?:', response.text)
    assert "default-src 'none'" in response.headers["content-security-policy"]
    for route in ROUTES:
        if route.path not in HIDDEN:
            assert route.path.replace(":path}", "}") in response.text


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/nothing", "/api/v1/answer"])
def test_every_answer_carries_the_security_headers(gateway: Any, path: str) -> None:
    headers = gateway.client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    assert len(headers["x-request-id"]) == 32
    # On this machine's own name it would forbid plain HTTP to everything else that runs here.
    assert "strict-transport-security" not in headers
    elsewhere = gateway.client.get(path, headers={"host": "assistant.example.com"}).headers
    assert elsewhere["strict-transport-security"] == "max-age=31536000"


IMPORT = """
import sys, time
import app.gateway.__main__
heavy = [name for name in ("numpy", "onnxruntime", "tokenizers", "onnx", "gguf", "pulumi", "re2") if name in sys.modules]
# The peak of this program alone: getrusage's would include that of the process it was forked from.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(time.process_time(), int(peak) / 1024, *heavy)
"""


def test_the_gateway_is_light_to_import() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    seconds, mebibytes, heavy = float(shown[0]), float(shown[1]), shown[2:]
    assert heavy == []
    assert mebibytes < 120
    assert seconds < 3, "about 1.3 s of one slow, shared core; the bound catches a heavy import, not a busy machine"
