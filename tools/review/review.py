"""The review itself: what a change does, whether it may, and what it takes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from tools.review.changes import Change, Kind, changes_in, name_of, refused_in, type_of, unprotected_in
from tools.review.costs import Costs
from tools.review.findings import Finding
from tools.review.stateful import PROTECTED, loss

LABEL = "allow-destruction"


class Verdict(IntEnum):
    """The exit code, too."""

    FINE = 0
    FAILED = 1
    NEEDS_LABEL = 3


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One resource of the blast radius: what is done to it, and what goes with it."""

    urn: str
    what: str
    loss: str

    @property
    def name(self) -> str:
        return name_of(self.urn)

    @property
    def type(self) -> str:
        return type_of(self.urn)


@dataclass(frozen=True, kw_only=True)
class Review:
    """``against``: what the change is compared with, in words; ``blind``: nothing stands there, so no replacement can be seen.
    ``findings``: None where the policies were not asked. ``refusals``: why the engine would not do it. ``notes``: what the
    reader has to know besides."""

    stack: str
    against: str
    changes: tuple[Change, ...]
    unchanged: int
    blast_radius: tuple[Hit, ...]
    findings: tuple[Finding, ...] | None = ()
    refusals: tuple[str, ...] = ()
    costs: Costs | None = None
    labels: frozenset[str] = frozenset()
    blind: bool = False
    notes: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether somebody has said that what holds data may go."""
        return LABEL in self.labels

    @property
    def failing(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings or () if finding.fails)

    @property
    def verdict(self) -> Verdict:
        if self.refusals or self.failing:
            return Verdict.FAILED
        return Verdict.NEEDS_LABEL if self.blast_radius and not self.allowed else Verdict.FINE

    def counted(self) -> Mapping[Kind, int]:
        counts = Counter(change.kind for change in self.changes)
        return {kind: counts[kind] for kind in Kind if counts[kind]}


def review_of(
    *,
    stack: str,
    against: str,
    events: Sequence[Mapping[str, Any]],
    failed: bool,
    findings: Sequence[Finding] | None = (),
    costs: Costs | None = None,
    labels: Iterable[str] = (),
    blind: bool = False,
    notes: Sequence[str] = (),
) -> Review:
    """``failed``: whether the engine ended badly, which its policies may be the reason of."""
    changes = changes_in(events)
    refusals = refused_in(events)
    if failed and not refusals and not any(finding.fails for finding in findings or ()):
        refusals = ("the preview failed, and the engine does not say why in its events: its log does",)
    if not failed and findings is None:
        refusals = (*refusals, "the policies left no record of this preview, so nobody knows what they say of it")
    return Review(
        stack=stack,
        against=against,
        changes=changes,
        unchanged=_unchanged(events),
        blast_radius=blast_radius(changes, unprotected_in(events)),
        findings=None if findings is None else tuple(findings),
        refusals=refusals,
        costs=costs,
        labels=frozenset(labels),
        blind=blind,
        notes=tuple(notes),
    )


def blast_radius(changes: Iterable[Change], unprotected: Iterable[str]) -> tuple[Hit, ...]:
    """What holds data, or is protected, and would be deleted or replaced; and what loses its protection."""
    hits = []
    for change in changes:
        lost = loss(change.urn) or (PROTECTED if change.protected else None)
        if change.kind in (Kind.DELETE, Kind.REPLACE) and lost:
            hits.append(Hit(urn=change.urn, what=_fate(change), loss=lost))
    gone = {hit.urn for hit in hits}
    freed = (urn for urn in unprotected if urn not in gone)
    return (
        *hits,
        *(Hit(urn=urn, what="no longer protected", loss="nothing yet: the next change may delete it") for urn in freed),
    )


def _fate(change: Change) -> str:
    if change.kind is Kind.DELETE:
        return "leaves the stack, kept in the account" if change.kept else "deleted"
    causes = [entry.path for entry in change.properties if entry.replaces]
    return "replaced" + (f" because of {', '.join(causes)}" if causes else "")


def _unchanged(events: Iterable[Mapping[str, Any]]) -> int:
    summaries = [event["summaryEvent"] for event in events if "summaryEvent" in event]
    return int((summaries[-1].get("resourceChanges") or {}).get("same", 0)) if summaries else 0
