"""What a preview is going to do, resource by resource, from the engine's events. Pure.

Events and not ``pulumi preview --json``: that form leaves out what the policies say (engine 3.251.0), and both hold the same
steps. The engine writes ``[secret]`` where a value is marked; what only looks like a secret is hidden here.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pulumi.runtime.rpc import UNKNOWN

from policies.secret_scanning import scan

Event = Mapping[str, Any]

HIDDEN = "[secret]"  # the engine's own word
UNTIL_THEN = "(known after the update)"
LONGEST_VALUE = 60  # characters; what is longer is compared line by line
LONGEST_LINE = 100
MOST_LINES = 12  # of one property
_STEP = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[\]]+)')


class Kind(Enum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


# The engine tells a replacement in two or three steps, and what an earlier run has left to delete in one of its own.
KIND_OF: Mapping[str, Kind] = {
    "create": Kind.CREATE,
    "import": Kind.CREATE,
    "update": Kind.UPDATE,
    "replace": Kind.REPLACE,
    "create-replacement": Kind.REPLACE,
    "import-replacement": Kind.REPLACE,
    "delete-replaced": Kind.REPLACE,
    "delete": Kind.DELETE,
}


@dataclass(frozen=True, kw_only=True)
class Property:
    """``lines``: what was and what will be, each with ``-`` or ``+`` before it; none where that is not told."""

    path: str
    replaces: bool = False
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """``protected``: as it stands now. ``kept``: a deletion leaves it in the account."""

    urn: str
    kind: Kind
    properties: tuple[Property, ...] = ()
    protected: bool = False
    kept: bool = False

    @property
    def type(self) -> str:
        return type_of(self.urn)

    @property
    def name(self) -> str:
        return name_of(self.urn)


def type_of(urn: str) -> str:
    """The type of a resource, without those of its parents."""
    return urn.split("::")[2].rpartition("$")[2] if urn.count("::") > 2 else ""


def name_of(urn: str) -> str:
    return urn.rpartition("::")[2]


def changes_in(events: Iterable[Event]) -> tuple[Change, ...]:
    """By URN: a resource has one change, however many steps the engine takes for it."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for metadata in _begun(events):
        if metadata["op"] in KIND_OF:
            found.setdefault(str(metadata["urn"]), []).append(metadata)
    return tuple(_change(urn, steps) for urn, steps in sorted(found.items()))


def unprotected_in(events: Iterable[Event]) -> tuple[str, ...]:
    """URNs of what is protected now and would not be afterwards: the next change could remove it."""
    urns = {
        str(metadata["urn"])
        for metadata in _begun(events)
        if _state(metadata, "old").get("protect") and metadata.get("new") and not _state(metadata, "new").get("protect")
    }
    return tuple(sorted(urns))


def refused_in(events: Iterable[Event]) -> tuple[str, ...]:
    """What the engine says that it cannot do, a message each; its last word, that it has failed, says nothing."""
    said: list[str] = []
    for event in events:
        diagnostic = event.get("diagnosticEvent") or {}
        if diagnostic.get("severity") == "error" and (message := str(diagnostic.get("message", "")).strip()):
            said.append(message)
    # The whole traceback of a program may come in pieces; what the engine says of a resource comes in one.
    return tuple(dict.fromkeys(message for message in said if message not in ("preview failed", "update failed")))


def _begun(events: Iterable[Event]) -> Iterable[Mapping[str, Any]]:
    return (event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event)


def _state(metadata: Mapping[str, Any], which: str) -> Mapping[str, Any]:
    return metadata.get(which) or {}


def _change(urn: str, steps: list[Mapping[str, Any]]) -> Change:
    kinds = {KIND_OF[step["op"]] for step in steps}
    kind = Kind.REPLACE if Kind.REPLACE in kinds else KIND_OF[steps[-1]["op"]]
    # One of a replacement's steps knows why, the others do not.
    told = max(steps, key=lambda step: len(step.get("detailedDiff") or {}) + len(step.get("diffs") or ()))
    old = next((_state(step, "old") for step in steps if step.get("old")), {})
    return Change(
        urn=urn,
        kind=kind,
        properties=properties_of(told) if kind in (Kind.UPDATE, Kind.REPLACE) else (),
        protected=bool(old.get("protect")),
        kept=bool(old.get("retainOnDelete")),
    )


def properties_of(step: Mapping[str, Any], of: str = "inputs") -> tuple[Property, ...]:
    """What differs in one step; ``of``: whether what goes in is compared, or the ``outputs``."""
    keys = [str(key) for key in step.get("keys") or ()]
    detailed: Mapping[str, Any] = step.get("detailedDiff") or {}
    # Without details the engine still names the properties, and of those that replace the place within.
    broad = (path for path in step.get("diffs") or () if not any(_within(key, path) for key in keys))
    paths = list(detailed) or [*keys, *broad]
    old, new = _state(step, "old").get(of) or {}, _state(step, "new").get(of) or {}
    return tuple(
        Property(
            path=path,
            replaces=path in keys or "replace" in str((detailed.get(path) or {}).get("diffKind", "")),
            lines=_compared(path, old, new),
        )
        for path in sorted(paths)
    )


def _within(path: str, parent: str) -> bool:
    return path == parent or path.startswith((f"{parent}.", f"{parent}["))


def _compared(path: str, old: Any, new: Any) -> tuple[str, ...]:
    """Without a line where both are the same: then the change is in what the provider computes."""
    steps = tuple(a or b or c for a, b, c in _STEP.findall(path))
    before, after = _shown(steps, _at(old, steps)), _shown(steps, _at(new, steps))
    if before == after:
        return ()
    if len(before) <= 1 and len(after) <= 1:
        return tuple(f"{sign} {_short(line)}" for sign, lines in (("-", before), ("+", after)) for line in lines)
    if [UNTIL_THEN] in (before, after):
        told = [[f"({len(lines)} lines)"] if len(lines) > 1 else lines for lines in (before, after)]
        return tuple(f"{sign} {line}" for sign, lines in zip("-+", told, strict=True) for line in lines)
    compared = difflib.unified_diff(before, after, n=1, lineterm="")
    lines = [f"{line[0]} {_short(line[1:])}" for line in compared if not line.startswith(("---", "+++", "@@"))]
    more = len(lines) - MOST_LINES
    return tuple(lines if more <= 0 else [*lines[:MOST_LINES], f"  … {more} lines more"])


_ABSENT = object()


def _at(value: Any, steps: tuple[str, ...]) -> Any:
    for step in steps:
        if isinstance(value, Mapping):
            value = value.get(step, _ABSENT)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, str) and value in (UNKNOWN, HIDDEN):
            return value
        else:
            return _ABSENT
    return value


def _shown(steps: tuple[str, ...], value: Any) -> list[str]:
    """The lines of a value; a policy or another document in a text is laid out, so that its lines can be compared."""
    if value is _ABSENT:
        return []
    text = _safe(steps, value)
    if isinstance(text, str) and len(text) > LONGEST_VALUE:
        try:
            return json.dumps(_safe(steps, json.loads(text)), indent=1, ensure_ascii=False, sort_keys=True).splitlines()
        except ValueError:
            return text.splitlines()
    if isinstance(text, str):
        return [text if text in (HIDDEN, UNTIL_THEN) else json.dumps(text, ensure_ascii=False)]
    flat = json.dumps(text, ensure_ascii=False)
    return [flat] if len(flat) <= LONGEST_VALUE else json.dumps(text, indent=1, ensure_ascii=False, sort_keys=True).splitlines()


def _safe(keys: tuple[str, ...], value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _safe((*keys, str(key)), item) for key, item in value.items()}
    if isinstance(value, list):
        return [_safe((*keys, f"[{position}]"), item) for position, item in enumerate(value)]
    if isinstance(value, str):
        if UNKNOWN in value:
            return UNTIL_THEN
        return HIDDEN if scan(keys, value) else value
    return value


def _short(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
