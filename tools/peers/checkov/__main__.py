"""``python -m tools.peers.checkov RECORD…``: compare the pack's verdicts in these records with Checkov's, into the docs."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from policies import record
from policies.pack import ALL_RULES
from policies.record import Record, RecordMistake
from policies.rules import RULES
from tools.peers.checkov import correspondence, probes
from tools.peers.checkov.compare import compare, neighbours_in
from tools.peers.checkov.probes import Turn
from tools.peers.checkov.report import Findings, document
from tools.peers.checkov.scan import VERSION, CheckovFailed, Judgement, installed, scan

DOCUMENT: Final = Path(__file__).resolve().parents[3] / "docs" / "policies-and-checkov.md"
NO_SETTINGS: Final = ("assistant:", "pulumi:pulumi:", "pulumi:providers:pulumi-python")


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.peers.checkov", description=__doc__)
    parser.add_argument("records", nargs="+", type=Path, metavar="RECORD")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args(arguments)
    try:
        findings = _found([record.read(file) for file in options.records], environment)
    except (RecordMistake, CheckovFailed) as error:
        print(error, file=sys.stderr)
        return 1
    options.document.write_text(document(findings), encoding="utf-8")
    mistakes = [*findings.comparison.mistakes, *_unforeseen(findings)]
    print("\n".join([f"{options.document.name}: Checkov {VERSION}, {len(findings.comparison.pairs)} verdicts", *mistakes]))
    return 1 if mistakes else 0


def _found(records: Sequence[Record], environment: Mapping[str, str]) -> Findings:
    program = installed(lambda line: print(line, file=sys.stderr), environment)
    judgements: list[Judgement] = []
    turns: list[Turn] = []
    titles: dict[str, str] = {}
    unconverted: Counter[str] = Counter()
    for each in records:
        seen = scan(program, each.resources, environment)
        titles |= seen.titles
        judgements += seen.judgements
        targets = probes.targets_in(each.resources)
        again = scan(program, probes.broken(each.resources, targets), environment)
        rules = probes.rules_failing(each.resources, targets, RULES)
        turns += probes.turns(targets, seen.judgements, again.judgements, rules)
        unconverted.update(
            it.resource.type
            for it in each.resources
            if it.resource.urn not in seen.urns and not it.resource.type.startswith(NO_SETTINGS)
        )
    known = correspondence.read()
    results = [result for each in records for result in each.results]
    neighbours = neighbours_in(seen for each in records for seen in each.resources)
    return Findings(
        version=VERSION,
        records=records,
        comparison=compare(judgements, results, known, neighbours),
        correspondence=known,
        titles=titles,
        turns=turns,
        unconverted=unconverted,
        rules={rule.id: rule for rule in ALL_RULES},
    )


def _unforeseen(findings: Findings) -> list[str]:
    tried = {turn.target.probe for turn in findings.turns}
    words = {True: "passes", False: "fails", None: "does not judge"}
    return [
        *(
            f"probe {turn.target.probe.check}, {turn.target.probe.what}: Checkov {words[turn.before]} {turn.target.urn} before "
            f"and {words[turn.after]} it after"
            for turn in findings.turns
            if not turn.as_foreseen
        ),
        *(
            f"probe {turn.target.probe.check}, {turn.target.probe.what}: {', '.join(turn.rules) or 'no rule'} of the pack "
            f"fails ({turn.target.urn})"
            for turn in findings.turns
            if bool(turn.rules) == bool(turn.target.probe.unseen)
        ),
        *(f"probe {each.check}: no stack has a {each.type} {each.name}" for each in probes.PROBES if each not in tried),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
