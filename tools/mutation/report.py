"""What became of the mutants, by module, and where the survivors stand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tools.mutation.mutants import Mutant

WANTED: Final = 0.9  # of the mutants are to be noticed

Outcome = Sequence[tuple[Mutant, bool]]


def share(outcome: Outcome) -> float:
    """Of the mutants that were noticed; 1 where there are none."""
    return sum(noticed for _mutant, noticed in outcome) / len(outcome) if outcome else 1.0


def text(outcome: Outcome) -> str:
    return "\n".join([*_table(outcome), "", *_survivors(outcome), *_verdict(outcome)])


def _table(outcome: Outcome) -> Iterable[str]:
    by_file: dict[str, list[tuple[Mutant, bool]]] = {}
    for mutant, noticed in outcome:
        by_file.setdefault(mutant.file, []).append((mutant, noticed))
    yield f"{'module':40} {'mutants':>8} {'survived':>9} {'noticed':>8}"
    for file, of_file in sorted(by_file.items()):
        yield _row(file, of_file)
    yield _row("all", outcome)


def _row(name: str, outcome: Outcome) -> str:
    survived = sum(not noticed for _mutant, noticed in outcome)
    return f"{name:40} {len(outcome):8} {survived:9} {share(outcome):8.1%}"


def _survivors(outcome: Outcome) -> Iterable[str]:
    survivors = sorted((mutant.file, mutant.line, str(mutant)) for mutant, noticed in outcome if not noticed)
    return [f"survived: {shown}" for _file, _line, shown in survivors]


def _verdict(outcome: Outcome) -> Iterable[str]:
    noticed = share(outcome)
    words = "enough" if noticed >= WANTED else "too few"
    yield f"{noticed:.1%} of the mutants were noticed, {words}: at least {WANTED:.0%} are wanted"
