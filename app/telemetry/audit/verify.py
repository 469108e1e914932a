"""Whether records are all there, in order and as they were written. Streaming: what is kept of a writer is where its chain
stands, and what is missing of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO, Final

from app.telemetry.audit.actions import PROCESS_STOPPED
from app.telemetry.audit.heads import Anchored
from app.telemetry.audit.record import NOTHING_BEFORE, VERSION, digest, stamp

LONGEST_LINE: Final = 256 * 1024  # bytes; a record with every detail at its longest has less
MOST_FINDINGS: Final = 1000  # named; the others are counted
MOST_GAPS: Final = 1000  # of a writer, whose records may yet come; beyond, they are deleted at once
_WRITER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,99}")
_HASH = re.compile(r"[0-9a-f]{64}")
_TEXTS: Final = ("at", "action", "actor", "tenant", "subject", "outcome")
_MARK = re.compile(rb'"audit" ?: ?true')


class Flaw(StrEnum):
    EDITED = "edited"
    DELETED = "deleted"
    REORDERED = "reordered"
    REPEATED = "repeated"
    REPLACED = "replaced"
    TRUNCATED = "truncated"
    MISSING = "missing"
    UNANCHORED = "unanchored"
    CONTINUED = "continued"
    UNREADABLE = "unreadable"
    UNKNOWN_FORMAT = "unknown format"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    flaw: Flaw
    writer: str  # "" where it cannot be told
    seq: str  # "3", "3-5" or ""
    place: str  # "file:line", or ""
    words: str


@dataclass(slots=True)
class _Gap:
    low: int
    high: int
    place: str  # of the record behind it


@dataclass(slots=True)
class _Chain:
    seq: int = 0
    hash: str = NOTHING_BEFORE
    place: str = ""
    at: str = ""
    edited: bool = False  # the record at ``seq``
    stopped: bool = False
    gaps: list[_Gap] = field(default_factory=list)


class Verification:
    """``anchored``: None where no heads are compared. ``partial``: the lines are a part of a log, so that a chain may begin
    anywhere and a writer be absent. Feed it with :meth:`read`, file after file in the order they were written, then
    :meth:`finish`."""

    def __init__(self, anchored: Anchored | None = None, *, partial: bool = False) -> None:
        self._heads = None if anchored is None else anchored.heads
        self._since = stamp(anchored.since) if anchored is not None and anchored.since else ""
        self._partial = partial
        self._chains: dict[str, _Chain] = {}
        self.records = 0
        self.flaws = 0
        self.older = 0  # writers that had stopped before heads were kept
        self.findings: list[Finding] = []

    @property
    def writers(self) -> int:
        return len(self._chains)

    def read(self, name: str, lines: Iterable[bytes | None], *, mixed: bool = False) -> None:
        """``lines``: of :func:`lines_of`. ``mixed``: other lines stand between the records, and something may stand before
        each, such as a time or the name of a pod."""
        for number, line in enumerate(lines, start=1):
            place = f"{name}:{number}"
            if line is None:
                if not mixed:
                    self._found(Flaw.UNREADABLE, "", "", place, f"longer than {LONGEST_LINE} bytes: no record")
            elif not mixed or _MARK.search(line):
                self._take(line[max(0, line.find(b"{")) :] if mixed else line, place)

    def finish(self) -> None:
        for writer, chain in self._chains.items():
            for gap in chain.gaps:
                self._found(Flaw.DELETED, writer, _range(gap), gap.place, "missing before this record")
        if self._heads is None:
            return
        for writer, head in self._heads.items():
            reached = self._chains.get(writer)
            if reached is None:
                if not self._partial:
                    self._found(
                        Flaw.MISSING, writer, f"1-{head.seq}", "", "its head is anchored, and none of its records is here"
                    )
            elif reached.seq < head.seq:
                seqs = _range(_Gap(reached.seq + 1, head.seq, ""))
                words = f"the head says {head.seq}, the records end at {reached.seq}"
                self._found(Flaw.TRUNCATED, writer, seqs, reached.place, words)
        for writer, chain in self._chains.items():
            if writer in self._heads:
                continue
            if chain.at < self._since:
                self.older += 1
            else:
                self._found(Flaw.UNANCHORED, writer, str(chain.seq), chain.place, "no head is anchored of this writer")

    def _take(self, line: bytes, place: str) -> None:
        values = _parsed(line)
        if values is None or values.get("audit") is not True:
            cut = "" if line.endswith(b"\n") else ", and without an end: cut off, or being written now (then verify again)"
            self._found(Flaw.UNREADABLE, "", "", place, f"no record: not the JSON object that one is{cut}")
        elif values.get("v") != VERSION:
            self._found(Flaw.UNKNOWN_FORMAT, "", "", place, f"this program reads format {VERSION}; the record has another")
        elif not _is_record(values):
            self._found(Flaw.UNREADABLE, "", "", place, "a field of the record is missing or of the wrong kind")
        else:
            self.records += 1
            self._link(values, place)

    def _link(self, values: dict[str, Any], place: str) -> None:
        writer, seq, prev, stated = values["writer"], values["seq"], values["prev"], values["hash"]
        edited = digest(values) != stated
        if edited:
            self._found(Flaw.EDITED, writer, str(seq), place, "what it says is not what its hash was made of")
            if writer not in self._chains and seq != 1:
                return  # the writer itself may be what was changed
        chain = self._chains.setdefault(writer, _Chain())
        if self._partial and not chain.place:
            chain.seq, chain.hash = seq - 1, prev
        if edited and prev == chain.hash:
            seq = chain.seq + 1  # its number may be what was changed
        if seq <= chain.seq:
            self._late(chain, writer, seq, stated, place)
            return
        if seq > chain.seq + 1:
            self._gap(chain, writer, _Gap(chain.seq + 1, seq - 1, place))
        elif prev != chain.hash and not edited and not chain.edited:
            if chain.seq:
                self._found(Flaw.REPLACED, writer, str(chain.seq), chain.place, "the next record was chained to another one")
            else:
                self._found(Flaw.REPLACED, writer, "1", place, "the first record follows one, and there is none before it")
        if chain.stopped:
            self._found(Flaw.CONTINUED, writer, str(seq), place, f"comes after {PROCESS_STOPPED}, the writer's last")
        chain.seq, chain.hash, chain.place, chain.at, chain.edited = seq, stated, place, values["at"], edited
        chain.stopped = values["action"] == PROCESS_STOPPED
        self._compare(writer, seq, stated, place)

    def _late(self, chain: _Chain, writer: str, seq: int, stated: str, place: str) -> None:
        gap = next((gap for gap in chain.gaps if gap.low <= seq <= gap.high), None)
        if gap is None:
            self._found(Flaw.REPEATED, writer, str(seq), place, f"the chain has stood at {chain.seq} already ({chain.place})")
            return
        self._found(Flaw.REORDERED, writer, str(seq), place, f"stands behind {gap.place}, which it was written before")
        chain.gaps.remove(gap)
        rest = (_Gap(gap.low, seq - 1, gap.place), _Gap(seq + 1, gap.high, gap.place))
        chain.gaps.extend(part for part in rest if part.low <= part.high)
        self._compare(writer, seq, stated, place)

    def _gap(self, chain: _Chain, writer: str, gap: _Gap) -> None:
        if len(chain.gaps) < MOST_GAPS:
            chain.gaps.append(gap)
        else:
            self._found(Flaw.DELETED, writer, _range(gap), gap.place, "missing before this record")

    def _compare(self, writer: str, seq: int, stated: str, place: str) -> None:
        head = (self._heads or {}).get(writer)
        if head is not None and head.seq == seq and head.hash != stated:
            words = "the hash anchored under this number is another: this record, or one before it, was written anew"
            self._found(Flaw.REPLACED, writer, str(seq), place, words)

    def _found(self, flaw: Flaw, writer: str, seq: str, place: str, words: str) -> None:
        self.flaws += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(flaw=flaw, writer=writer, seq=seq, place=place, words=words))


def lines_of(file: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a file, None for each that is too long to be a record. Memory stays bounded, whatever the file holds."""
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) <= LONGEST_LINE:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE + 1)
        yield None


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(line, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that stands there twice would show one value to a person and another to this program."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice")
    return values


def _is_record(values: Mapping[str, Any]) -> bool:
    seq, details = values.get("seq"), values.get("details")
    return (
        isinstance(seq, int)
        and not isinstance(seq, bool)
        and seq >= 1
        and isinstance(details, dict)
        and all(type(value) in (str, int) for value in details.values())
        and all(isinstance(values.get(name), str) for name in _TEXTS)
        and _matches(_WRITER, values.get("writer"))
        and _matches(_HASH, values.get("prev"))
        and _matches(_HASH, values.get("hash"))
    )


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _range(gap: _Gap) -> str:
    return str(gap.low) if gap.low == gap.high else f"{gap.low}-{gap.high}"
