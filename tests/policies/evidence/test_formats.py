"""Findings for other programs: JUnit, SARIF and OSCAL, each true to its schema and to the record."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from typing import Any

import pytest
from evidence.recorded import BUCKET, RESULTS, RULES, WAIVER, assembled, record_of, urn
from evidence.schemas import OSCAL, SARIF
from jsonschema import Draft202012Validator

from policies.evaluation import Result
from policies.evidence.bundle import JUNIT
from policies.evidence.bundle import OSCAL as OSCAL_FILE
from policies.evidence.bundle import SARIF as SARIF_FILE
from policies.record import Record
from policies.rule import Outcome

CLEAN = record_of(results=tuple(result for result in RESULTS if result.outcome is Outcome.PASS))
NOTHING = record_of((), ())
TWICE = record_of(results=(*RESULTS, *RESULTS))
STRANGE = record_of(results=(Result("R17", urn(BUCKET, "a\x00b\x1b"), Outcome.FAIL, ("bell \x07",)),))
RECORDS = pytest.mark.parametrize("record", [record_of(), CLEAN, TWICE], ids=["mixed", "clean", "repeated"])


def sarif(record: Record | None = None) -> dict[str, Any]:
    return json.loads(assembled(record)[SARIF_FILE])["runs"][0]  # type: ignore[no-any-return]


def oscal(record: Record | None = None) -> dict[str, Any]:
    return json.loads(assembled(record)[OSCAL_FILE])["assessment-results"]  # type: ignore[no-any-return]


def junit(record: Record | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(assembled(record)[JUNIT])  # noqa: S314 - our own


def mistakes(schema: dict[str, Any], content: bytes) -> list[str]:
    found = Draft202012Validator(schema).iter_errors(json.loads(content))
    return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in found]


@RECORDS
def test_sarif_is_true_to_its_schema(record: Record) -> None:
    assert mistakes(SARIF, assembled(record)[SARIF_FILE]) == []


@RECORDS
def test_oscal_is_true_to_its_schema(record: Record) -> None:
    assert mistakes(OSCAL, assembled(record)[OSCAL_FILE]) == []


def test_sarif_shows_what_is_not_a_pass_and_nothing_else() -> None:
    results = sarif()["results"]

    assert [(result["ruleId"], result["kind"], result["level"]) for result in results] == [
        ("R17", "fail", "error"),
        ("R39", "open", "none"),
        ("R40", "open", "none"),
        ("R47", "fail", "warning"),
    ]
    assert sarif(CLEAN)["results"] == []


def test_sarif_suppresses_what_is_waived_with_the_reason() -> None:
    suppressed = {result["ruleId"]: result["suppressions"] for result in sarif()["results"] if "suppressions" in result}

    assert suppressed == {"R47": [{"kind": "external", "status": "accepted", "justification": f"OPS-123: {WAIVER.reason}"}]}


def test_sarif_refers_to_rules_and_controls_that_it_lists() -> None:
    run = sarif()
    rules = run["tool"]["driver"]["rules"]
    (taxonomy,) = run["taxonomies"]

    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    named = {relation["target"]["id"] for rule in rules for relation in rule["relationships"]}
    assert named == {taxon["id"] for taxon in taxonomy["taxa"]}
    assert "A.8.24" in named


def test_sarif_names_the_resource_by_its_urn_and_tells_findings_apart() -> None:
    results = sarif()["results"]

    assert results[0]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == urn(BUCKET, "access-logs")
    prints = [result["partialFingerprints"]["ruleAndResource/v1"] for result in results]
    assert len(set(prints)) == len(prints)


def uuids(document: Any) -> Iterator[str]:
    """Those that name something, not those that refer to it."""
    if isinstance(document, dict):
        yield from (value for key, value in document.items() if key == "uuid")
        yield from (each for value in document.values() for each in uuids(value))
    elif isinstance(document, list):
        yield from (each for value in document for each in uuids(value))


def references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        yield from (value for key, value in document.items() if key.endswith("-uuid"))
        yield from (each for value in document.values() for each in references(value))
    elif isinstance(document, list):
        yield from (each for value in document for each in references(value))


@RECORDS
def test_oscal_identifies_each_thing_once_and_refers_to_what_is_there(record: Record) -> None:
    document = oscal(record)
    named = list(uuids(document))

    assert len(set(named)) == len(named)
    assert set(references(document)) <= set(named)
    assert document["import-ap"]["href"].removeprefix("#") in named


def test_oscal_assesses_what_rules_read_and_nothing_that_people_do() -> None:
    (result,) = oscal()["results"]
    selected = [each["control-id"] for each in result["reviewed-controls"]["control-selections"][0]["include-controls"]]

    assert selected == ["a.5.15", "a.5.36", "a.8.3", "a.8.13", "a.8.15", "a.8.24", "a.8.32"]
    assert [finding["target"]["target-id"] for finding in result["findings"]] == selected


def test_oscal_is_satisfied_by_a_pass_alone() -> None:
    states = {
        finding["target"]["target-id"]: (finding["target"]["status"]["state"], finding["target"]["status"]["reason"])
        for finding in oscal()["results"][0]["findings"]
    }

    assert states["a.8.24"] == ("satisfied", "pass")
    assert states["a.8.3"] == ("not-satisfied", "fail")
    assert states["a.8.13"] == ("not-satisfied", "other")
    assert states["a.8.15"] == ("not-satisfied", "other")


def test_oscal_has_a_waiver_as_an_approved_deviation_with_its_end() -> None:
    risks = {(risk["props"][0]["value"], risk["status"], risk.get("deadline")) for risk in oscal()["results"][0]["risks"]}

    assert risks == {
        ("R17", "open", None),
        ("R39", "open", None),
        ("R40", "open", None),
        ("R47", "deviation-approved", "2027-01-04T00:00:00Z"),
    }


def test_junit_counts_what_it_holds() -> None:
    root = junit()

    assert len(root.findall("testsuite")) == len(RULES)
    for element, suites in (root, root.findall("testsuite")), *((suite, [suite]) for suite in root.findall("testsuite")):
        cases = [case for suite in suites for case in suite.findall("testcase")]
        assert element.get("tests") == str(len(cases))
        assert element.get("failures") == str(sum(case.find("failure") is not None for case in cases))
        assert element.get("skipped") == str(sum(case.find("skipped") is not None for case in cases))


def outcome_of(rule: str, name: str) -> str:
    (case,) = (
        case
        for case in junit().iter("testcase")
        if case.get("classname", "").startswith(rule) and case.get("name", "").endswith(name)
    )
    children = [
        f"{child.tag} {child.get('type') or ''}{child.get('message') if child.tag == 'skipped' else ''}" for child in case
    ]
    return "; ".join(children) or "passed"


@pytest.mark.parametrize(
    ("rule", "name", "said"),
    [
        ("R17", "models", "passed"),
        ("R17", "access-logs", "failure fail"),
        ("R39", "models", "failure undetermined"),  # high: somebody has to look
        ("R40", "models", "skipped undetermined: days are not known before the update"),
        ("R47", "access-logs", "skipped waived (OPS-123): it has no log of its own"),
        ("R20", "(the stack)", "skipped not exercised: the stack has no resource of the types that the rule reads"),
        ("W01", "(the stack)", "passed"),
    ],
)
def test_junit_has_a_case_for_each_result(rule: str, name: str, said: str) -> None:
    assert outcome_of(rule, name) == said


def test_a_failure_says_what_to_do() -> None:
    failure = next(junit().iter("failure"))

    assert failure.text is not None
    assert failure.text.splitlines() == ["blockPublicPolicy is off", "remedy: set <it>", "see: https://example.org/rule"]


def test_what_xml_cannot_hold_is_replaced() -> None:
    root = junit(STRANGE)

    assert "a\N{REPLACEMENT CHARACTER}b" in next(
        case for case in root.iter("testcase") if case.find("failure") is not None
    ).get("name", "")


def test_a_stack_without_resources_is_no_mistake() -> None:
    assert sarif(NOTHING)["results"] == []
    assert junit(NOTHING).get("failures") == "0"
    assert mistakes(OSCAL, assembled(NOTHING)[OSCAL_FILE]) == []
