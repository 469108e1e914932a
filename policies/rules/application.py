"""Rules on the application that a process or container runs: read from the very code that would start."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from policies.ecs import DEFINITIONS, TASK_DEFINITION, known_containers, unknown_tasks
from policies.local_types import PROCESS, Role, role_of, role_of_command
from policies.pods import PROPERTIES, WORKLOADS, each_container
from policies.resource import NotKnown, Resource, View
from policies.rule import PASS, Check, Relation, Rule, Severity, Verdict, each, fail, undetermined
from policies.rules import links
from policies.values import UNKNOWN

# What may be asked without a credential: probes, and documentation of a public interface.
PUBLIC_PATHS: Final = frozenset(
    {"/healthz", "/health", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json"}
)
READ_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
COMMAND: Final = ("command", "args")  # of a container; a shell's line among them counts by its words
LATER: Final = "(later)"
TLS_MODULE: Final = "app.http.serve"
OLD_VERSIONS: Final = frozenset({"MINIMUM_SUPPORTED", "SSLv3", "TLSv1", "TLSv1_1"})
NEW_VERSIONS: Final = frozenset({"TLSv1_2", "TLSv1_3", "MAXIMUM_SUPPORTED"})


@dataclass(frozen=True)
class Route:
    """One route of the gateway; ``authentication``: ``none``, ``api_key``, ``platform``, …"""

    method: str
    path: str
    authentication: str


@cache
def gateway_routes() -> tuple[Route, ...]:
    """The gateway's own table. Its import takes most of a second, so :mod:`policies.__main__` begins it early."""
    from app.gateway.routes import ROUTES

    return tuple(Route(route.method, route.path, str(route.authentication)) for route in ROUTES)


def tls_source() -> str:
    """The source of the module that makes the gateway's TLS context; empty where there is none."""
    spec = importlib.util.find_spec(TLS_MODULE)
    return Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""


def exposed(routes: Sequence[Route]) -> Verdict:
    """Every route but the probes and the documentation demands authentication."""
    if not routes:
        return undetermined("the gateway's table of routes is empty")
    return each(*(partial(_demands, route) for route in routes))


def _demands(route: Route) -> Verdict:
    if route.authentication not in ("none", ""):
        return PASS
    if route.path in PUBLIC_PATHS and route.method.upper() in READ_METHODS:
        return PASS
    return fail(f"{route.method} {route.path} of the gateway can be called by anybody (app/gateway/routes.py)")


def oldest_tls(source: str) -> Verdict:
    """The lowest version that the code sets (``context.minimum_version = ssl.TLSVersion.…``), by reading it."""
    versions = {
        node.value.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Attribute)
        and any(isinstance(target, ast.Attribute) and target.attr == "minimum_version" for target in node.targets)
    }
    if old := sorted(versions & OLD_VERSIONS):
        return fail(f"{TLS_MODULE} lets TLS contexts go down to {', '.join(old)}")
    if versions & NEW_VERSIONS:
        return PASS
    return undetermined(f"{TLS_MODULE} sets no minimum_version that can be read from its source")


@cache
def gateway_tls() -> Verdict:
    return oldest_tls(tls_source())


def _of_process(role: Role, judge: Callable[[], Verdict], process: Resource) -> Verdict:
    return judge() if role_of(process.view) is role else PASS


def _of_container(role: Role, judge: Callable[[], Verdict], _around: object, container: View) -> Verdict:
    """``_around``: the pod or the task definition, as whoever reads containers hands it over."""
    words = [word for name in COMMAND for text in _texts(container, name) for word in text.split()]
    if ("-m", LATER) in pairwise(words):
        raise NotKnown(container.path(COMMAND[0]))
    return judge() if role_of_command(words) is role else PASS


def _texts(container: View, name: str) -> list[str]:
    """With a word for what is not known yet, such as a region among the arguments: the rest tells what runs."""
    value = container.raw(name)
    if isinstance(value, list) and UNKNOWN in value:
        return View({name: [LATER if item is UNKNOWN else item for item in value]}).texts(name) or []
    return container.texts(name) or []


def wherever(
    role: Role, judge: Callable[[], Verdict], of_process: Callable[[Resource], Verdict] | None = None
) -> dict[str, Any]:
    """The checks and relations that ask ``judge`` where a process or container plays ``role``. ``of_process``: instead, where
    a process says more of it than its role."""
    of_container = partial(_of_container, role, judge)
    of_process = of_process or partial(_of_process, role, judge)
    return {
        "checks": (
            Check(types=(PROCESS,), properties=("command",), judge=of_process),
            Check(types=WORKLOADS, properties=PROPERTIES, judge=partial(each_container, judge=of_container)),
            Check(types=(TASK_DEFINITION,), properties=(DEFINITIONS,), judge=known_containers(of_container)),
        ),
        "relations": (Relation(reads={TASK_DEFINITION: (DEFINITIONS,)}, judge=unknown_tasks(of_container)),),
    }


RULES: Final = (
    Rule(
        id="R21",
        name="routes-authenticated",
        title="Every gateway route but the probes and the documentation demands authentication",
        severity=Severity.HIGH,
        controls=("8.5", "8.3", "8.26"),
        remedy="give the route an authentication in app/gateway/routes.py: API_KEY, or PLATFORM for a signed event",
        link=links.API_AUTHENTICATION,
        **wherever(Role.GATEWAY, lambda: exposed(gateway_routes())),
    ),
    Rule(
        id="L11",
        name="tls-minimum-in-code",
        title="The gateway's code accepts TLS 1.2 or newer",
        severity=Severity.CRITICAL,
        controls=("8.21", "8.24", "8.28"),
        remedy="set context.minimum_version = ssl.TLSVersion.TLSv1_2 in app/http/serve.py",
        link=links.TLS,
        **wherever(Role.GATEWAY, gateway_tls),
    ),
)
