"""The documentation's table is that of the rules."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from policies.docs import BEGIN, END, FILE, table, with_table
from policies.pack import ALL_RULES
from policies.rule import PASS, Check, Relation, Remediation, Rule, Severity

RULE = Rule(
    id="R02",
    name="a-rule",
    title="Something holds",
    severity=Severity.CRITICAL,
    controls=("8.24", "5.17"),
    remedy="make it hold",
    link="https://example.org/",
    checks=(Check(types=("a",), judge=lambda _: PASS),),
)


def test_the_documentation_is_in_step_with_the_rules() -> None:
    """When this fails: python -m policies.docs."""
    text = FILE.read_text(encoding="utf-8")
    assert with_table(text, ALL_RULES) == text


def test_every_rule_has_a_row_and_a_number_of_its_own() -> None:
    listed = re.findall(r"^\| ([RLAW]\d\d)-", table(ALL_RULES), re.MULTILINE)
    assert sorted(listed) == sorted(rule.id for rule in ALL_RULES)


def test_a_row_says_what_an_auditor_and_a_user_want_to_know() -> None:
    both = replace(
        RULE,
        id="R01",
        severity=Severity.LOW,
        relations=(Relation(reads={}, judge=lambda _: []),),
        remediation=Remediation(types=("a",), propose=lambda _: {}),
        schema={"days": {"type": "integer"}},
    )
    rows = table([RULE, replace(RULE, id="L01", checks=()), both]).splitlines()[2:]
    assert rows == [
        "| R01-a-rule | low | Something holds | 8.24, 5.17 | inputs, stack | `days`, `remediate` |",
        "| R02-a-rule | **critical** | Something holds | 8.24, 5.17 | inputs |  |",
        "| L01-a-rule | **critical** | Something holds | 8.24, 5.17 |  |  |",
    ]


def test_only_what_stands_between_the_marks_is_written() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_table(text, [RULE]) == f"before\n{BEGIN}\n{table([RULE])}\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", BEGIN, END])
def test_a_text_without_marks_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="marks"):
        with_table(text, [RULE])
