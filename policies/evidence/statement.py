"""The Statement of Applicability: each control of Annex A with what is done about it and what the rules found.

Only the rules' part has a result. What people do and what AWS provides is named and not assessed: a passing scan proves
neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from policies.evaluation import Result
from policies.evidence.applicability import Entry
from policies.evidence.table import Table
from policies.rule import Outcome, Rule

OFF_AWS: Final = "This stack does not run on AWS: whoever operates its machines provides this and has to show it."
PART: Final = "automated part"
NAME: Final = "statement-of-applicability"


class Status(Enum):
    """What the rules found; the worst of several, in this order."""

    FAIL = "fail"
    UNDETERMINED = "undetermined"
    WAIVED = "waived"
    PASS = "pass"  # noqa: S105 - a verdict
    NOT_EXERCISED = "not exercised"
    NOT_ASSESSED = "not assessed"
    NOT_APPLICABLE = "not applicable"


MEANINGS: Final[Mapping[Status, str]] = {
    Status.FAIL: "a rule failed on at least one resource, and no waiver excuses it",
    Status.UNDETERMINED: "a rule could not be decided on at least one resource, because a value is known only after the update",
    Status.WAIVED: "every finding is excused by a waiver that is in force",
    Status.PASS: "every rule passed on every resource that it read",
    Status.NOT_EXERCISED: "the stack has no resource of the types that the rules read",
    Status.NOT_ASSESSED: "no rule serves the control; it is met by people or by the provider, and has to be shown otherwise",
    Status.NOT_APPLICABLE: "the control does not concern this stack, for the reason given",
}


class Method(Enum):
    AUTOMATED = "automated"
    MANUAL = "manual"
    INHERITED = "inherited"


@dataclass(frozen=True)
class Tally:
    """How often a rule came to which outcome."""

    rule: Rule
    passed: int = 0
    failed: int = 0
    undetermined: int = 0
    waived: int = 0

    @property
    def status(self) -> Status:
        counts = {
            Status.FAIL: self.failed,
            Status.UNDETERMINED: self.undetermined,
            Status.WAIVED: self.waived,
            Status.PASS: self.passed,
        }
        return next((status for status, count in counts.items() if count), Status.NOT_EXERCISED)

    def __str__(self) -> str:
        counts = {"pass": self.passed, "fail": self.failed, "undetermined": self.undetermined, "waived": self.waived}
        said = ", ".join(f"{word} {count}" for word, count in counts.items() if count)
        return f"{self.rule.id} ({said or Status.NOT_EXERCISED.value})"


@dataclass(frozen=True)
class Row:
    """One control. ``manual`` and ``inherited``: as they apply to this stack."""

    entry: Entry
    tallies: tuple[Tally, ...]
    manual: str
    inherited: str

    @property
    def methods(self) -> tuple[Method, ...]:
        by = {Method.AUTOMATED: self.tallies, Method.MANUAL: self.manual, Method.INHERITED: self.inherited}
        return tuple(method for method, there in by.items() if there) if self.entry.applicable else ()

    @property
    def status(self) -> Status:
        if not self.entry.applicable:
            return Status.NOT_APPLICABLE
        if not self.tallies:
            return Status.NOT_ASSESSED
        order = list(Status)
        return min((tally.status for tally in self.tallies), key=order.index)

    @property
    def covers(self) -> str:
        """Of what the result speaks, where the rules are not all that is done for the control."""
        return PART if self.tallies and (self.manual or self.inherited) else ""

    def document(self) -> dict[str, Any]:
        return {
            "control": f"A.{self.entry.control.number}",
            "title": self.entry.control.title,
            "theme": self.entry.control.theme.title,
            "applicable": self.entry.applicable,
            "reason": self.entry.reason,
            "methods": [method.value for method in self.methods],
            "manual": self.manual,
            "inherited": self.inherited,
            "see": list(self.entry.see),
            "result": self.status.value,
            "covers": self.covers,
            "rules": [
                {
                    "id": tally.rule.id,
                    "title": tally.rule.title,
                    "severity": tally.rule.severity.value,
                    "result": tally.status.value,
                    "pass": tally.passed,
                    "fail": tally.failed,
                    "undetermined": tally.undetermined,
                    "waived": tally.waived,
                }
                for tally in self.tallies
            ],
        }


def tally(rules: Sequence[Rule], results: Iterable[Result]) -> tuple[Tally, ...]:
    """One a rule, by id, also where it came to no result.

    A rule without checks and relations judges the pack's own files, and speaks only when something is wrong with them.
    """
    counts: dict[str, dict[str, int]] = {rule.id: {} for rule in rules}
    for result in results:
        excused = result.outcome is not Outcome.PASS and bool(result.waiver)
        word = "waived" if excused else COUNTED[result.outcome]
        counts[result.rule][word] = counts[result.rule].get(word, 0) + 1
    silent = {rule.id: {} if rule.checks or rule.relations else {"passed": 1} for rule in rules}
    return tuple(Tally(rule, **(counts[rule.id] or silent[rule.id])) for rule in sorted(rules, key=lambda rule: rule.id))


COUNTED: Final[Mapping[Outcome, str]] = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "failed",
    Outcome.UNDETERMINED: "undetermined",
}


def statement(entries: Iterable[Entry], tallies: Sequence[Tally], *, on_aws: bool) -> tuple[Row, ...]:
    return tuple(
        _row(entry, [each for each in tallies if entry.control.number in each.rule.controls], on_aws) for entry in entries
    )


def _row(entry: Entry, tallies: Sequence[Tally], on_aws: bool) -> Row:
    if on_aws or not entry.inherited:
        return Row(entry, tuple(tallies), entry.manual, entry.inherited)
    return Row(entry, tuple(tallies), f"{entry.manual} {OFF_AWS}".strip(), "")


def table(rows: Iterable[Row]) -> Table:
    return Table(
        name=NAME,
        title="Statement of Applicability",
        columns=(
            "control",
            "title",
            "theme",
            "applicable",
            "reason",
            "how",
            "rules",
            "manual",
            "inherited",
            "result",
            "covers",
            "see",
        ),
        rows=[
            (
                f"A.{row.entry.control.number}",
                row.entry.control.title,
                row.entry.control.theme.title,
                "yes" if row.entry.applicable else "no",
                row.entry.reason,
                ", ".join(method.value for method in row.methods),
                "; ".join(str(tally) for tally in row.tallies),
                row.manual,
                row.inherited,
                row.status.value,
                row.covers,
                ", ".join(row.entry.see),
            )
            for row in rows
        ],
    )
