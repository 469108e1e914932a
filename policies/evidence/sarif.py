"""What was found as SARIF 2.1.0 (OASIS), which code hosts show beside the code.

Passes are left out, since hosts list every result as an alert; the Statement of Applicability counts them. A resource is a
logical location, by its URN. Hosts ask for a file as well: it is the program's, which makes the resource.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from policies.controls import CONTROLS
from policies.evaluation import Result
from policies.record import Record
from policies.rule import Outcome, Rule, Severity
from policies.waivers import Register, Waiver

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
STANDARD: Final = "ISO/IEC 27001"
PROGRAM: Final = "infra/__main__.py"
PACK_FILES: Final = "policies/waivers.yaml"
LEVELS: Final[Mapping[Severity, str]] = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
# Within the ranges of GitHub's code scanning: over 9.0 critical, 7.0 high, 4.0 medium.
SCORES: Final[Mapping[Severity, str]] = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.0",
}


def document(record: Record, rules: Sequence[Rule], register: Register, commit: str) -> dict[str, Any]:
    ordered = sorted(rules, key=lambda rule: rule.id)
    places = {rule.id: (place, rule) for place, rule in enumerate(ordered)}
    found = [result for result in record.results if result.outcome is not Outcome.PASS]
    found.sort(key=lambda result: (result.rule, result.urn, result.reasons))
    run = {
        "tool": {
            "driver": {
                "name": "assistant policies",
                "version": record.version,
                "informationUri": "https://www.pulumi.com/docs/insights/policy/",
                "supportedTaxonomies": [{"name": STANDARD, "index": 0}],
                "rules": [_rule(rule) for rule in ordered],
            }
        },
        "taxonomies": [_taxonomy(ordered)],
        "automationDetails": {"id": f"{record.project}/{record.stack}/{record.source}/"},
        "invocations": [{"executionSuccessful": True}],
        "columnKind": "utf16CodeUnits",
        "properties": {"commit": commit, "day": record.day, "source": record.source, "standIns": record.stand_ins},
        "results": [
            _result(result, *places[result.rule], register.of(record.stack, result.rule, result.urn)) for result in found
        ],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title} ({STANDARD}:2022 {rule.reference})."},
        "helpUri": rule.link,
        "help": {"text": f"Remedy: {rule.remedy}"},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {
            "security-severity": SCORES[rule.severity],
            "tags": ["security", "iso-27001", *(f"A.{control}" for control in rule.controls)],
        },
        "relationships": [
            {"target": {"id": f"A.{control}", "toolComponent": {"name": STANDARD, "index": 0}}, "kinds": ["relevant"]}
            for control in rule.controls
        ],
    }


def _taxonomy(rules: Sequence[Rule]) -> dict[str, Any]:
    named = {control for rule in rules for control in rule.controls}
    return {
        "name": STANDARD,
        "version": "2022",
        "organization": "ISO/IEC",
        "shortDescription": {"text": "Annex A: information security controls"},
        "taxa": [
            {"id": f"A.{control.number}", "shortDescription": {"text": control.title}}
            for control in CONTROLS.values()
            if control.number in named
        ],
    }


def _result(result: Result, place: int, rule: Rule, waiver: Waiver | None) -> dict[str, Any]:
    failed = result.outcome is Outcome.FAIL
    reasons = "; ".join(result.reasons)
    described: dict[str, Any] = {
        "ruleId": rule.id,
        "ruleIndex": place,
        "kind": "fail" if failed else "open",
        "level": LEVELS[rule.severity] if failed else "none",
        "message": {"text": f"{rule.title}: {reasons}" if failed else f"{rule.title}: undetermined, {reasons}"},
        "locations": [_location(result.urn)],
        "partialFingerprints": {"ruleAndResource/v1": hashlib.sha256(f"{rule.id}\n{result.urn}".encode()).hexdigest()},
        "properties": {"outcome": result.outcome.value},
    }
    if result.waiver:
        said = f"{result.waiver}: {waiver.reason}" if waiver else result.waiver
        described["suppressions"] = [{"kind": "external", "status": "accepted", "justification": said}]
    return described


def _location(urn: str) -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": PROGRAM if urn else PACK_FILES}, "region": {"startLine": 1}}
    }
    if urn:
        location["logicalLocations"] = [{"name": urn.rpartition("::")[2], "fullyQualifiedName": urn, "kind": "resource"}]
    return location
