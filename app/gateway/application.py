"""The gateway put together from its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fastapi import FastAPI
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp

from app.gateway import api
from app.gateway.administration import administration_routes
from app.gateway.callers import Callers
from app.gateway.documentation import POLICY, openapi_of, page
from app.gateway.edge import Edge, Refused, nobody_hears
from app.gateway.installation import Installing, installation_routes
from app.gateway.intake import Intake
from app.gateway.metrics import GatewayMetrics
from app.gateway.readiness import Readiness
from app.gateway.routes import RouteTable
from app.http import errors, health
from app.http.lifecycle import Lifecycle
from app.pipeline.answer import Answerer
from app.pipeline.queue import Queue
from app.platforms.inbound import PlatformEvents
from app.telemetry.audit.operation import NoAudit
from app.telemetry.audit.record import Audit
from app.tenants.tenant import Tenants

DESCRIPTION = (
    "Ask a question and get a model's answer, or send a collaboration platform's events and have them answered or carried "
    "out there. All times are UTC."
)


def nobody() -> Tenants:
    return Tenants(())


def build(
    queue: Queue,
    answerer: Answerer,
    readiness: Readiness,
    lifecycle: Lifecycle,
    tenants: Callable[[], Tenants] = nobody,
    audit: Audit | None = None,
    installer: Installing | None = None,
) -> FastAPI:
    """The application alone, without :class:`app.gateway.edge.Edge`: whoever serves it must put the edge round it. Without
    ``audit`` the administration's routes answer 503."""
    app = FastAPI(
        title="Assistant",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    errors.install(app)
    app.include_router(api.router(queue, answerer))
    app.include_router(administration_routes(queue, tenants, audit or NoAudit()))
    app.include_router(installation_routes(installer))
    app.include_router(health.router(lifecycle, readiness))
    return app


def create_app(
    *,
    callers: Callers,
    platforms: Mapping[str, PlatformEvents],
    queue: Queue,
    answerer: Answerer,
    readiness: Readiness,
    lifecycle: Lifecycle,
    metrics: GatewayMetrics,
    refused: Refused = nobody_hears,
    tenants: Callable[[], Tenants] = nobody,
    audit: Audit | None = None,
    installer: Installing | None = None,
    table: RouteTable | None = None,
) -> ASGIApp:
    """Raises :class:`app.gateway.routes.RouteError` when a route has no entry in the table."""
    table = table or RouteTable()
    app = build(queue, answerer, readiness, lifecycle, tenants, audit, installer)
    _add_documentation(app, table)
    table.check(app)
    return Edge(app, table, callers, platforms, metrics, Intake(queue), refused)


def _add_documentation(app: FastAPI, table: RouteTable) -> None:
    async def docs() -> HTMLResponse:
        return HTMLResponse(html, headers={"Content-Security-Policy": POLICY})

    async def openapi_json() -> JSONResponse:
        return JSONResponse(document)

    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_api_route("/openapi.json", openapi_json, include_in_schema=False)
    document = openapi_of(app, table)
    html = page(document)
