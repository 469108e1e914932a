"""The files of tenants and roles, read as the process reads them, referenced secrets included."""

from __future__ import annotations

from typing import Any, Final

from app.doctor.finding import Finding, error, ok
from app.doctor.place import Place
from app.tasks.actions import registry
from app.tenants.access import AccessError, Sources
from app.tenants.tenant import Libraries, no_tasks

CHECK: Final = "access"


async def look(place: Place) -> list[Finding]:
    settings: Any = place.settings
    sources = Sources(
        tenants_file=settings.tenants_file,
        roles_file=settings.roles_file,
        actions=registry(),
        libraries=_libraries(place),
        environment=place.environment,
    )
    try:
        found = sources.load()
    except AccessError as mistakes:
        return [mistaken(line) for line in str(mistakes).splitlines()]
    files = [str(file) for file in (settings.tenants_file, settings.roles_file) if file is not None]
    names = ", ".join(tenant.name for tenant in found.tenants)
    return [
        ok(CHECK, "Tenants and roles are as they must be", f"{' and '.join(files) or 'the shipped ones'}; tenants: {names}")
    ]


def mistaken(line: str) -> Finding:
    return error(
        CHECK,
        "Tenants or roles have a mistake: a running process keeps what it had, a new one does not start",
        line.strip(),
        "Correct the file; it is read again by itself (docs/tenants.md).",
    )


def _libraries(place: Place) -> Libraries:
    if place.service != "worker":
        return no_tasks  # and RE2 with it
    from app.tenants.libraries import libraries

    settings: Any = place.settings
    return libraries(settings.tasks_directory)
