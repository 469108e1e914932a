"""The comparison as ``docs/policies-and-checkov.md``. Pure: the same records and verdicts give the same text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from policies.record import Record
from policies.rule import Outcome, Rule
from tools.peers.checkov.compare import Agreement, Comparison, Pair
from tools.peers.checkov.correspondence import Correspondence, Kind
from tools.peers.checkov.probes import Turn

HEAD: Final = """\
# The policy pack and Checkov

What Checkov, a widely used scanner of infrastructure as code, says of the same stacks as the project's own policy pack
([policies.md](policies.md)), resource by resource. Written by `make compare-policies`, which fails when a disagreement has no
explanation. A scanner's silence proves nothing by itself; two that were made apart and agree prove more.
"""
HOW: Final = """\
## How

Both judge the same record of resources: of `prod` and `serverless` as an `up` on the tests' stand-ins leaves them, every value
known, and of `cluster` as its preview shows it. Checkov reads no Pulumi. Its AWS half gets the plan of Terraform that
pulumi-aws is bridged from, with references from the engine's own dependencies, so that Checkov's graph finds the siblings of a
bucket or a load balancer; its Kubernetes half gets the manifests. Checkov runs with all its checks and without its vendor's
platform. The conversion is in `tools/peers/checkov/`; which rule answers to which check was decided by hand, from the text of
both (`correspondence.yaml`).

A verdict is one check on one resource. Against it stands what the answering rules say of the same resource or, where they say
nothing of it, of those one edge away: a rule may say of the bucket what Checkov says of the access block beside it. *Judged by
Checkov alone* is the rest. Many of Checkov's passes are of checks about something that is not here.
"""
DISAGREE: Final = """\
## Where the two disagree

Every failure of Checkov's that the pack does not share, and every finding of the pack's that Checkov passes.
"""
UNCONVERTED: Final = """\
## What Checkov was not shown

Resources that stand neither in Terraform's nor in Kubernetes' words; the pack judges them where a rule reads them. Components,
which have no settings of their own, are left out.
"""
PROBES: Final = """\
## Broken on purpose

Each resource below passed, was broken in one property or by taking a sibling away, and was judged again by both: proof that the
conversion does not make up what Checkov passes, and that the pack finds the same.
"""
KINDS: Final = {
    Kind.CHOICE: "on purpose",
    Kind.READING: "one reads more",
    Kind.CONVERSION: "lost in conversion",
    Kind.GAP: "a gap, to be mended",
}
ORDER: Final = (Agreement.AGREE, Agreement.OURS_STRICTER, Agreement.THEIRS_STRICTER, Agreement.UNDETERMINED, Agreement.APART)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that the document says. ``titles``: of Checkov's checks. ``unconverted``: types that Checkov has no words for."""

    version: str
    records: Sequence[Record]
    comparison: Comparison
    correspondence: Correspondence
    titles: Mapping[str, str]
    turns: Sequence[Turn]
    unconverted: Counter[str]
    rules: Mapping[str, Rule]


def document(findings: Findings) -> str:
    parts = [
        HEAD,
        _run(findings),
        _summary(findings),
        _disagreements(findings),
        _counterparts(findings),
        _without_counterpart(findings),
        _alone(findings),
        HOW,
        PROBES + "\n" + _probes(findings.turns),
        _unconverted(findings.unconverted),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _run(findings: Findings) -> str:
    stacks = ", ".join(f"`{record.stack}` ({len(record.resources)} resources, {record.source})" for record in findings.records)
    days = ", ".join(sorted({record.day for record in findings.records}))
    versions = ", ".join(sorted({record.version for record in findings.records}))
    return f"Checkov {findings.version}; pack {versions}, {len(findings.rules)} rules; {stacks}; {days}.\n"


def _summary(findings: Findings) -> str:
    pairs = findings.comparison.pairs
    asked = [pair for pair in pairs if findings.correspondence.rules.get(pair.judgement.check)]
    both = [pair for pair in asked if pair.agreement is not Agreement.APART]
    of = Counter(pair.agreement for pair in both)
    failed = [pair for pair in pairs if not pair.judgement.passed]
    checks = {pair.judgement.check for pair in pairs}
    rows = [
        ("checks of Checkov's that judged something", f"{len(checks)}"),
        ("… to which a rule of the pack answers", f"{len({pair.judgement.check for pair in asked})}"),
        ("verdicts of Checkov's", f"{len(pairs)}, {len(failed)} of them failures"),
        ("verdicts that an answering rule has judged too", f"{len(both)}"),
        *((f"… {each.value}", f"{of[each]}") for each in ORDER if each is not Agreement.APART),
        ("rules that judged something and that no check answers to", f"{len(findings.comparison.alone)}"),
    ]
    return "## In numbers\n\n" + _table(("", ""), rows)


def _disagreements(findings: Findings) -> str:
    rows = []
    for explanation, pairs in sorted(findings.comparison.explained.items(), key=lambda item: _order(item[0].check)):
        where = Counter(_name(pair.judgement.urn) for pair in pairs)
        theirs = "fails" if not pairs[0].judgement.passed else "passes"
        rows.append(
            (
                f"{explanation.check} {_cell(findings.titles[explanation.check])}",
                f"{theirs} {len(pairs)}: {', '.join(f'`{name}`' for name in sorted(where))}",
                _ours(pairs),
                KINDS[explanation.kind],
                _cell(explanation.why),
            )
        )
    return DISAGREE + "\n" + _table(("Check", "Checkov", "The pack", "Kind", "Why"), rows)


def _ours(pairs: Sequence[Pair]) -> str:
    rules = sorted({rule for pair in pairs for rule in pair.rules})
    if not rules:
        return "does not judge it"
    said = sorted({pair.agreement.value for pair in pairs})
    return f"{', '.join(rules)}: {', '.join(said)}"


def _counterparts(findings: Findings) -> str:
    rows = []
    for check, rules in sorted(findings.correspondence.rules.items(), key=lambda item: _order(item[0])):
        pairs = [pair for pair in findings.comparison.pairs if pair.judgement.check == check]
        if pairs:
            of = Counter(pair.agreement for pair in pairs)
            rows.append(
                (
                    check,
                    _cell(findings.titles[check]),
                    _verdicts(pairs),
                    ", ".join(rules),
                    *(str(of[each]) for each in ORDER),
                )
            )
    return "## Check by check\n\n" + _table(
        ("Check", "What it asks", "Checkov: passed / failed", "Rules", *(each.value for each in ORDER)), rows
    )


def _without_counterpart(findings: Findings) -> str:
    by_reason: dict[str, list[str]] = {}
    for check, why in findings.correspondence.reasons.items():
        by_reason.setdefault(why, []).append(check)
    rows = []
    for why, checks in by_reason.items():
        pairs = [pair for pair in findings.comparison.pairs if pair.judgement.check in checks]
        if pairs:
            rows.append((", ".join(sorted(checks, key=_order)), _verdicts(pairs), _cell(why)))
    return "## Checks to which no rule answers\n\n" + _table(("Checks", "Checkov: passed / failed", "Why"), rows)


def _alone(findings: Findings) -> str:
    rows = [
        (
            rule,
            _cell(findings.rules[rule].title if rule in findings.rules else ""),
            findings.rules[rule].severity.value if rule in findings.rules else "",
            f"{sum(outcomes.values())}",
            ", ".join(f"{outcomes[each]} {each.value}" for each in Outcome if outcomes[each]),
        )
        for rule, outcomes in sorted(findings.comparison.alone.items())
    ]
    return "## Rules to which no check of Checkov's answers on these stacks\n\n" + _table(
        ("Rule", "What must hold", "Severity", "Verdicts", "Which"), rows
    )


def _probes(turns: Sequence[Turn]) -> str:
    rows: dict[tuple[str, ...], None] = {}  # the same in several stacks stands once
    for turn in sorted(turns, key=lambda turn: _order(turn.target.probe.check)):
        probe = turn.target.probe
        then = {None: "not judged", True: f"**passed**: {probe.blind}", False: "failed"}[turn.after]
        rows[
            probe.check, probe.what, f"`{_name(turn.target.urn)}`", then, ", ".join(turn.rules) or f"**none**: {probe.unseen}"
        ] = None
    return _table(("Check", "What was broken", "Where", "Checkov then", "Rules that fail then"), rows)


def _unconverted(unconverted: Counter[str]) -> str:
    listed = ", ".join(f"`{kind}` ({number})" for kind, number in sorted(unconverted.items()))
    return f"{UNCONVERTED}\n{listed}.\n"


def _verdicts(pairs: Iterable[Pair]) -> str:
    of = Counter(pair.judgement.passed for pair in pairs)
    return f"{of[True]} / {of[False]}"


def _order(check: str) -> tuple[str, int]:
    head, _, number = check.rpartition("_")
    return head, int(number)


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


def _cell(text: str) -> str:
    return " ".join(text.split()).rstrip(".").replace("|", "\\|")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
