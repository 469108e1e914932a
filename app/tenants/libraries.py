"""Task libraries for tenants. Apart from the rest because it brings RE2 along, which the gateway does without."""

from __future__ import annotations

from pathlib import Path

from app.tasks.actions import registry
from app.tasks.template import LibraryError, load_library
from app.tenants.tenant import Libraries, Tasks, TasksRefused


def libraries(shared: Path | None = None) -> Libraries:
    """``shared``: the folder of tenants that have none of their own; None: the library of the package."""

    def load(folder: Path | None) -> Tasks:
        try:
            return load_library(folder or shared, registry())
        except LibraryError as error:
            raise TasksRefused(str(error)) from None

    return load
