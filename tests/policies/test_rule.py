"""What the verdicts mean, and that applying a rule never raises and never tells a secret."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.resource import Resource, Stack
from policies.rule import (
    PASS,
    Finding,
    Outcome,
    Rule,
    Severity,
    StackRule,
    all_of,
    each,
    fail,
    judge,
    judge_stack,
    undetermined,
)
from policies.values import UNKNOWN, Secret

RESOURCE = Resource(
    urn="urn:pulumi:dev::project::type::name",
    type="type",
    name="name",
    properties={"known": "text", "later": UNKNOWN, "hidden": Secret("hunter2-hunter2"), "wrong": [1]},
)


def rule(check, **changes) -> Rule:  # type: ignore[no-untyped-def]
    given = {
        "id": "R99",
        "name": "some-rule",
        "title": "Something holds",
        "severity": Severity.HIGH,
        "controls": ("8.24", "5.17"),
        "remedy": "make it hold",
        "link": "https://example.org/",
        "types": (),
        "check": check,
    }
    return Rule(**{**given, **changes})


@pytest.mark.parametrize(
    ("verdicts", "outcome", "reasons"),
    [
        ([], Outcome.PASS, ()),
        ([PASS, PASS], Outcome.PASS, ()),
        ([PASS, undetermined("u")], Outcome.UNDETERMINED, ("u",)),
        ([undetermined("u"), fail("a"), PASS, fail("b", "c")], Outcome.FAIL, ("a", "b", "c")),
    ],
)
def test_the_worst_verdict_wins_with_all_reasons_of_its_kind(verdicts, outcome, reasons) -> None:
    combined = all_of(verdicts)
    assert (combined.outcome, combined.reasons) == (outcome, reasons)


def test_an_unknown_value_is_undetermined_and_names_the_property() -> None:
    verdict = judge(rule(lambda resource: fail(resource.view.text("later"))), RESOURCE)
    assert verdict.outcome is Outcome.UNDETERMINED
    assert verdict.reasons == ("later is not known before the update",)


def test_a_malformed_value_is_a_finding_that_names_types() -> None:
    verdict = judge(rule(lambda resource: fail(resource.view.text("wrong"))), RESOURCE)
    assert verdict == fail("wrong: a text was expected, a list came")


def test_an_exception_of_a_rule_is_a_finding_without_the_exceptions_text() -> None:
    def broken(resource: Resource):  # type: ignore[no-untyped-def]
        raise KeyError("hunter2-hunter2")

    verdict = judge(rule(broken), RESOURCE)
    assert verdict.outcome is Outcome.FAIL
    assert "KeyError" in verdict.reasons[0]
    assert "hunter2" not in verdict.reasons[0]


def test_what_one_check_cannot_read_does_not_hide_what_another_finds() -> None:
    verdict = judge(rule(lambda resource: each(lambda: fail(resource.view.text("later")), lambda: fail("found"))), RESOURCE)
    assert verdict == fail("found")


def test_a_reason_never_repeats_a_marked_secret() -> None:
    verdict = judge(rule(lambda resource: fail(f"it is {resource.view.text('hidden')}!")), RESOURCE)
    assert verdict == fail("it is [secret]!")


def test_nor_a_text_that_looks_like_a_secret() -> None:
    plain = replace(RESOURCE, properties={"apiKey": "hunter2-hunter2"})
    verdict = judge(rule(lambda resource: fail(f"it is {resource.view.text('apiKey')}!")), plain)
    assert verdict == fail("it is [secret]!")


def test_a_stack_rule_is_redacted_over_all_resources_and_never_raises() -> None:
    metadata = {
        field: getattr(rule(judge), field) for field in ("id", "name", "title", "severity", "controls", "remedy", "link")
    }
    other = replace(RESOURCE, urn="other", properties={})
    leaking = StackRule(check=lambda stack: [Finding("other", fail("hunter2-hunter2"))], **metadata)
    assert judge_stack(leaking, Stack((RESOURCE, other))) == [Finding("other", fail("[secret]"))]
    broken = StackRule(check=lambda stack: 1 / 0, **metadata)  # type: ignore[return-value]
    (finding,) = judge_stack(broken, Stack((RESOURCE,)))
    assert finding.verdict.outcome is Outcome.FAIL
    assert "ZeroDivisionError" in finding.verdict.reasons[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "X1"},
        {"name": "Some Rule"},
        {"controls": ()},
        {"controls": ("5.38",)},
        {"controls": ("9.1",)},
        {"controls": ("8.x",)},
        {"title": ""},
        {"remedy": ""},
        {"link": ""},
    ],
)
def test_a_rule_that_an_auditor_could_not_place_is_refused(changes) -> None:
    with pytest.raises(ValueError, match=r"X1|R99"):
        rule(judge, **changes)


def test_the_policys_name_and_reference_are_built_from_id_and_controls() -> None:
    assert rule(judge).policy == "R99-some-rule"
    assert rule(judge).reference == "A.8.24, A.5.17"
