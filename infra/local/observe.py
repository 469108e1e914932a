"""Looks at a process from outside: supervisord, the process table, its files and its port."""

from __future__ import annotations

import json

from infra.local.description import Description
from infra.local.health import Health, probe
from infra.local.layout import DIGEST_MARKER
from infra.local.private_files import read_text
from infra.local.process_state import Observed
from infra.local.processes import digest_of, owned_by
from infra.local.supervisor_client import SupervisorClient, SupervisorUnreachable


def observe(description: Description) -> tuple[Observed, Health]:
    """The process that goes by ``description``'s name, and what it says when it is asked whether it is ready."""
    try:
        program = SupervisorClient(description.layout.socket).program(description.name)
    except SupervisorUnreachable:
        return _orphan(description)
    if program is None:
        return Observed(program=None), Health(False, "supervisord does not know it")
    digest = (digest_of(program.pid, description.name) if program.pid else None) or _described_digest(description)
    # STARTING lasts for a second (startsecs); a process that answers within it is up.
    health = _asked(description) if program.state in {"RUNNING", "STARTING"} else Health(False, program.detail)
    state = "RUNNING" if program.state == "STARTING" and health.ready else program.state
    return Observed(program=state, digest=digest, ready=health.ready, intact=_intact(description)), health


def _orphan(description: Description) -> tuple[Observed, Health]:
    alive = owned_by(description.state_directory, description.name)
    if not alive:
        return Observed(program=None), Health(False, "neither it nor supervisord runs")
    health = _asked(description)
    eldest = min(alive, key=lambda process: process.started)
    observed = Observed(program="ORPHAN", digest=eldest.digest, ready=health.ready, intact=_intact(description))
    return observed, health


def _asked(description: Description) -> Health:
    return probe(description.check)


def _described_digest(description: Description) -> str:
    """The digest in the description that supervisord would start from."""
    try:
        return str(json.loads(read_text(description.program) or "")["environment"][DIGEST_MARKER])
    except (ValueError, KeyError, TypeError):
        return ""


def _intact(description: Description) -> bool:
    return read_text(description.program) == description.program_text() and all(
        read_text(description.directory / name) == content for name, content in description.files.items()
    )
