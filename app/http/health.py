"""Liveness and readiness, with the aliases that load balancers and the Open Inference Protocol ask for.

Alive: the event loop turns; a dependency is never asked, since a restart would not mend it. Ready: work sent now would be
done. Both answer 200 or 503 with ``{"status": …, "reason": …, …}``; no probe needs a credential, so none tells a secret.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter
from starlette.responses import JSONResponse

from app.http.lifecycle import Lifecycle

LIVE_PATHS = ("/healthz", "/health", "/v2/health/live")
READY_PATHS = ("/readyz", "/v2/health/ready")


@dataclass(frozen=True)
class Verdict:
    """``reason`` is None when all is well; ``details`` are further fields of the body (a model's name, a backlog)."""

    reason: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


async def _well() -> Verdict:
    return Verdict()


def router(
    lifecycle: Lifecycle,
    ready: Callable[[], Awaitable[Verdict]] = _well,
    live: Callable[[], Awaitable[Verdict]] = _well,
) -> APIRouter:
    """The probe routes. ``ready`` is asked only while the process is not draining."""
    routes = APIRouter(tags=["health"])

    async def readyz() -> JSONResponse:
        if lifecycle.draining.is_set():
            return _answer(Verdict("draining: this process is about to stop"), "ready")
        return _answer(await ready(), "ready")

    async def healthz() -> JSONResponse:
        return _answer(await live(), "alive")

    for path in READY_PATHS:
        routes.add_api_route(path, readyz, summary="Ready for work")
    for path in LIVE_PATHS:
        routes.add_api_route(path, healthz, summary="Alive")
    return routes


def _answer(verdict: Verdict, good: str) -> JSONResponse:
    well = verdict.reason is None
    body = {"status": good if well else f"not {good}", "reason": verdict.reason, **verdict.details}
    return JSONResponse(body, 200 if well else 503, {"Cache-Control": "no-store"})
