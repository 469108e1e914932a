"""What a rule is, the three verdicts it can reach, and the one way in which a rule is applied.

A rule reads through small pure functions: a :class:`Check` over a plain view of one resource
(:class:`policies.resource.Resource`), a :class:`Relation` over the whole stack. None of them raises for bad input:
:func:`judge` turns an unknown value into *undetermined*, and a malformed one into a *fail* that says what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from policies.controls import CONTROLS
from policies.resource import Malformed, NotKnown, Resource, Stack, hidden_in, redact
from policies.values import Value

RULE_ID = re.compile(r"[RLAW]\d{2}")
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
        equal = [verdict for verdict in found if verdict.outcome is outcome]
        if equal:
            return Verdict(outcome, tuple(reason for verdict in equal for reason in verdict.reasons))
    return PASS


def each(*checks: Callable[[], Verdict]) -> Verdict:
    """Every check's verdict, combined: what one of them cannot read does not hide what another one finds."""
    return all_of([_settle(check) for check in checks])


@dataclass(frozen=True)
class Finding:
    """A verdict on one resource of the stack; ``urn`` empty: on the stack itself."""

    urn: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Check:
    """How a rule reads the inputs of one resource, before the engine acts on it.

    ``types`` empty: every resource. ``properties``: the names of the inputs that decide, for the rule on ignored changes.
    """

    types: tuple[str, ...]
    properties: tuple[str, ...] = ()
    judge: Callable[[Resource], Verdict]


@dataclass(frozen=True, kw_only=True)
class Relation:
    """How a rule reads the outputs of all resources and the edges between them, after the program has run.

    ``reads``: the types it looks at, and of each the properties that decide. ``judge`` gives a finding, a pass too, for every
    resource that it has judged.
    """

    reads: Mapping[str, tuple[str, ...]]
    judge: Callable[[Stack], Sequence[Finding]]


@dataclass(frozen=True, kw_only=True)
class Remediation:
    """``propose`` names the inputs (paths of keys) to be set so that the rule passes; what it does not name stays as it is."""

    types: tuple[str, ...]
    propose: Callable[[Resource], Mapping[tuple[str, ...], Value]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule, with what an auditor and the engine's output need to know of it.

    ``id`` is the number in the goal table of controls (``R…``), ``L…`` for a rule of the local target, ``A…`` for one on the
    application, ``W…`` on the pack's own files; ``remedy`` says what to change; ``link`` leads to the words behind the rule;
    ``controls`` are numbers of Annex A, the first the principal one. ``schema`` describes what a pack's configuration may set
    (JSON Schema by property) and ``configure`` makes the rule anew with it.
    """

    id: str
    name: str
    title: str
    severity: Severity
    controls: tuple[str, ...]
    remedy: str
    link: str
    checks: tuple[Check, ...] = ()
    relations: tuple[Relation, ...] = ()
    remediation: Remediation | None = None
    schema: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    configure: Callable[[Rule, Mapping[str, Any]], Rule] | None = None

    def __post_init__(self) -> None:
        if not RULE_ID.fullmatch(self.id):
            raise ValueError(f"rule id {self.id!r}: expected R, L, A or W and two digits")
        if not RULE_NAME.fullmatch(self.name):
            raise ValueError(f"{self.id}: name {self.name!r}: expected lower-case words joined by hyphens")
        if not self.controls:
            raise ValueError(f"{self.id}: names no control of Annex A")
        for control in self.controls:
            if control not in CONTROLS:
                raise ValueError(f"{self.id}: {control!r} is no control of Annex A (5.1 to 8.34)")
        for name in ("title", "remedy", "link"):
            if not getattr(self, name):
                raise ValueError(f"{self.id}: {name} is empty")

    @property
    def policy(self) -> str:
        """The name under which Pulumi lists and configures the rule, such as ``R57-tls-minimum``."""
        return f"{self.id}-{self.name}"

    @property
    def reference(self) -> str:
        return ", ".join(f"A.{control}" for control in self.controls)

    @property
    def is_grave(self) -> bool:
        """Critical or high: what cannot be determined about it is no small matter."""
        return self.severity in (Severity.CRITICAL, Severity.HIGH)

    def reads(self) -> dict[str, tuple[str, ...]]:
        """The types that the rule's checks and relations name, and of each the properties that decide."""
        read: dict[str, set[str]] = {}
        for check in self.checks:
            for resource_type in check.types:
                read.setdefault(resource_type, set()).update(check.properties)
        for relation in self.relations:
            for resource_type, properties in relation.reads.items():
                read.setdefault(resource_type, set()).update(properties)
        return {resource_type: tuple(sorted(properties)) for resource_type, properties in sorted(read.items())}


def judge(check: Check, resource: Resource) -> Verdict:
    """Apply ``check``; never raises, and no reason repeats a value that is marked as secret or looks like one."""
    verdict = _settle(lambda: check.judge(resource))
    return _redacted(verdict, hidden_in([resource])) if verdict.reasons else verdict


def judge_stack(relation: Relation, stack: Stack) -> list[Finding]:
    """Apply ``relation`` to the stack; never raises, redacted like :func:`judge`.

    One resource that cannot be read must not hide what is to be said of the others, so relations settle each of their
    findings with :func:`found`; what escapes all the same is a finding on the stack itself.
    """
    try:
        findings = list(relation.judge(stack))
    except Exception as error:
        findings = [Finding("", _excused(error))]
    if all(not finding.verdict.reasons for finding in findings):
        return findings
    return [Finding(finding.urn, _redacted(finding.verdict, stack.hidden)) for finding in findings]


def found(resource: Resource, check: Callable[[], Verdict]) -> Finding:
    """What ``check`` says of ``resource`` within a relation."""
    return Finding(resource.urn, _settle(check))


def _settle(check: Callable[[], Verdict]) -> Verdict:
    try:
        return check()
    except Exception as error:
        return _excused(error)


def _excused(error: Exception) -> Verdict:
    if isinstance(error, NotKnown):
        return undetermined(f"{error.path} is not known before the update")
    if isinstance(error, Malformed):
        return fail(f"{error.path}: {error.expected} was expected, {error.came} came")
    # A resource of a shape nobody thought of is a finding. The error's text might hold a value, its type does not.
    return fail(f"the rule could not read this resource ({type(error).__name__}); it is malformed, or the rule is wrong")


def _redacted(verdict: Verdict, hidden: Sequence[str]) -> Verdict:
    return Verdict(verdict.outcome, tuple(redact(reason, hidden) for reason in verdict.reasons))
