"""What the policies say of the preview, from the pack's own record of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policies.enforcement import Level
from policies.evaluation import Result
from policies.rule import Outcome, Rule, Severity

GRAVE = (Severity.CRITICAL, Severity.HIGH)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """``urn`` is empty where the stack itself is meant; ``waiver``: the ticket of whoever has excused it."""

    rule: str
    title: str
    severity: Severity
    controls: tuple[str, ...]
    remedy: str
    urn: str
    outcome: Outcome
    reasons: tuple[str, ...]
    waiver: str = ""
    fails: bool = False


def findings_of(results: Iterable[Result], rules: Mapping[str, Rule], level: Level) -> tuple[Finding, ...]:
    """All that did not pass, what fails first, then by severity. Pure."""
    found = [_finding(result, rules[result.rule], level) for result in results if result.outcome is not Outcome.PASS]
    weights = list(reversed(Severity))
    return tuple(
        sorted(found, key=lambda one: (not one.fails, bool(one.waiver), weights.index(one.severity), one.rule, one.urn))
    )


def _finding(result: Result, rule: Rule, level: Level) -> Finding:
    # A rule that could not decide is no rule that is kept: of a grave one somebody has to say that it may stay so.
    counts = result.outcome is Outcome.FAIL or rule.severity in GRAVE
    return Finding(
        rule=rule.id,
        title=rule.title,
        severity=rule.severity,
        controls=tuple(rule.controls),
        remedy=rule.remedy,
        urn=result.urn,
        outcome=result.outcome,
        reasons=result.reasons,
        waiver=result.waiver,
        fails=counts and not result.waiver and level is Level.MANDATORY,
    )
