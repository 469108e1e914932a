"""How a process is looked after: asked whether it is ready, started again within bounds, its logs bounded."""

from __future__ import annotations

import configparser
from typing import Final

from policies.local_types import PROCESS
from policies.resource import Resource, View
from policies.rule import PASS, Check, Rule, Severity, Verdict, each, fail
from policies.rules import links, probes
from policies.show import show

LIVE_PATHS: Final = frozenset({"/healthz", "/health", "/livez", "/v2/health/live"})
HTTP_KINDS: Final = frozenset({"http", "https"})
KINDS: Final = HTTP_KINDS | {"redis"}
DEFAULT_PATH: Final = "/readyz"  # infra.local.health.Check
LONGEST_WAIT: Final = 900.0  # seconds; a model may load for minutes
LONGEST_STOP: Final = 600  # seconds
MOST_RETRIES: Final = 100


def readiness_is_its_own(resource: Resource) -> Verdict:
    """Ready means: work sent now would be done. Alive means less, and a restart mends it; one path cannot say both."""
    check = resource.view.mapping("check")
    if check is None:
        return fail("check is missing: nobody would notice that the process does not work")
    return each(lambda: _kind(check), lambda: _path(check), lambda: _waits(check))


def _kind(check: View) -> Verdict:
    kind = check.text("kind") or ""
    return PASS if kind in KINDS else fail(f"check.kind is {show(kind) or 'empty'}; it is one of {', '.join(sorted(KINDS))}")


def _path(check: View) -> Verdict:
    if check.text("kind") not in HTTP_KINDS:
        return PASS
    path = check.text("path") or DEFAULT_PATH
    if not path.startswith("/"):
        return fail("check.path is no path")
    return (
        fail(f"check.path is {show(path)}, which tells that the process lives, not that it is ready")
        if path in LIVE_PATHS
        else PASS
    )


def _waits(check: View) -> Verdict:
    for name in ("ready_within", "answer_within"):
        seconds = check.number(name)
        if seconds is not None and not 0 < seconds <= LONGEST_WAIT:
            return fail(f"check.{name} is {show(seconds)} s; it is more than 0 and at most {LONGEST_WAIT:g}")
    return PASS


def restarts_are_bounded(resource: Resource) -> Verdict:
    """The stop has an end by the resource's inputs; retries and logs by what ``infra/local`` makes of them for supervisord."""
    return each(lambda: _stop(resource.view), lambda: _supervision(supervision_of(resource.view)))


def _stop(view: View) -> Verdict:
    seconds = view.integer("stopSeconds")
    if seconds is None:
        return fail("stopSeconds is missing: a stop would have no end")
    return PASS if 0 < seconds <= LONGEST_STOP else fail(f"stopSeconds is {seconds}; it is from 1 to {LONGEST_STOP}")


def supervision_of(view: View) -> dict[str, str]:
    """The section of supervisord's configuration that this process would get; empty where there is none to be read."""
    from infra.local.description import Description  # late: only this rule needs it

    name = view.text("process") or ""
    # Only what the section is made of; commands and environments stay out of it.
    blank = {"command": [], "environment": {}, "check": {"kind": "http", "port": 0}}
    properties = {"stateDirectory": "/", "process": name, "stopSeconds": view.integer("stopSeconds") or 0, **blank}
    parser = configparser.RawConfigParser()
    parser.read_string(Description.from_properties(properties).configuration_text("python"))
    section = f"program:{name}"
    return dict(parser[section]) if parser.has_section(section) else {}


def _supervision(section: dict[str, str]) -> Verdict:
    return each(
        lambda: _restarts(section),
        lambda: _logs(section),
    )


def _restarts(section: dict[str, str]) -> Verdict:
    if section.get("autorestart", "unexpected") == "false":
        return fail("autorestart is false: a crash would stay")
    retries = section.get("startretries", "3")  # supervisord's default
    if retries.isdecimal() and 1 <= int(retries) <= MOST_RETRIES:
        return PASS
    return fail(
        f"startretries is {show(retries)}; it is from 1 to {MOST_RETRIES}, so that a broken process does not spin for ever"
    )


def _logs(section: dict[str, str]) -> Verdict:
    unbounded = [
        name for name in ("stdout_logfile_maxbytes", "stdout_logfile_backups") if section.get(name, "10").strip("0MKGB") == ""
    ]
    return (
        fail(*(f"{name} is 0: the log would grow without end, or be lost at once" for name in unbounded)) if unbounded else PASS
    )


RULES: Final = (
    Rule(
        id="R73",
        name="readiness-apart-from-liveness",
        title="What runs has a health check, and readiness is not asked where liveness is",
        severity=Severity.MEDIUM,
        controls=("8.16", "8.26"),
        remedy="give it a check on its readiness path (/readyz), apart from the one on its liveness path (/healthz)",
        link=links.PROBES,
        checks=(Check(types=(PROCESS,), properties=("check",), judge=readiness_is_its_own), *probes.CHECKS),
        relations=probes.RELATIONS,
    ),
    Rule(
        id="L05",
        name="restarts-bounded",
        title="Restarts, stops and logs of a process are bounded",
        severity=Severity.MEDIUM,
        controls=("8.6", "8.14", "8.15"),
        remedy="keep stopSeconds, and startretries and the log sizes in infra/local/description.py, within the bounds named",
        link=links.SUPERVISION,
        checks=(Check(types=(PROCESS,), properties=("stopSeconds", "process"), judge=restarts_are_bounded),),
    ),
)
