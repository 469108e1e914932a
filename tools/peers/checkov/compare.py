"""Checkov's verdicts beside the pack's, resource by resource. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from policies.evaluation import Result
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


def compare(judgements: Iterable[Judgement], results: Iterable[Result], correspondence: Correspondence) -> Comparison:
    judgements, results = list(judgements), list(results)
    said = {(result.rule, result.urn): result.outcome for result in results}
    pairs = [_pair(judgement, said, correspondence) for judgement in judgements]
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


def _pair(judgement: Judgement, said: Mapping[tuple[str, str], Outcome], correspondence: Correspondence) -> Pair:
    asked = correspondence.rules.get(judgement.check, ())
    answers = {rule: said[rule, judgement.urn] for rule in asked if (rule, judgement.urn) in said}
    if not answers:
        return Pair(judgement, Agreement.APART, ())
    worst = next(outcome for outcome in WORST_FIRST if outcome in answers.values())
    return Pair(judgement, _agreement(judgement.passed, worst), tuple(answers))


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
