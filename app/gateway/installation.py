"""The two pages of an installation: ``GET /oauth/{platform}/start`` and ``/callback``. What they decide is in
:mod:`app.auth.installation`; here are the browser's cookie and what a person reads."""

from __future__ import annotations

from html import escape
from typing import Final, Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.auth.installation import STATE_SECONDS, Begun, Finished, InstallationRefused
from app.gateway.documentation import POLICY, STYLE

# The prefix binds it to this host, over TLS, for every path (RFC 6265bis §4.1.3.2): no neighbour can set or read it.
COOKIE: Final = "__Host-assistant-installation"


class Installing(Protocol):
    """As :class:`app.auth.installation.Installer`."""

    async def start(self, platform: str, redirect_uris: list[str]) -> Begun: ...

    async def finish(self, platform: str, *, state: str, code: str, error: str, browser: str) -> Finished: ...


def installation_routes(installer: Installing | None) -> APIRouter:
    """None: nothing can be installed, and both pages say so."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/oauth/{platform}/start")
    async def start(platform: str, request: Request) -> Response:
        if installer is None:
            return _refusal(_NOT_SET_UP)
        try:
            begun = await installer.start(platform, request.query_params.getlist("redirect_uri"))
        except InstallationRefused as refusal:
            return _refusal(refusal)
        response = RedirectResponse(begun.url, status_code=302)
        # Lax, so that it comes along when the platform sends the browser back, and with nothing that is embedded elsewhere.
        response.set_cookie(COOKIE, begun.browser, max_age=STATE_SECONDS, path="/", secure=True, httponly=True, samesite="lax")
        return response

    @routes.get("/oauth/{platform}/callback")
    async def callback(platform: str, request: Request) -> Response:
        if installer is None:
            return _refusal(_NOT_SET_UP)
        state, code, error = (_only(request, name) for name in ("state", "code", "error"))
        try:
            done = await installer.finish(
                platform, state=state, code=code, error=error, browser=request.cookies.get(COOKIE, "")
            )
        except InstallationRefused as refusal:
            response = _refusal(refusal)
        else:
            where = f"{done.team_name} ({done.team})" if done.team_name else done.team
            response = page(
                200, "Installed", f"The assistant is installed in {done.title} for {where}. You can close this page."
            )
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return response

    return routes


_NOT_SET_UP = InstallationRefused(404, "not_set_up", "This assistant is not set up to be installed by its users.")


def page(status: int, title: str, text: str) -> HTMLResponse:
    """The title and the text are escaped here."""
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1><p>{escape(text)}</p></body></html>"
    )
    return HTMLResponse(html, status, headers={"Content-Security-Policy": POLICY})


def _refusal(refusal: InstallationRefused) -> HTMLResponse:
    return page(refusal.status, "Not installed", str(refusal))


def _only(request: Request, name: str) -> str:
    """The value of a parameter that came once; of two, neither is to be trusted (RFC 6749 §3.1)."""
    values = request.query_params.getlist(name)
    return values[0] if len(values) == 1 else ""
