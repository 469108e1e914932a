"""What is wrong with files of tenants and roles, told before any process reads them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from app.tenants.access import AccessError, Sources
from app.tenants.libraries import libraries


def check(tenants_file: Path | None, roles_file: Path | None, actions: Iterable[str]) -> list[str]:
    """Every mistake, a line each; empty where there is none. Whether referenced secrets exist is not looked at: that is for
    the machine where the processes run."""
    sources = Sources(
        tenants_file=tenants_file, roles_file=roles_file, actions=actions, libraries=libraries(), environment=None
    )
    try:
        sources.load()
    except AccessError as error:
        return str(error).splitlines()
    return []
