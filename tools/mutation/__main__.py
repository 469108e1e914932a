"""``make mutate-policies``: change the rules one by one and see whether their tests notice."""

from __future__ import annotations

import argparse
import ast
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.mutation import report, scope, trial
from tools.mutation.equivalent import EquivalentMistake, read
from tools.mutation.mutants import Mutant, mutants_of
from tools.mutation.trial import Fate, Trial

CHECKOUT = Path(__file__).resolve().parents[2]
SHORTEST_LIMIT = 60.0  # seconds a mutant; what spins for ever is noticed by it
TIMES = 5  # so many times what all tests together take, on a machine that others use as well
TELL_EVERY = 10.0  # seconds


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    os.chdir(CHECKOUT)
    known = scope.modules(CHECKOUT)
    wanted = {name: file for name, file in known.items() if not options.only or name.rpartition(".")[2] in options.only}
    if not wanted:
        print(f"no module is named {', '.join(options.only)}; there are {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    selections = scope.selections(CHECKOUT)
    trees = {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in wanted.items()}
    mutants = [(name, mutant) for name, tree in trees.items() for mutant in mutants_of(tree, _shown(wanted[name]))]
    try:
        equal = read({mutant.key for _name, mutant in mutants}, whole=not options.only)
    except EquivalentMistake as mistake:
        print(mistake, file=sys.stderr)
        return 2
    tried = [(name, mutant) for name, mutant in mutants if mutant.key not in equal]
    if options.sample:
        chosen = sorted(random.Random(options.seed).sample(range(len(tried)), min(options.sample, len(tried))))  # noqa: S311
        tried = [tried[index] for index in chosen]
    print(f"{len(mutants)} mutants, {len(mutants) - len(tried)} of them equivalent or not in the sample", file=sys.stderr)
    started = time.monotonic()
    if code := trial.warm_up(selections[name] for name in wanted):
        print("The tests fail as they are: nothing can be said of mutants.", file=sys.stderr)
        return code
    limit = max(SHORTEST_LIMIT, TIMES * (time.monotonic() - started))
    trials = [
        Trial(mutant=mutant, name=name, tree=trees[name], file=wanted[name], selection=selections[name], limit=limit)
        for name, mutant in tried
    ]
    outcome = _run(trials, options.jobs)
    print(report.text(outcome))
    return 0 if report.share(outcome) >= report.WANTED else 1


def _run(trials: Sequence[Trial], jobs: int) -> list[tuple[Mutant, Fate]]:
    outcome: list[tuple[Mutant, Fate]] = []
    told = started = time.monotonic()

    def on_end(ended: Trial, fate: Fate) -> None:
        nonlocal told
        outcome.append((ended.mutant, fate))
        if fate is not Fate.NOTICED:
            print(f"{fate.value}: {ended.mutant}", file=sys.stderr)
        if (now := time.monotonic()) - told >= TELL_EVERY:
            told = now
            done = len(outcome)
            left = (now - started) / done * (len(trials) - done)
            print(f"{done} of {len(trials)}, {report.share(outcome):.1%} noticed, {left:.0f} s to go", file=sys.stderr)

    trial.tried(trials, jobs, on_end)
    return outcome


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("only", nargs="*", help="modules of the pack, such as iam or relations; without one, all")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants, drawn; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args(arguments)


def _shown(file: Path) -> str:
    return str(file.relative_to(CHECKOUT))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
