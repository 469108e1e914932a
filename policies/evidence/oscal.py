"""The rules' results as OSCAL assessment results (NIST, 1.1.3), for tools of governance and compliance.

Only controls that rules serve, and had something to read for, are in it: what people and providers do was not assessed.
Identifiers are UUIDs of version 5, made from what they name, so that the same record gives the same document.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from policies.evaluation import Result
from policies.evidence.statement import Row, Status, Tally
from policies.record import Record
from policies.rule import Outcome
from policies.waivers import Register

VERSION: Final = "1.1.3"
NAMESPACE: Final = uuid.UUID("7d0a3f2e-5a0e-5d53-9f0b-2f6f3f9f6c11")  # of this project's documents; drawn once
PROPERTIES: Final = "urn:assistant-stack:evidence"  # the namespace of what OSCAL has no name for
CATALOGUE: Final = "urn:iso:std:iso-iec:27001:ed-3"
UNASSESSED: Final = frozenset({Status.NOT_APPLICABLE, Status.NOT_ASSESSED, Status.NOT_EXERCISED})
SOURCES: Final[Mapping[str, str]] = {"preview": "a preview", "update": "an update", "state": "an exported state"}
REASONS: Final[Mapping[Status, str]] = {Status.PASS: "pass", Status.FAIL: "fail"}


def document(record: Record, rows: Sequence[Row], register: Register, commit: str) -> dict[str, Any]:
    assessed = [row for row in rows if row.status not in UNASSESSED]
    return {"assessment-results": _Writer(record, register).results(assessed, commit)}


class _Writer:
    """``self._day``: the record's day as a time, since OSCAL asks for one."""

    def __init__(self, record: Record, register: Register) -> None:
        self._record = record
        self._register = register
        self._day = f"{record.day}T00:00:00Z"
        self._run = f"{record.project}/{record.stack}/{record.source}/{record.day}"

    def results(self, rows: Sequence[Row], commit: str) -> dict[str, Any]:
        plan = self._uuid("plan")
        return {
            "uuid": self._uuid("document", commit, *(part for result in self._ordered() for part in _identity(result))),
            "metadata": {
                "title": f"Policy assessment of {self._record.project}/{self._record.stack}",
                "last-modified": self._day,
                "version": commit or "unversioned",
                "oscal-version": VERSION,
            },
            "import-ap": {"href": f"#{plan}"},
            "results": [self._result(rows)],
            "back-matter": {
                "resources": [
                    {
                        "uuid": plan,
                        "title": "The rules and how they are applied",
                        "description": "Each rule is judged on every resource of its types; docs/policies.md lists them.",
                        "rlinks": [{"href": "docs/policies.md"}],
                    },
                    {"uuid": self._uuid("catalogue"), "title": "ISO/IEC 27001:2022, Annex A", "rlinks": [{"href": CATALOGUE}]},
                ]
            },
        }

    def _result(self, rows: Sequence[Row]) -> dict[str, Any]:
        tallies = {tally.rule.id: tally for row in rows for tally in row.tallies}
        ordered = [result for result in self._ordered() if result.rule in tallies]
        described: dict[str, Any] = {
            "uuid": self._uuid("result"),
            "title": f"Rules of the pack {self._record.version} on {self._record.stack}",
            "description": f"{self._source()}. Processes and premises were not assessed.",
            "start": self._day,
            "end": self._day,
            "props": [_prop("source", self._record.source), _prop("stand-ins", "yes" if self._record.stand_ins else "no")],
            "local-definitions": {"inventory-items": [self._item(urn) for urn in sorted({result.urn for result in ordered})]},
            "reviewed-controls": {
                "control-selections": [{"include-controls": [{"control-id": _control_id(row)} for row in rows]}],
            },
            "observations": [
                self._observation(tally, ordered, outcome) for tally, outcome in _groups(tallies.values(), ordered)
            ],
            "risks": [self._risk(tallies[result.rule], result) for result in ordered if result.outcome is not Outcome.PASS],
            "findings": [self._finding(row, ordered) for row in rows],
        }
        return {name: value for name, value in described.items() if value not in ([], {"inventory-items": []})}

    def _source(self) -> str:
        played = ", with stand-ins in place of an account" if self._record.stand_ins else ""
        return f"From {SOURCES.get(self._record.source, self._record.source)}{played}"

    def _item(self, urn: str) -> dict[str, Any]:
        name = urn.rpartition("::")[2] or "the stack"
        return {"uuid": self._uuid("item", urn), "description": name, "props": [_prop("urn", urn or "the-stack")]}

    def _observation(self, tally: Tally, results: Sequence[Result], outcome: Outcome) -> dict[str, Any]:
        rule = tally.rule
        about = [result for result in results if result.rule == rule.id and result.outcome is outcome]
        described: dict[str, Any] = {
            "uuid": self._uuid("observation", rule.id, outcome.value),
            "title": f"{rule.id} {rule.title}: {outcome.value}",
            "description": f"{rule.title}: {outcome.value} on {len(about)} resources.",
            "props": [_prop("rule", rule.id), _prop("severity", rule.severity.value), _prop("outcome", outcome.value)],
            "methods": ["TEST"],
            "types": ["finding" if outcome is Outcome.FAIL else "control-objective"],
            "subjects": [
                {"subject-uuid": self._uuid("item", urn), "type": "inventory-item"}
                for urn in sorted({each.urn for each in about})
            ],
            "collected": self._day,
        }
        evidence = [{"description": f"{result.urn or 'the stack'}: {reason}"} for result in about for reason in result.reasons]
        return {**described, "relevant-evidence": evidence} if evidence else described

    def _risk(self, tally: Tally, result: Result) -> dict[str, Any]:
        rule, waiver = tally.rule, self._register.of(self._record.stack, result.rule, result.urn)
        described: dict[str, Any] = {
            "uuid": self._risk_uuid(result),
            "title": f"{rule.id} {rule.title}",
            "description": f"{result.urn or 'The stack'}: {'; '.join(result.reasons) or result.outcome.value}",
            "statement": f"{rule.title}: {result.outcome.value}. A finding of severity {rule.severity.value}.",
            "props": [_prop("rule", rule.id), _prop("severity", rule.severity.value)],
            "status": "deviation-approved" if result.waiver else "open",
            "remediations": [
                {
                    "uuid": self._uuid("remedy", result.rule, result.urn, *result.reasons),
                    "lifecycle": "recommendation",
                    "title": f"Remedy of {rule.id}",
                    "description": rule.remedy,
                }
            ],
            "related-observations": [{"observation-uuid": self._uuid("observation", rule.id, result.outcome.value)}],
        }
        if result.waiver and waiver:
            described["props"].append(_prop("ticket", result.waiver))
            described["deadline"] = f"{waiver.expires}T00:00:00Z"
            described["statement"] += f" Accepted by {waiver.owner} until {waiver.expires}: {waiver.reason}"
        return described

    def _finding(self, row: Row, results: Sequence[Result]) -> dict[str, Any]:
        rules = {tally.rule.id for tally in row.tallies}
        about = [result for result in results if result.rule in rules]
        seen = sorted({(result.rule, result.outcome.value) for result in about})
        risks = [{"risk-uuid": self._risk_uuid(result)} for result in about if result.outcome is not Outcome.PASS]
        control = row.entry.control
        described: dict[str, Any] = {
            "uuid": self._uuid("finding", control.number),
            "title": str(control),
            "description": "; ".join(str(tally) for tally in row.tallies),
            "target": {
                "type": "objective-id",
                "target-id": _control_id(row),
                "title": control.title,
                "description": row.entry.reason,
                "status": {
                    "state": "satisfied" if row.status is Status.PASS else "not-satisfied",
                    "reason": REASONS.get(row.status, "other"),
                    "remarks": f"{row.status.value}: of the technical part, as far as the rules read it.",
                },
            },
        }
        if seen:
            observed = [{"observation-uuid": self._uuid("observation", rule, outcome)} for rule, outcome in seen]
            described["related-observations"] = observed
        return {**described, "related-risks": risks} if risks else described

    def _ordered(self) -> list[Result]:
        return sorted(set(self._record.results), key=lambda each: (each.rule, each.urn, each.outcome.value, each.reasons))

    def _risk_uuid(self, result: Result) -> str:
        return self._uuid("risk", *_identity(result))

    def _uuid(self, *of: str) -> str:
        return str(uuid.uuid5(NAMESPACE, "\n".join((self._run, *of))))


def _identity(result: Result) -> tuple[str, ...]:
    return (result.rule, result.urn, result.outcome.value, *result.reasons, result.waiver)


def _groups(tallies: Iterable[Tally], results: Sequence[Result]) -> list[tuple[Tally, Outcome]]:
    """The rules that came to a result, each with every outcome that it came to."""
    there = {(result.rule, result.outcome) for result in results}
    return [
        (tally, outcome)
        for tally in sorted(tallies, key=lambda tally: tally.rule.id)
        for outcome in Outcome
        if (tally.rule.id, outcome) in there
    ]


def _control_id(row: Row) -> str:
    return f"a.{row.entry.control.number}"


def _prop(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": PROPERTIES, "value": " ".join(value.split()) or "-"}
