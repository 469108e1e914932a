"""The Statement of Applicability: what each row says of what the rules found."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from evidence.recorded import BUCKET, RESULTS, RULES, assembled, record_of, rule, seen, urn

from policies.controls import CONTROLS
from policies.evaluation import Result
from policies.evidence import applicability, statement
from policies.evidence.statement import OFF_AWS, PART, Status
from policies.rule import Outcome


def rows() -> dict[str, dict[str, Any]]:
    document = json.loads(assembled()["statement-of-applicability.json"])
    return {row["control"]: row for row in document["controls"]}


def test_there_are_93_rows_each_with_a_reason_and_a_result() -> None:
    found = rows()

    assert list(found) == [f"A.{number}" for number in CONTROLS]
    assert all(row["reason"] and row["result"] for row in found.values())


@pytest.mark.parametrize(
    ("control", "result"),
    [
        ("A.8.3", "fail"),
        ("A.8.13", "undetermined"),
        ("A.8.15", "waived"),
        ("A.8.24", "pass"),
        ("A.8.5", "not exercised"),
        ("A.5.36", "pass"),  # W01, which speaks only when something is wrong
        ("A.6.1", "not assessed"),
        ("A.7.2", "not assessed"),
        ("A.8.23", "not applicable"),
    ],
)
def test_the_result_follows_from_the_record(control: str, result: str) -> None:
    assert rows()[control]["result"] == result


def test_counts_stand_beside_each_rule() -> None:
    (only,) = rows()["A.8.15"]["rules"]

    assert {key: only[key] for key in ("id", "pass", "fail", "undetermined", "waived")} == {
        "id": "R47",
        "pass": 1,
        "fail": 0,
        "undetermined": 0,
        "waived": 1,
    }


def test_a_rule_that_was_not_exercised_does_not_hide_one_that_was() -> None:
    found = {each["id"]: each["result"] for each in rows()["A.8.24"]["rules"]}

    assert found == {"R63": "pass", "R68": "not exercised"}


def test_a_result_covers_the_automated_part_alone_where_people_or_aws_do_the_rest() -> None:
    assert rows()["A.5.15"] | {"result": "fail"} == rows()["A.5.15"]
    assert rows()["A.5.15"]["covers"] == PART
    assert rows()["A.6.1"]["covers"] == ""


def test_how_a_control_is_met_follows_from_the_rules_and_the_table() -> None:
    assert rows()["A.5.15"]["methods"] == ["automated", "manual"]
    assert rows()["A.7.1"]["methods"] == ["inherited"]
    assert rows()["A.8.23"]["methods"] == []


def test_off_aws_nothing_is_inherited_from_it() -> None:
    files = assembled(record_of((seen("kubernetes:core/v1:Secret", "x"),), ()))
    row = next(row for row in json.loads(files["statement-of-applicability.json"])["controls"] if row["control"] == "A.7.1")

    assert row["inherited"] == ""
    assert row["methods"] == ["manual"]
    assert row["manual"] == OFF_AWS


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ((Outcome.PASS, Outcome.UNDETERMINED, Outcome.FAIL), Status.FAIL),
        ((Outcome.PASS, Outcome.UNDETERMINED), Status.UNDETERMINED),
        ((Outcome.PASS,), Status.PASS),
        ((), Status.NOT_EXERCISED),
    ],
)
def test_the_worst_outcome_decides(outcomes: tuple[Outcome, ...], status: Status) -> None:
    (tally,) = statement.tally([rule("R17", "8.3")], [Result("R17", urn(BUCKET, "x"), outcome) for outcome in outcomes])

    assert tally.status is status


def test_an_undetermined_result_can_be_waived_too() -> None:
    (tally,) = statement.tally([rule("R17", "8.3")], [Result("R17", "", Outcome.UNDETERMINED, ("why",), waiver="OPS-1")])

    assert tally.status is Status.WAIVED


def test_the_table_says_the_same() -> None:
    lines = list(csv.DictReader(assembled()["statement-of-applicability.csv"].decode().splitlines()))

    assert len(lines) == len(CONTROLS)
    assert {line["control"]: line["result"] for line in lines} == {name: row["result"] for name, row in rows().items()}
    assert next(line for line in lines if line["control"] == "A.8.13")["rules"] == "R39 (undetermined 1); R40 (undetermined 1)"


def test_rows_do_not_depend_on_the_order_of_the_results() -> None:
    entries = applicability.read()
    forward, backward = (
        statement.statement(entries, statement.tally(RULES, results), on_aws=True) for results in (RESULTS, RESULTS[::-1])
    )

    assert forward == backward
