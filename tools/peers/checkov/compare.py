"""Checkov's verdicts beside the pack's, resource by resource. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from policies.evaluation import Result
from policies.record import Seen
from policies.rule import Outcome
from tools.peers.checkov.correspondence import Correspondence, Explanation
from tools.peers.checkov.scan import Judgement

WORST_FIRST: Final = (Outcome.FAIL, Outcome.UNDETERMINED, Outcome.PASS)


class Agreement(Enum):
    AGREE = "agree"
    OURS_STRICTER = "ours stricter"
    THEIRS_STRICTER = "theirs stricter"
    UNDETERMINED = "undetermined here"
    APART = "judged by Checkov alone"


@dataclass(frozen=True)
class Pair:
    """One verdict of Checkov's on one resource, and what the rules that answer to the check say of the same one."""

    judgement: Judgement
    agreement: Agreement
    rules: tuple[str, ...]

    @property
    def wants_explanation(self) -> bool:
        """Whatever Checkov finds and the pack does not, and the other way round."""
        differ = self.agreement in (Agreement.OURS_STRICTER, Agreement.THEIRS_STRICTER)
        return differ or (not self.judgement.passed and self.agreement is not Agreement.AGREE)


@dataclass(frozen=True)
class Comparison:
    """``alone``: the rules to which no check of Checkov's answers, with the number of resources that each has judged."""

    pairs: Sequence[Pair]
    explained: Mapping[Explanation, Sequence[Pair]]
    mistakes: Sequence[str]
    alone: Mapping[str, Counter[Outcome]]


def compare(
    judgements: Sequence[Judgement],
    results: Sequence[Result],
    correspondence: Correspondence,
    neighbours: Mapping[str, Sequence[str]],
) -> Comparison:
    """``neighbours``: of each resource, those one edge away. A rule may say of the bucket what a check says of its block."""
    said = {(result.rule, result.urn): result.outcome for result in results}
    pairs = [_pair(judgement, said, correspondence, neighbours) for judgement in judgements]
    explained: dict[Explanation, list[Pair]] = {}
    unexplained: list[Pair] = []
    for pair in pairs:
        if pair.wants_explanation:
            explanation = correspondence.explain(pair.judgement.check, pair.judgement.urn)
            if explanation is None:
                unexplained.append(pair)
            else:
                explained.setdefault(explanation, []).append(pair)
    answering = {rule for pair in pairs for rule in correspondence.rules.get(pair.judgement.check, ())}
    alone: dict[str, Counter[Outcome]] = {}
    for result in results:
        if result.rule not in answering:
            alone.setdefault(result.rule, Counter())[result.outcome] += 1
    return Comparison(pairs, explained, _mistakes(judgements, unexplained, explained, correspondence), alone)


def neighbours_in(resources: Iterable[Seen]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for seen in resources:
        for urn in {urn for urns in seen.resource.property_dependencies.values() for urn in urns}:
            found.setdefault(urn, []).append(seen.resource.urn)
            found.setdefault(seen.resource.urn, []).append(urn)
    return found


def _pair(
    judgement: Judgement,
    said: Mapping[tuple[str, str], Outcome],
    correspondence: Correspondence,
    neighbours: Mapping[str, Sequence[str]],
) -> Pair:
    asked = correspondence.rules.get(judgement.check, ())
    for urns in ([judgement.urn], neighbours.get(judgement.urn, ())):
        answers = {(rule, urn): said[rule, urn] for rule in asked for urn in urns if (rule, urn) in said}
        if answers:
            worst = next(outcome for outcome in WORST_FIRST if outcome in answers.values())
            rules = tuple(dict.fromkeys(rule for rule, _urn in answers))
            return Pair(judgement, _agreement(judgement.passed, worst), rules)
    return Pair(judgement, Agreement.APART, ())


def _agreement(passed: bool, ours: Outcome) -> Agreement:
    if ours is Outcome.UNDETERMINED:
        return Agreement.UNDETERMINED
    if passed == (ours is Outcome.PASS):
        return Agreement.AGREE
    return Agreement.OURS_STRICTER if passed else Agreement.THEIRS_STRICTER


def _mistakes(
    judgements: Sequence[Judgement],
    unexplained: Sequence[Pair],
    explained: Mapping[Explanation, object],
    correspondence: Correspondence,
) -> list[str]:
    """What somebody has to write into, or out of, ``correspondence.yaml``."""
    met = {judgement.check for judgement in judgements}
    known = {*correspondence.rules, *correspondence.reasons}
    return [
        *(f"{check} has neither a counterpart nor a reason for having none" for check in sorted(met - known)),
        *(f"{check} stands in the file and judged nothing" for check in sorted(known - met)),
        *(
            f"{pair.judgement.check} {'passes' if pair.judgement.passed else 'fails'} {pair.judgement.urn}, and the pack says "
            f"otherwise or nothing ({pair.agreement.value}{', ' if pair.rules else ''}{', '.join(pair.rules)}): unexplained"
            for pair in unexplained
        ),
        *(
            f"the explanation of {each.check} on {each.resources} explains nothing"
            for each in correspondence.explanations
            if each not in explained
        ),
    ]
