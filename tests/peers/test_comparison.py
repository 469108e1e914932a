"""What is said of two tools' verdicts on one resource, and what has to be written before the comparison holds."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from policies.evaluation import Result
from policies.record import Seen
from policies.resource import Resource
from policies.rule import Outcome
from tools.peers.checkov import correspondence, probes
from tools.peers.checkov.compare import Agreement, Comparison, compare, neighbours_in
from tools.peers.checkov.correspondence import Correspondence, Explanation, Kind
from tools.peers.checkov.probes import Probe, broken, targets_in
from tools.peers.checkov.report import Findings, document
from tools.peers.checkov.scan import Judgement

CHECK, RULE, URN = "CKV_AWS_7", "R63", "urn:pulumi:prod::assistant::aws:kms/key:Key::data"


def compared(
    passed: bool,
    ours: Outcome | None,
    *,
    explanation: str | None = None,
    rules: tuple[str, ...] = (RULE,),
) -> Comparison:
    explanations = [Explanation(CHECK, explanation, Kind.CHOICE, "why")] if explanation else []
    results = [Result(RULE, URN, ours)] if ours else []
    return compare([Judgement(CHECK, URN, passed)], results, Correspondence({CHECK: rules}, {}, explanations), {})


@pytest.mark.parametrize(
    ("passed", "ours", "agreement"),
    [
        (True, Outcome.PASS, Agreement.AGREE),
        (False, Outcome.FAIL, Agreement.AGREE),
        (True, Outcome.FAIL, Agreement.OURS_STRICTER),
        (False, Outcome.PASS, Agreement.THEIRS_STRICTER),
        (True, Outcome.UNDETERMINED, Agreement.UNDETERMINED),
        (True, None, Agreement.APART),
    ],
)
def test_two_verdicts_on_one_resource(passed: bool, ours: Outcome | None, agreement: Agreement) -> None:
    [pair] = compared(passed, ours).pairs
    assert pair.agreement is agreement


@pytest.mark.parametrize(
    ("passed", "ours", "wanted"),
    [
        (False, Outcome.PASS, True),
        (True, Outcome.FAIL, True),
        (False, None, True),
        (False, Outcome.UNDETERMINED, True),
        (False, Outcome.FAIL, False),
        (True, None, False),
        (True, Outcome.PASS, False),
    ],
)
def test_what_one_finds_alone_is_a_mistake_until_it_is_explained(passed: bool, ours: Outcome | None, wanted: bool) -> None:
    assert [URN in mistake and "unexplained" in mistake for mistake in compared(passed, ours).mistakes] == [True] * wanted
    if wanted:
        assert compared(passed, ours, explanation="*::data").mistakes == []


def test_an_explanation_of_nothing_is_a_mistake() -> None:
    [mistake] = compared(True, Outcome.PASS, explanation="*").mistakes
    assert "explains nothing" in mistake


def test_an_explanation_of_another_resource_explains_nothing() -> None:
    assert len(compared(False, Outcome.PASS, explanation="*::other").mistakes) == 2


def test_a_check_that_the_file_does_not_know_is_a_mistake_and_one_that_judges_nothing_too() -> None:
    known = Correspondence({"CKV_AWS_1": [RULE]}, {}, [])
    mistakes = compare([Judgement(CHECK, URN, True)], [], known, {}).mistakes
    assert [mistake.split()[0] for mistake in mistakes] == [CHECK, "CKV_AWS_1"]


def test_the_worst_of_the_answering_rules_is_held_against_the_check() -> None:
    results = [Result("R1", URN, Outcome.PASS), Result("R2", URN, Outcome.FAIL)]
    [pair] = compare([Judgement(CHECK, URN, True)], results, Correspondence({CHECK: ["R1", "R2"]}, {}, []), {}).pairs
    assert pair.agreement is Agreement.OURS_STRICTER


def test_a_rule_that_says_nothing_of_the_resource_is_asked_one_edge_away() -> None:
    known, near = Correspondence({CHECK: [RULE]}, {}, []), {URN: ["bucket"]}
    judged = [Judgement(CHECK, URN, True)]
    [pair] = compare(judged, [Result(RULE, "bucket", Outcome.FAIL)], known, near).pairs
    assert (pair.agreement, pair.rules) == (Agreement.OURS_STRICTER, (RULE,))
    both = [Result(RULE, "bucket", Outcome.FAIL), Result(RULE, URN, Outcome.PASS)]
    [pair] = compare(judged, both, known, near).pairs
    assert pair.agreement is Agreement.AGREE


def test_an_edge_is_one_both_ways() -> None:
    assert neighbours_in([key("block", {}, uses="bucket")]) == {"bucket": ["block"], "block": ["bucket"]}


def test_rules_without_an_answering_check_are_counted() -> None:
    results = [Result(RULE, URN, Outcome.PASS), Result("R11", URN, Outcome.PASS)]
    found = compare([Judgement(CHECK, URN, True)], results, Correspondence({CHECK: [RULE]}, {}, []), {})
    assert {rule: dict(outcomes) for rule, outcomes in found.alone.items()} == {"R11": {Outcome.PASS: 1}}


def test_no_check_stands_twice_in_the_file_and_each_has_its_reason() -> None:
    known = correspondence.read()
    assert not set(known.rules) & set(known.reasons)
    assert all(re.fullmatch(r"CKV2?_(AWS|K8S)_\d+", check) for check in (*known.rules, *known.reasons))
    assert all(why.strip() for why in (*known.reasons.values(), *(each.why for each in known.explanations)))
    assert {each.check for each in known.explanations} <= {*known.rules, *known.reasons}


def test_each_probe_breaks_a_check_that_the_file_knows() -> None:
    known = correspondence.read()
    assert {probe.check for probe in probes.PROBES} <= {*known.rules, *known.reasons}
    assert all(bool(probe.at or probe.to is not probes.GONE) != bool(probe.without) for probe in probes.PROBES)


def test_the_document_says_what_is_explained_and_is_the_same_for_the_same() -> None:
    comparison = compared(False, Outcome.PASS, explanation="*")
    known = Correspondence({CHECK: [RULE]}, {}, list(comparison.explained))
    findings = Findings(
        version="1.2.3",
        records=[],
        comparison=comparison,
        correspondence=known,
        titles={CHECK: "Keys rotate | yearly"},
        turns=[],
        unconverted=Counter(),
        rules={},
    )
    text = document(findings)
    assert text == document(findings)
    assert f"| {CHECK} Keys rotate \\| yearly | fails 1: `data` | {RULE}: theirs stricter | on purpose | why |" in text


def key(name: str, inputs: dict[str, object], uses: str = "") -> Seen:
    edges = {"bucket": (uses,)} if uses else {}
    return Seen(Resource(name, "aws:kms/key:Key", name, dict(inputs), property_dependencies=edges), inputs)  # type: ignore[arg-type]


def test_a_probe_breaks_its_own_resource_alone_in_what_went_in_and_what_came_out() -> None:
    probe = Probe(check=CHECK, what="", type="aws:kms/key:Key", name="b", at=("rules", 0, "days"), to=1)
    before = [key(name, {"rules": [{"days": 30, "id": "end"}, {"days": 30}]}) for name in "abc"]
    after = broken(before, targets_in(before, [probe]))
    assert [seen.inputs == was.inputs for seen, was in zip(after, before, strict=True)] == [True, False, True]
    assert after[1].inputs == after[1].resource.properties == {"rules": [{"days": 1, "id": "end"}, {"days": 30}]}
    assert before[1].inputs == {"rules": [{"days": 30, "id": "end"}, {"days": 30}]}


def test_a_probe_takes_away_the_siblings_that_stand_on_its_resource() -> None:
    probe = Probe(check=CHECK, what="", type="aws:kms/key:Key", name="a", without="aws:kms/key:Key")
    resources = [key("a", {}), key("on-a", {}, uses="a"), key("on-b", {}, uses="b")]
    assert [seen.resource.name for seen in broken(resources, targets_in(resources, [probe]))] == ["a", "on-b"]


def test_a_probe_of_what_the_stack_has_not_breaks_nothing() -> None:
    assert targets_in([key("a", {})], [Probe(check=CHECK, what="", type="aws:sqs/queue:Queue", at=("x",))]) == []
