"""The application's own roles, from the file that it reads them from; empty where it has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from policies.evidence.table import Table

FILE: Final = "app/auth/roles.yaml"


def table(document: Any) -> Table:
    """``document``: the file as YAML reads it; None where there is none."""
    return Table(
        name="access-application",
        title="The assistant: its own roles",
        columns=("entry", "grants"),
        rows=list(_flattened(document)),
        note=f"From {FILE}.",
        empty=f"The application has no roles of its own: {FILE} does not exist. Its API has one key (secrets.csv).",
    )


def _flattened(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """A row for each list or scalar, under the names that lead to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flattened(item, f"{path} / {key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for position, item in enumerate(value, 1):
            yield from _flattened(item, f"{path} [{position}]")
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    elif value is not None:
        yield path, str(value)
