"""The register of exceptions as of the record's day: who granted what until when, and what it excuses."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from policies.evaluation import Result
from policies.evidence.table import Table
from policies.rule import Outcome, Rule
from policies.waivers import Register, Waiver


def table(register: Register, rules: Sequence[Rule], results: Sequence[Result], stack: str, day: datetime.date) -> Table:
    titles = {rule.id: rule.title for rule in rules}
    rows = [
        (
            waiver.rule,
            titles.get(waiver.rule, ""),
            waiver.urn,
            ", ".join(waiver.stacks),
            waiver.owner,
            waiver.reason,
            waiver.ticket,
            waiver.expires.isoformat(),
            str((waiver.expires - day).days),
            str(_excused(waiver, results, stack)),
        )
        for waiver in sorted(register.waivers, key=lambda waiver: (waiver.expires, waiver.rule, waiver.urn))
    ]
    columns = (
        "rule",
        "title",
        "resource",
        "stacks",
        "owner",
        "reason",
        "ticket",
        "expires",
        "days left",
        "findings excused here",
    )
    wrong = "".join(f" Not in force: {mistake}." for mistake in register.mistakes)
    return Table(
        name="waivers",
        title="Register of waivers",
        columns=columns,
        rows=rows,
        note=f"As of {day}; of all stacks.{wrong}",
        empty="No waiver is in force: every rule holds without exception.",
    )


def _excused(waiver: Waiver, results: Sequence[Result], stack: str) -> int:
    """Findings of this stack that the waiver excuses."""
    return sum(
        result.outcome is not Outcome.PASS and bool(result.waiver) and waiver.names(stack, result.rule, result.urn)
        for result in results
    )
