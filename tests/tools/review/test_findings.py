"""Which of the policies' words a change has to answer for."""

from __future__ import annotations

import pytest

from policies.enforcement import Level
from policies.evaluation import Result
from policies.rule import PASS, Check, Outcome, Rule, Severity
from tools.review.findings import findings_of

URN = "urn:pulumi:prod::assistant::aws:s3/bucket:Bucket::models"


def rules(severity: Severity) -> dict[str, Rule]:
    rule = Rule(
        id="R01",
        name="one-rule",
        title="A rule",
        severity=severity,
        controls=("8.20",),
        remedy="mend it",
        link="https://example.com/rule",
        checks=(Check(types=(), judge=lambda _resource: PASS),),
    )
    return {"R01": rule}


@pytest.mark.parametrize(
    ("outcome", "severity", "waiver", "level", "fails"),
    [
        (Outcome.FAIL, Severity.LOW, "", Level.MANDATORY, True),
        (Outcome.FAIL, Severity.CRITICAL, "OPS-1", Level.MANDATORY, False),
        (Outcome.FAIL, Severity.CRITICAL, "", Level.ADVISORY, False),
        (Outcome.UNDETERMINED, Severity.CRITICAL, "", Level.MANDATORY, True),
        (Outcome.UNDETERMINED, Severity.HIGH, "", Level.MANDATORY, True),
        (Outcome.UNDETERMINED, Severity.HIGH, "OPS-1", Level.MANDATORY, False),
        (Outcome.UNDETERMINED, Severity.MEDIUM, "", Level.MANDATORY, False),
    ],
)
def test_what_fails_is_what_is_mandatory_not_waived_and_broken_or_grave_and_undecided(
    outcome: Outcome, severity: Severity, waiver: str, level: Level, fails: bool
) -> None:
    (found,) = findings_of([Result("R01", URN, outcome, ("why",), waiver)], rules(severity), level)
    assert found.fails is fails
    assert (found.waiver, found.reasons, found.controls) == (waiver, ("why",), ("8.20",))


def test_what_passes_is_no_finding_and_what_fails_comes_first() -> None:
    results = [
        Result("R01", URN, Outcome.PASS),
        Result("R01", f"{URN}-waived", Outcome.FAIL, ("why",), "OPS-1"),
        Result("R01", f"{URN}-broken", Outcome.FAIL, ("why",)),
    ]
    found = findings_of(results, rules(Severity.HIGH), Level.MANDATORY)
    assert [one.urn.rpartition("-")[2] for one in found] == ["broken", "waived"]
