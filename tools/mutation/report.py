"""What became of the mutants, by module, and where the survivors stand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tools.mutation.mutants import Mutant
from tools.mutation.trial import Fate

WANTED: Final = 0.9  # of the mutants are to be noticed

Outcome = Sequence[tuple[Mutant, Fate]]


def share(outcome: Outcome) -> float:
    """Of the mutants that were noticed; 1 where there are none."""
    return 1 - _count(outcome, Fate.SURVIVED) / len(outcome) if outcome else 1.0


def _count(outcome: Outcome, fate: Fate) -> int:
    return sum(each is fate for _mutant, each in outcome)


def text(outcome: Outcome) -> str:
    return "\n".join([*_table(outcome), "", *_survivors(outcome), *_verdict(outcome)])


def _table(outcome: Outcome) -> Iterable[str]:
    by_file: dict[str, list[tuple[Mutant, Fate]]] = {}
    for mutant, fate in outcome:
        by_file.setdefault(mutant.file, []).append((mutant, fate))
    yield f"{'module':40} {'mutants':>8} {'survived':>9} {'noticed':>8}"
    for file, of_file in sorted(by_file.items()):
        yield _row(file, of_file)
    yield _row("all", outcome)


def _row(name: str, outcome: Outcome) -> str:
    return f"{name:40} {len(outcome):8} {_count(outcome, Fate.SURVIVED):9} {share(outcome):8.1%}"


def _survivors(outcome: Outcome) -> Iterable[str]:
    survivors = sorted((mutant.file, mutant.line, str(mutant)) for mutant, fate in outcome if fate is Fate.SURVIVED)
    return [f"survived: {shown}" for _file, _line, shown in survivors]


def _verdict(outcome: Outcome) -> Iterable[str]:
    noticed = share(outcome)
    words = "enough" if noticed >= WANTED else "too few"
    late = f", {late} of them as they took too long" if (late := _count(outcome, Fate.LATE)) else ""
    yield f"{noticed:.1%} of the mutants were noticed{late}; {words}: at least {WANTED:.0%} are wanted"
