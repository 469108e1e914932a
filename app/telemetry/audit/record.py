"""A record of the audit log: what it holds, how it is written down and how one is chained to the next.

A record is one line of canonical JSON (keys sorted, nothing between the tokens, ASCII alone), so its bytes follow from its
values. ``hash`` is the SHA-256 of that JSON without ``hash``; ``prev`` is the hash of the writer's record before it, and 64
zeros in the first. A writer is one run of one process, and numbers its records from 1 without a gap.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from app.telemetry.audit.actions import ACTIONS, DETAILS

VERSION: Final = 1
NOTHING_BEFORE: Final = "0" * 64  # prev of a writer's first record
LONGEST_VALUE: Final = 256  # characters; what is longer is cut, and ends in …
LARGEST_NUMBER: Final = 2**53 - 1  # what every reader of JSON keeps exactly

Detail = str | int


class AuditUnavailable(Exception):
    """The record is not known to be kept. What must not happen without one is not done; see docs/audit.md for what that is."""


class Audit(Protocol):
    async def record(
        self, action: str, *, actor: str, tenant: str = "", subject: str = "", outcome: str = "done", **details: Detail
    ) -> None:
        """Returns once the record is kept. ``action``: of :mod:`app.telemetry.audit.actions`; ``actor``: who, as
        :attr:`app.auth.principal.Principal.name`; ``subject``: what it was done to. Identifiers only, no text, no secrets.
        Raises :class:`AuditUnavailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a caller tells. Values are cut and escaped here; an action or a detail that is not listed is a defect of ours."""

    action: str
    actor: str
    tenant: str = ""
    subject: str = ""
    outcome: str = "done"
    details: Mapping[str, Detail] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"{self.action!r} is no action of app/telemetry/audit/actions.py")
        if unknown := sorted(self.details.keys() - DETAILS):
            raise ValueError(f"{', '.join(unknown)}: no detail of app/telemetry/audit/actions.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last record of a writer that is known."""

    writer: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A link of a chain, with its one line."""

    head: Head
    at: datetime
    line: bytes  # ends in a line break


def first(writer: str) -> Head:
    """What a writer's first record follows."""
    return Head(writer=writer, seq=0, hash=NOTHING_BEFORE)


def seal(entry: Entry, after: Head, at: datetime) -> Record:
    """Chain ``entry`` to ``after``. Pure."""
    seq = after.seq + 1
    values: dict[str, Any] = {
        "audit": True,  # by which it is told from the other lines of a log
        "v": VERSION,
        "writer": after.writer,
        "seq": seq,
        "at": stamp(at),
        "action": entry.action,
        "actor": bounded(entry.actor),
        "tenant": bounded(entry.tenant),
        "subject": bounded(entry.subject),
        "outcome": bounded(entry.outcome),
        "details": {name: bounded_detail(value) for name, value in entry.details.items()},
        "prev": after.hash,
    }
    values["hash"] = digest(values)
    line = f"{canonical(values)}\n".encode("ascii")
    return Record(head=Head(writer=after.writer, seq=seq, hash=values["hash"]), at=at, line=line)


def stamp(moment: datetime) -> str:
    """UTC to the millisecond; of two such texts the smaller is the earlier."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def digest(values: Mapping[str, Any]) -> str:
    """The hash that a record with these values has."""
    body = {name: value for name, value in values.items() if name != "hash"}
    return hashlib.sha256(canonical(body).encode("ascii")).hexdigest()


def canonical(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def bounded(text: str) -> str:
    """``text`` without anything that a terminal or a log viewer would act on, and not longer than :data:`LONGEST_VALUE`."""
    # What is cut off need not be looked at: an escape only makes it longer.
    shown = "".join(_escaped(character) for character in text[: LONGEST_VALUE + 1])
    return shown if len(shown) <= LONGEST_VALUE else shown[: LONGEST_VALUE - 1] + "…"


def bounded_detail(value: Detail) -> Detail:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER:
        return value
    return bounded(str(value))


def _escaped(character: str) -> str:
    # C…: control, format (bidirectional overrides), surrogate, private, unassigned. Zl, Zp: what breaks a line elsewhere.
    if (category := unicodedata.category(character))[0] != "C" and category not in ("Zl", "Zp"):
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
