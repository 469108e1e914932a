"""The one table that gives each route its authentication.

:class:`app.gateway.edge.Edge` looks every request up here before the application sees it, and refuses what is not listed;
:func:`check` compares the table with the application's routes at the start, so a route added without an entry stops the
process rather than stand open. The OpenAPI document takes its security from here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from app.auth.permissions import ADMINISTER_DEAD_LETTERS, ADMINISTER_DISCARD, ADMINISTER_REPLAY, ASK, READ_EVENTS
from app.http.health import LIVE_PATHS, READY_PATHS

NO_BODY = 0
EVENT_BYTES = 256 * 1024  # the longest text that a platform may send, escaped, and room to spare
ANSWER_BYTES = 1024 * 1024


class Authentication(StrEnum):
    API_KEY = "api_key"  # Authorization: Bearer <key>, or a token of the identity provider
    PLATFORM = "platform"  # the platform's signature over the raw body
    OAUTH_STATE = "installation"  # a browser, by the state of an installation that began here: the route itself checks it
    NONE = "none"  # probes and documentation: nothing of anybody's can be read or changed there


class RouteError(RuntimeError):
    """The application's routes and the table disagree: a defect of ours, found at the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """``limit`` caps the body, in bytes. ``platform`` names the one whose signature proves the request. ``permission`` is what
    the caller needs where a key or token proves it. ``event`` names the part of the path that is an event's key: for whom that
    event is another tenant's, there is none."""

    method: str
    path: str  # as FastAPI writes it: {name} is one segment, {name:path} the rest
    authentication: Authentication
    limit: int = NO_BODY
    platform: str = ""
    permission: str = ""
    event: str = ""


DEAD_LETTERS = "/api/v1/admin/dead-letters"


def _administration(method: str, path: str, permission: str, event: str = "") -> Route:
    return Route(method=method, path=path, authentication=Authentication.API_KEY, permission=permission, event=event)


INSTALLATION_PATHS = ("/oauth/{platform}/start", "/oauth/{platform}/callback")
PLATFORMS = ("slack", "feishu")  # each has its events posted to a path of its own; the generic one's are posted to /events
ROUTES = (
    Route(method="POST", path="/events", authentication=Authentication.PLATFORM, platform="generic", limit=EVENT_BYTES),
    *(
        Route(method="POST", path=f"/events/{name}", authentication=Authentication.PLATFORM, platform=name, limit=EVENT_BYTES)
        for name in PLATFORMS
    ),
    Route(method="POST", path="/api/v1/answer", authentication=Authentication.API_KEY, permission=ASK, limit=ANSWER_BYTES),
    Route(
        method="GET",
        path="/api/v1/events/{key:path}",
        authentication=Authentication.API_KEY,
        permission=READ_EVENTS,
        event="key",
    ),
    _administration("GET", DEAD_LETTERS, ADMINISTER_DEAD_LETTERS),
    _administration("GET", f"{DEAD_LETTERS}/{{key:path}}", ADMINISTER_DEAD_LETTERS, event="key"),
    _administration("POST", f"{DEAD_LETTERS}/{{key:path}}/replay", ADMINISTER_REPLAY, event="key"),
    _administration("DELETE", f"{DEAD_LETTERS}/{{key:path}}", ADMINISTER_DISCARD, event="key"),
    *(Route(method="GET", path=path, authentication=Authentication.NONE) for path in (*LIVE_PATHS, *READY_PATHS)),
    *(Route(method="GET", path=path, authentication=Authentication.OAUTH_STATE) for path in INSTALLATION_PATHS),
    Route(method="GET", path="/docs", authentication=Authentication.NONE),
    Route(method="GET", path="/openapi.json", authentication=Authentication.NONE),
)


NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Found:
    """The entry of a request, the parts of its path by their names, and the methods that the path allows (none: there is no
    such path)."""

    route: Route | None
    parameters: Mapping[str, str]
    allowed: frozenset[str]


class RouteTable:
    """Raises :class:`RouteError` for an entry that takes a key from anybody: it must say what the key is to permit."""

    def __init__(self, routes: Iterable[Route] = ROUTES) -> None:
        self.routes = tuple(routes)
        for route in self.routes:
            if (route.authentication is Authentication.API_KEY) != bool(route.permission):
                raise RouteError(f"{route.method} {route.path} needs a permission if, and only if, it takes an API key")
        self._patterns = [(_pattern(route.path), route) for route in self.routes]
        # Most requests, and all that are in a hurry, are to a path that is written out in the table.
        plain = [(route.method, route.path) for route in self.routes if "{" not in route.path]
        self._plain = {request: self._search(*request) for request in plain}

    def find(self, method: str, path: str) -> Found:
        return self._plain.get((method, path)) or self._search(method, path)

    def _search(self, method: str, path: str) -> Found:
        found, parameters, allowed = None, NO_PARAMETERS, set()
        for pattern, route in self._patterns:
            if match := pattern.fullmatch(path):
                allowed.add(route.method)
                if found is None and route.method == method:
                    found, parameters = route, match.groupdict()
        return Found(found, parameters, frozenset(allowed))

    def entry(self, method: str, path: str) -> Route:
        """The entry that is written exactly so. Raises :class:`RouteError`."""
        for route in self.routes:
            if (route.method, route.path) == (method, path):
                return route
        raise RouteError(f"{method} {path} is not in the table of app/gateway/routes.py: give it an authentication")

    def check(self, app: FastAPI) -> None:
        """Raises :class:`RouteError` unless ``app`` serves exactly what the table lists."""
        served = {pair for route in app.routes for pair in _served(route)}
        for method, path in sorted(served):
            self.entry(method, path)
        for route in self.routes:
            if (route.method, route.path) not in served:
                raise RouteError(f"{route.method} {route.path} is in the table of app/gateway/routes.py, but nothing serves it")


def _served(route: BaseRoute) -> Iterable[tuple[str, str]]:
    if isinstance(route, APIRoute):
        return [(method, route.path) for method in route.methods or ()]
    # An included router is an entry of its own in newer FastAPI. A prefix it may have is not seen here; the edge, which sees
    # the path as it is served, refuses it then.
    nested = getattr(getattr(route, "original_router", route), "routes", None)
    if nested:
        return [pair for inner in nested for pair in _served(inner)]
    raise RouteError(f"{route!r} is not an API route: the table cannot say who may use it")


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+(?::path)?\})", path)
    return re.compile("".join(_group(part) if part.startswith("{") else re.escape(part) for part in parts), re.DOTALL)


def _group(part: str) -> str:
    name, _, kind = part.strip("{}").partition(":")
    return f"(?P<{name}>{'.+' if kind else '[^/]+'})"
