"""``GET /metrics``, on a port of its own and for it alone: who may scrape need not reach the application, and vice versa."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.errors import ApiError, render
from app.http.protocol import Limits
from app.http.serve import serving_beside

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A few scrapers and autoscalers, which ask and go.
LIMITS = Limits(head_bytes=8 * 1024, head_count=50, head_seconds=5.0, body_seconds=5.0, keep_alive_seconds=75, connections=32)


async def _nothing() -> None:
    pass


@asynccontextmanager
async def exposing(
    registry: CollectorRegistry, host: str, port: int | None, refresh: Callable[[], Awaitable[None]] = _nothing
) -> AsyncIterator[None]:
    """Serve ``registry`` while the block runs, unless ``port`` is None. ``refresh`` is awaited before each answer and must
    end soon. Raises :class:`app.http.serve.ServeError` when the address cannot be bound."""
    if port is None:
        yield
        return
    async with serving_beside(exposition(registry, refresh), host, port, LIMITS):
        yield


def exposition(registry: CollectorRegistry, refresh: Callable[[], Awaitable[None]] = _nothing) -> ASGIApp:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/metrics":
            answer: Response = render(ApiError(404, "not_found", "this port serves GET /metrics and nothing else"))
        elif scope["method"] != "GET":
            answer = render(ApiError(405, "method_not_allowed", "use GET", headers={"Allow": "GET"}))
        else:
            await refresh()
            answer = Response(generate_latest(registry), media_type=None, headers={"Content-Type": CONTENT_TYPE})
        await answer(scope, receive, send)

    return application
