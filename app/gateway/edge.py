"""The outermost layer: every request is looked up, authenticated and measured before the application sees it.

In this order: known path (404) and method (405); API key or token (401, 503), its permission (403) and whose event it asks for
(404); declared size of the body (413); the platform's signature headers (401), and only then the body is read: its size (413,
415), its signature over the raw bytes (401), parsing (400). A platform's event is then stored and answered here
(:mod:`app.gateway.intake`); all else goes to the application. Every answer leaves with the security headers, and a line in the
log that holds identifiers, a status and a duration, nothing of the content.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.auth.principal import PRINCIPAL
from app.gateway.callers import CallerRefused, Callers
from app.gateway.intake import Intake
from app.gateway.metrics import GatewayMetrics
from app.gateway.routes import NO_BODY, Authentication, Route, RouteTable
from app.http.body import receive_bytes, refuse_declared
from app.http.errors import ApiError, render, unforeseen
from app.http.health import LIVE_PATHS, READY_PATHS
from app.platforms.inbound import PlatformEvents, RawRequest, Received, SignatureRefused
from app.telemetry.logs import get_logger

_PROBES = frozenset((*LIVE_PATHS, *READY_PATHS))
# Strict-Transport-Security would cover every port of "localhost", also other people's plain-HTTP servers there.
_LOCAL = re.compile(rb"(localhost|127\.[\d.]+|\[::1\])(:\d+)?", re.IGNORECASE)
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


Refused = Callable[[CallerRefused, str], None]


def nobody_hears(_refusal: CallerRefused, _route: str) -> None:
    return None


class Edge:
    """ASGI round the application. ``platforms`` by name: those whose secret is configured. ``refused`` hears of each request
    that is refused because of who sent it, and of the route's template."""

    def __init__(
        self,
        app: ASGIApp,
        table: RouteTable,
        callers: Callers,
        platforms: Mapping[str, PlatformEvents],
        metrics: GatewayMetrics,
        intake: Intake,
        refused: Refused = nobody_hears,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._table = table
        self._callers = callers
        self._platforms = dict(platforms)
        self._intake = intake
        self._refused = refused
        self._log = get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, request_id = time.monotonic(), 500, uuid.uuid4().hex

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, scope, request_id)
            await send(message)

        route: Route | None = None
        body: Mapping[str, str] | None = None
        try:
            route, parameters = self._find(scope)
            if route.authentication is Authentication.PLATFORM:
                body = await self._intake.take(await self._check_platform(route, scope, receive))
            else:
                await self._authenticate(route, parameters, scope)
        except ApiError as refusal:
            if isinstance(refusal, CallerRefused) and route is not None:
                self._refused(refusal, route.path)
            await render(refusal)(scope, receive, sending)
        except Exception:
            await render(unforeseen())(scope, receive, sending)
            raise  # to the log, as the application's own are
        else:
            await (self._app(scope, receive, sending) if body is None else _answer(sending, body))
        finally:
            path, seconds = route.path if route else "", time.monotonic() - started
            self._metrics.answered(path or None, scope["method"], status, seconds)
            write = self._log.debug if path in _PROBES else self._log.info
            milliseconds = round(seconds * 1000, 1)
            write(
                "request", request=request_id, method=scope["method"][:16], route=path, status=status, milliseconds=milliseconds
            )

    def _find(self, scope: Scope) -> tuple[Route, Mapping[str, str]]:
        found = self._table.find(scope["method"], scope["path"])
        if not found.allowed:
            raise ApiError(404, "not_found", "there is nothing at this path; GET /docs lists what there is")
        if found.route is None:
            methods = ", ".join(sorted(found.allowed))
            raise ApiError(
                405, "method_not_allowed", f"the method is not allowed here; use {methods}", headers={"Allow": methods}
            )
        return found.route, found.parameters

    async def _authenticate(self, route: Route, parameters: Mapping[str, str], scope: Scope) -> None:
        """Who asks stands in the scope's state then, where that has to be known."""
        if route.authentication is Authentication.API_KEY:
            authorization = Request(scope).headers.getlist("authorization")
            scope.setdefault("state", {})[PRINCIPAL] = await self._callers.admit(route, parameters, authorization)
        if route.limit == NO_BODY:
            _refuse_body(scope)

    async def _check_platform(self, route: Route, scope: Scope, receive: Receive) -> Received:
        platform = self._platforms.get(route.platform)
        if platform is None:
            raise ApiError(404, "not_found", f"the platform {route.platform!r} is not configured on this assistant")
        refuse_declared(scope, route.limit)
        try:
            platform.admit(scope["headers"])
            body = await receive_bytes(scope, receive, route.limit)
            return platform.receive(RawRequest(scope["headers"], scope["query_string"], body))
        except SignatureRefused as refusal:
            raise CallerRefused(401, refusal.code, str(refusal)) from None


async def _answer(send: Send, values: Mapping[str, str]) -> None:
    body = _ENCODE(values).encode()
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _refuse_body(scope: Scope) -> None:
    headers = {name: value for name, value in scope["headers"] if name in (b"content-length", b"transfer-encoding")}
    if b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0"):
        raise ApiError(413, "body_too_large", "no body is expected here: send the request without one")


def _add_headers(message: Message, scope: Scope, request_id: str) -> None:
    headers = message["headers"] = list(message.get("headers", ()))
    present = {name for name, _ in headers}
    headers.extend(pair for pair in SECURITY_HEADERS if pair[0] not in present)
    headers.append((b"x-request-id", request_id.encode()))
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    if scope["scheme"] == "https" and not _LOCAL.fullmatch(host):
        headers.append((b"strict-transport-security", b"max-age=31536000"))
