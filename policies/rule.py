"""What a rule is, the three verdicts it can reach, and the one way in which a rule is applied.

A rule is a small pure function over a plain view of a resource (:class:`policies.resource.Resource`) or of the whole
stack. It never raises for bad input: :func:`judge` turns an unknown value into *undetermined*, and a malformed one into a
*fail* that says what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from policies.resource import Malformed, NotKnown, Resource, Stack, redact
from policies.secret_scanning import scan

# Annex A of ISO/IEC 27001:2022: 37 organisational, 8 people, 14 physical and 34 technological controls.
ANNEX_A_SIZES = {5: 37, 6: 8, 7: 14, 8: 34}
RULE_ID = re.compile(r"[RL]\d{2}")
RULE_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Severity(Enum):
    """The severities of Pulumi's policy SDK, by the same names."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Outcome(Enum):
    """Ordered from best to worst by :func:`all_of`."""

    PASS = "pass"  # noqa: S105 - a verdict
    UNDETERMINED = "undetermined"
    FAIL = "fail"


@dataclass(frozen=True)
class Verdict:
    """``reasons`` are sentences for people, without the value of any secret; a pass has none."""

    outcome: Outcome
    reasons: tuple[str, ...] = ()


PASS = Verdict(Outcome.PASS)


def fail(*reasons: str) -> Verdict:
    return Verdict(Outcome.FAIL, reasons)


def undetermined(*reasons: str) -> Verdict:
    return Verdict(Outcome.UNDETERMINED, reasons)


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of ``verdicts``, with the reasons of every verdict that is equally bad; a pass where there are none."""
    found = list(verdicts)
    for outcome in (Outcome.FAIL, Outcome.UNDETERMINED):
        reasons = tuple(reason for verdict in found if verdict.outcome is outcome for reason in verdict.reasons)
        if reasons:
            return Verdict(outcome, reasons)
    return PASS


def each(*checks: Callable[[], Verdict]) -> Verdict:
    """Every check's verdict, combined: what one of them cannot read does not hide what another one finds."""
    return all_of([_settle(check) for check in checks])


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What an auditor and the engine's output need to know of a rule.

    ``id`` is the number in the goal table of controls (``R…``), or ``L…`` for a rule of the local target; ``remedy`` says what
    to change; ``link`` leads to the words behind the rule; ``controls`` are numbers of Annex A, the first the principal one.
    """

    id: str
    name: str
    title: str
    severity: Severity
    controls: tuple[str, ...]
    remedy: str
    link: str

    def __post_init__(self) -> None:
        if not RULE_ID.fullmatch(self.id):
            raise ValueError(f"rule id {self.id!r}: expected R or L and two digits")
        if not RULE_NAME.fullmatch(self.name):
            raise ValueError(f"{self.id}: name {self.name!r}: expected lower-case words joined by hyphens")
        if not self.controls:
            raise ValueError(f"{self.id}: names no control of Annex A")
        for control in self.controls:
            theme, _, number = control.partition(".")
            if not (theme.isdigit() and number.isdigit() and 1 <= int(number) <= ANNEX_A_SIZES.get(int(theme), 0)):
                raise ValueError(f"{self.id}: {control!r} is no control of Annex A (5.1 to 8.34)")
        for field in ("title", "remedy", "link"):
            if not getattr(self, field):
                raise ValueError(f"{self.id}: {field} is empty")

    @property
    def policy(self) -> str:
        """The name under which Pulumi lists and configures the rule, such as ``R57-tls-minimum``."""
        return f"{self.id}-{self.name}"

    @property
    def reference(self) -> str:
        return ", ".join(f"A.{control}" for control in self.controls)


@dataclass(frozen=True, kw_only=True)
class Rule(Metadata):
    """Reads the inputs of one resource, before the engine acts on it.

    ``types`` empty: every resource. ``properties``: the names of the inputs that decide, for the rule on ignored changes.
    """

    types: tuple[str, ...]
    properties: tuple[str, ...] = ()
    check: Callable[[Resource], Verdict]

    def reads(self, resource_type: str) -> bool:
        return not self.types or resource_type in self.types


@dataclass(frozen=True)
class Finding:
    """A verdict on one resource of the stack; ``urn`` empty: on the stack itself."""

    urn: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class StackRule(Metadata):
    """Reads the outputs of all resources and the edges between them, after the program has run."""

    check: Callable[[Stack], Sequence[Finding]]


def judge(rule: Rule, resource: Resource) -> Verdict:
    """Apply ``rule``; never raises, and no reason repeats a value that is marked as secret or looks like one."""
    return _redacted(_settle(lambda: rule.check(resource)), [resource])


def judge_stack(rule: StackRule, stack: Stack) -> list[Finding]:
    """Apply ``rule`` to the stack; never raises, redacted like :func:`judge`."""
    try:
        findings = list(rule.check(stack))
    except Exception:
        findings = [Finding("", _settle(lambda: _first(rule.check(stack))))]
    return [Finding(finding.urn, _redacted(finding.verdict, stack.resources)) for finding in findings]


def _first(findings: Sequence[Finding]) -> Verdict:
    return findings[0].verdict if findings else PASS


def _settle(check: Callable[[], Verdict]) -> Verdict:
    try:
        return check()
    except NotKnown as unknown:
        return undetermined(f"{unknown.path} is not known before the update")
    except Malformed as malformed:
        return fail(f"{malformed.path}: {malformed.expected} was expected, {malformed.came} came")
    except Exception as error:
        # A resource of a shape nobody thought of is a finding. The error's text might hold a value, its type does not.
        return fail(f"the rule could not read this resource ({type(error).__name__}); it is malformed, or the rule is wrong")


def _redacted(verdict: Verdict, resources: Sequence[Resource]) -> Verdict:
    if not verdict.reasons:
        return verdict
    hidden = [
        leaf.value
        for resource in resources
        for leaf in resource.leaves()
        if isinstance(leaf.value, str) and (leaf.marked or scan(leaf.keys, leaf.value))
    ]
    return Verdict(verdict.outcome, tuple(redact(reason, hidden) for reason in verdict.reasons))
