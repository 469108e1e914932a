"""One pass over resources and stack: who is asked, what is put together, what is excused."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from policies.evaluation import WAIVERS, Result, RuleBook, evaluate, excused, findings_of, of_register, together
from policies.resource import Resource, Stack
from policies.rule import PASS, Check, Finding, Outcome, Relation, Rule, Severity, Verdict, fail, undetermined
from policies.waivers import Register, Waiver

URN = "urn:pulumi:prod::assistant::{}::{}"


def resource(name: str, kind: str = "a", **properties: Any) -> Resource:
    return Resource(urn=URN.format(kind, name), type=kind, name=name, properties=properties)


def rule(number: int, *parts: Check | Relation) -> Rule:
    words = {"name": "a-rule", "title": "t", "controls": ("8.24",), "remedy": "r", "link": "l", "severity": Severity.HIGH}
    checks = tuple(part for part in parts if isinstance(part, Check))
    relations = tuple(part for part in parts if isinstance(part, Relation))
    return Rule(id=f"R{number:02}", checks=checks, relations=relations, **words)


def check(verdict: Verdict, *types: str) -> Check:
    return Check(types=types, judge=lambda _: verdict)


def relation(*findings: tuple[str, Verdict]) -> Relation:
    return Relation(reads={}, judge=lambda _: [Finding(URN.format("a", name), verdict) for name, verdict in findings])


def waiver(rule_id: str = "R01", urn: str = "*::x", stacks: tuple[str, ...] = ("prod",)) -> Waiver:
    return Waiver(rule_id, urn, stacks, "platform", "a reason that is long enough", "OPS-1", datetime.date(2027, 1, 31))


def outcomes(results: Any) -> dict[tuple[str, str], Outcome]:
    return {(result.rule, result.urn.rpartition("::")[2]): result.outcome for result in results}


def test_a_check_is_asked_about_its_types_and_one_without_about_every_type() -> None:
    book = RuleBook((rule(1, check(fail("one"), "a", "b", "a")), rule(2, check(PASS)), rule(3, check(fail("three"), "c"))))
    assert outcomes(book.judge(resource("x"))) == {("R01", "x"): Outcome.FAIL, ("R02", "x"): Outcome.PASS}
    assert outcomes(book.judge(resource("x", "d"))) == {("R02", "x"): Outcome.PASS}
    assert set(book.by_id) == {"R01", "R02", "R03"}


def test_several_checks_of_one_rule_give_one_result() -> None:
    book = RuleBook((rule(1, check(PASS, "a"), check(fail("one"), "a"), check(fail("two"))),))
    (result,) = book.judge(resource("x"))
    assert (result.outcome, set(result.reasons)) == (Outcome.FAIL, {"one", "two"})


def test_several_relations_of_one_rule_give_one_result_a_resource() -> None:
    book = RuleBook((rule(1, relation(("x", fail("one")), ("y", PASS)), relation(("x", PASS), ("z", undetermined("later")))),))
    assert outcomes(book.judge_stack(Stack(()))) == {
        ("R01", "x"): Outcome.FAIL,
        ("R01", "y"): Outcome.PASS,
        ("R01", "z"): Outcome.UNDETERMINED,
    }


def test_the_worst_stands_with_all_its_reasons_and_a_waiver_is_not_lost() -> None:
    said = [
        Result("R01", "x", Outcome.PASS),
        Result("R01", "x", Outcome.FAIL, ("one",), "OPS-1"),
        Result("R01", "y", Outcome.PASS),
        Result("R02", "x", Outcome.UNDETERMINED, ("later",)),
        Result("R01", "x", Outcome.FAIL, ("two",)),
    ]
    assert together(said) == [
        Result("R01", "x", Outcome.FAIL, ("one", "two"), "OPS-1"),
        Result("R01", "y", Outcome.PASS),
        Result("R02", "x", Outcome.UNDETERMINED, ("later",)),
    ]
    assert together([]) == []


def test_a_relations_pass_does_not_hide_what_a_check_has_found() -> None:
    book = RuleBook((rule(1, check(fail("one"), "a"), relation(("x", PASS))),))
    x = resource("x")
    (result,) = evaluate(book, [x], Stack((x,)), Register())
    assert (result.outcome, result.reasons) == (Outcome.FAIL, ("one",))


def test_checks_read_the_inputs_and_relations_the_stack() -> None:
    seen: list[Any] = []
    watching = rule(
        1,
        Check(types=("a",), judge=lambda one: seen.append(one.properties) or PASS),
        Relation(reads={}, judge=lambda stack: seen.append([one.properties for one in stack.resources]) or []),
    )
    evaluate(RuleBook((watching,)), [resource("x", given=1)], Stack((resource("x", made=2),)), Register())
    assert seen == [{"given": 1}, [{"made": 2}]]


@pytest.mark.parametrize(("outcome", "ticket"), [(Outcome.FAIL, "OPS-1"), (Outcome.UNDETERMINED, "OPS-1"), (Outcome.PASS, "")])
def test_a_waiver_excuses_what_does_not_pass(outcome: Outcome, ticket: str) -> None:
    register = Register((waiver(),))
    result, used = excused(Result("R01", URN.format("a", "x"), outcome, ("why",)), "prod", register)
    assert (result.waiver, used is not None) == (ticket, bool(ticket))
    assert result.stands is False
    assert (result.outcome, result.reasons) == (outcome, ("why",))


def test_another_rule_resource_or_stack_is_not_excused() -> None:
    register = Register((waiver(),))
    for rule_id, name, stack in (("R02", "x", "prod"), ("R01", "y", "prod"), ("R01", "x", "dev")):
        before = Result(rule_id, URN.format("a", name), Outcome.FAIL, ("why",))
        assert excused(before, stack, register) == (before, None)
        assert before.stands


def test_a_waiver_that_nothing_uses_is_a_finding_and_one_that_is_used_is_not() -> None:
    book = RuleBook((rule(1, check(fail("one"), "a")),))
    x, register = resource("x"), Register((waiver(), waiver(urn="*::gone"), waiver(stacks=("dev",))))
    results = evaluate(book, [x], Stack((x,)), register)
    (about,) = [result for result in results if result.rule == WAIVERS.id]
    assert (about.urn, about.outcome) == ("", Outcome.FAIL)
    assert about.reasons == ("R01 on *::gone (OPS-1) is used by nothing",)
    assert outcomes(results)["R01", "x"] is Outcome.FAIL
    assert [result.waiver for result in results if result.rule == "R01"] == ["OPS-1"]


def test_mistakes_in_the_register_are_a_finding() -> None:
    register = Register(mistakes=("waiver 1: owner is missing",))
    (result,) = of_register("prod", register, [], [])
    assert result.reasons == ("waiver 1: owner is missing",)
    assert of_register("prod", Register(), [], []) == []
    assert of_register("prod", Register((waiver(),)), [waiver()], []) == []


def test_findings_are_what_somebody_has_to_do_something_about() -> None:
    results = [
        Result("R01", "x", Outcome.PASS),
        Result("R01", "y", Outcome.FAIL, ("why",)),
        Result("R01", "z", Outcome.FAIL, ("why",), "OPS-1"),
        Result("R01", "u", Outcome.UNDETERMINED, ("later",)),
    ]
    assert findings_of(results) == [Finding("y", fail("why")), Finding("u", undetermined("later"))]
