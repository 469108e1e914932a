"""The pack's one pass: which checks read a resource, what they say of it, and which of that is waived."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from policies.resource import Resource, Stack
from policies.rule import Check, Finding, Outcome, Rule, Severity, Verdict, all_of, fail, judge, judge_stack
from policies.waivers import Register, Waiver

WAIVERS: Final = Rule(
    id="W01",
    name="waivers-in-order",
    title="Every waiver is well-formed, in force and used",
    severity=Severity.HIGH,
    controls=("5.36", "8.32"),
    remedy="mend or remove the entry in policies/waivers.yaml; what it excused is mended, or granted anew with a new end",
    link="https://csrc.nist.gov/glossary/term/risk_acceptance",
)


@dataclass(frozen=True)
class Result:
    """What one rule says of one resource; ``urn`` empty: of the stack itself. ``waiver``: the ticket that excuses it."""

    rule: str
    urn: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    waiver: str = ""

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.outcome, self.reasons)

    @property
    def stands(self) -> bool:
        """Whether somebody has to do something about it."""
        return self.outcome is not Outcome.PASS and not self.waiver


@dataclass(frozen=True)
class RuleBook:
    """The rules, and by type the checks that read a resource of it."""

    rules: Sequence[Rule]

    @cached_property
    def by_id(self) -> Mapping[str, Rule]:
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def _of_every_type(self) -> Sequence[tuple[Rule, Check]]:
        return [(rule, check) for rule in self.rules for check in rule.checks if not check.types]

    @cached_property
    def _by_type(self) -> Mapping[str, Sequence[tuple[Rule, Check]]]:
        found: dict[str, list[tuple[Rule, Check]]] = {}
        for rule in self.rules:
            for check in rule.checks:
                for resource_type in dict.fromkeys(check.types):
                    found.setdefault(resource_type, []).append((rule, check))
        return found

    def judge(self, resource: Resource) -> list[Result]:
        """One result a rule that reads the resource's type."""
        verdicts: dict[str, list[Verdict]] = {}
        for rule, check in (*self._of_every_type, *self._by_type.get(resource.type, ())):
            verdicts.setdefault(rule.id, []).append(judge(check, resource))
        return [result_of(rule_id, resource.urn, all_of(said)) for rule_id, said in verdicts.items()]

    def judge_stack(self, stack: Stack) -> list[Result]:
        """One result a rule and resource that its relations have judged."""
        return together(
            result_of(rule.id, finding.urn, finding.verdict)
            for rule in self.rules
            for relation in rule.relations
            for finding in judge_stack(relation, stack)
        )


def result_of(rule_id: str, urn: str, verdict: Verdict) -> Result:
    return Result(rule_id, urn, verdict.outcome, verdict.reasons)


def together(results: Iterable[Result]) -> list[Result]:
    """One result a rule and resource, the worst of what was said: a relation's pass does not hide what a check has found."""
    said: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        said.setdefault((result.rule, result.urn), []).append(result)
    return [_worst(of_one) for of_one in said.values()]


def _worst(results: Sequence[Result]) -> Result:
    verdict = all_of(result.verdict for result in results)
    waiver = next((result.waiver for result in results if result.waiver), "")
    return replace(results[0], outcome=verdict.outcome, reasons=verdict.reasons, waiver=waiver)


def excused(result: Result, stack: str, register: Register, profile: str = "") -> tuple[Result, Waiver | None]:
    """``result`` with the waiver that names it, for the stack by its name or by its profile, if it needs one."""
    if result.outcome is Outcome.PASS:
        return result, None
    waiver = register.of(stack, result.rule, result.urn) or register.of(profile, result.rule, result.urn)
    return (replace(result, waiver=waiver.ticket), waiver) if waiver else (result, None)


def of_register(stack: str, register: Register, used: Iterable[Waiver], urns: Iterable[str]) -> list[Result]:
    """What is to be said of the waivers themselves, after everything has been judged."""
    reasons = [*register.mistakes, *(f"{waiver} is used by nothing" for waiver in register.unused(stack, used, urns))]
    return [result_of(WAIVERS.id, "", fail(*reasons))] if reasons else []


def evaluate(book: RuleBook, inputs: Iterable[Resource], stack: Stack, register: Register) -> tuple[Result, ...]:
    """Everything at once, for a stack that is at hand: ``inputs`` for the checks, ``stack`` for the relations."""
    said = together([*(result for resource in inputs for result in book.judge(resource)), *book.judge_stack(stack)])
    pairs = [excused(result, stack.name, register) for result in said]
    used = {waiver for _result, waiver in pairs if waiver}
    return (*(result for result, _waiver in pairs), *of_register(stack.name, register, used, stack.by_urn))


def findings_of(results: Iterable[Result]) -> list[Finding]:
    """Those that stand, as findings."""
    return [Finding(result.urn, result.verdict) for result in results if result.stands]
