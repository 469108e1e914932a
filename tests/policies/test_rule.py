"""What the verdicts mean, and that applying a rule never raises and never tells a secret."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.resource import Resource, Stack
from policies.rule import (
    PASS,
    Check,
    Finding,
    Outcome,
    Relation,
    Rule,
    Severity,
    all_of,
    each,
    fail,
    found,
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


def check(judged) -> Check:  # type: ignore[no-untyped-def]
    return Check(types=(), judge=judged)


def rule(**changes) -> Rule:  # type: ignore[no-untyped-def]
    given = {
        "id": "R99",
        "name": "some-rule",
        "title": "Something holds",
        "severity": Severity.HIGH,
        "controls": ("8.24", "5.17"),
        "remedy": "make it hold",
        "link": "https://example.org/",
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
    verdict = judge(check(lambda resource: fail(resource.view.text("later"))), RESOURCE)
    assert verdict.outcome is Outcome.UNDETERMINED
    assert verdict.reasons == ("later is not known before the update",)


def test_a_malformed_value_is_a_finding_that_names_types() -> None:
    verdict = judge(check(lambda resource: fail(resource.view.text("wrong"))), RESOURCE)
    assert verdict == fail("wrong: a text was expected, a list came")


def test_an_exception_of_a_rule_is_a_finding_without_the_exceptions_text() -> None:
    def broken(resource: Resource):  # type: ignore[no-untyped-def]
        raise KeyError("hunter2-hunter2")

    verdict = judge(check(broken), RESOURCE)
    assert verdict.outcome is Outcome.FAIL
    assert "KeyError" in verdict.reasons[0]
    assert "hunter2" not in verdict.reasons[0]


def test_what_one_check_cannot_read_does_not_hide_what_another_finds() -> None:
    verdict = judge(check(lambda resource: each(lambda: fail(resource.view.text("later")), lambda: fail("found"))), RESOURCE)
    assert verdict == fail("found")


def test_a_reason_never_repeats_a_marked_secret() -> None:
    verdict = judge(check(lambda resource: fail(f"it is {resource.view.text('hidden')}!")), RESOURCE)
    assert verdict == fail("it is [secret]!")


def test_nor_a_text_that_looks_like_a_secret() -> None:
    plain = replace(RESOURCE, properties={"apiKey": "hunter2-hunter2"})
    verdict = judge(check(lambda resource: fail(f"it is {resource.view.text('apiKey')}!")), plain)
    assert verdict == fail("it is [secret]!")


def test_a_relation_is_redacted_over_all_resources_and_never_raises() -> None:
    other = replace(RESOURCE, urn="other", properties={})
    leaking = Relation(reads={}, judge=lambda stack: [Finding("other", fail("hunter2-hunter2"))])
    assert judge_stack(leaking, Stack((RESOURCE, other))) == [Finding("other", fail("[secret]"))]
    broken = Relation(reads={}, judge=lambda stack: 1 / 0)  # type: ignore[return-value]
    (finding,) = judge_stack(broken, Stack((RESOURCE,)))
    assert finding.verdict.outcome is Outcome.FAIL
    assert "ZeroDivisionError" in finding.verdict.reasons[0]


def test_one_resource_that_a_relation_cannot_read_does_not_hide_the_others() -> None:
    def later(resource: Resource):  # type: ignore[no-untyped-def]
        return fail(resource.view.text("later"))

    relation = Relation(reads={}, judge=lambda stack: [found(RESOURCE, lambda: later(RESOURCE)), Finding("other", fail("x"))])
    unknown, failed = judge_stack(relation, Stack((RESOURCE,)))
    assert (unknown.urn, unknown.verdict.outcome) == (RESOURCE.urn, Outcome.UNDETERMINED)
    assert failed == Finding("other", fail("x"))


def test_what_a_rule_reads_is_the_sum_of_its_checks_and_relations() -> None:
    read = rule(
        checks=(Check(types=("a", "b"), properties=("x",), judge=lambda _: PASS),),
        relations=(Relation(reads={"a": ("y",), "c": ()}, judge=lambda _: []),),
    ).reads()
    assert read == {"a": ("x", "y"), "b": ("x",), "c": ()}


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
        rule(**changes)


def test_the_policys_name_and_reference_are_built_from_id_and_controls() -> None:
    assert rule().policy == "R99-some-rule"
    assert rule().reference == "A.8.24, A.5.17"
