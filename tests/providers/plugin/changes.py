"""What changed between two plain values, as paths in Pulumi's notation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Key = str | int
Path = tuple[Key, ...]


@dataclass(frozen=True)
class Change:
    path: Path
    operation: Literal["add", "delete", "update"]

    def __str__(self) -> str:
        return property_path(self.path)


def changes(old: Any, new: Any, path: Path = ()) -> Iterator[Change]:
    """Every leaf that differs between two plain values."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            if key not in new:
                yield Change((*path, key), "delete")
            elif key not in old:
                yield Change((*path, key), "add")
            else:
                yield from changes(old[key], new[key], (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            if index >= len(new):
                yield Change((*path, index), "delete")
            elif index >= len(old):
                yield Change((*path, index), "add")
            else:
                yield from changes(old[index], new[index], (*path, index))
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield Change(path, "update")


def property_path(path: Path) -> str:
    """Pulumi's notation: ``spec.containers[0].image``, ``metadata.annotations["example.com/key"]``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", key):
            text += f".{key}" if text else key
        else:
            text += f'["{key}"]'
    return text


def ignored(change: Change, ignore_changes: tuple[str, ...]) -> bool:
    """Whether ``change`` lies at or below one of the paths of the option ``ignoreChanges``."""
    text = str(change)
    return any(text == path or text.startswith((f"{path}.", f"{path}[")) for path in ignore_changes)
