"""A mutant is tried in a process of its own: noticed by a failing test, by a crash, by taking too long, and else survived."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutation import report, scope
from tools.mutation.equivalent import EquivalentMistake, read
from tools.mutation.mutants import Mutant, mutants_of
from tools.mutation.scope import Selection
from tools.mutation.trial import Fate, Trial, tried

CHECKOUT = Path(__file__).resolve().parents[3]
MODULE = "policies.mutated_for_a_test"
SOURCE = "def double(n):\n    return n + n\n\n\nLIMIT = 3\n"


def outcome(tmp_path: Path, test: str | None, number: int = 0, source: str = SOURCE, limit: float = 60) -> Fate:
    """What becomes of the mutant of that number with a file of ``test``; None: there are no tests."""
    tree = ast.parse(source)
    mutant = mutants_of(tree, "mutated.py")[number]
    file = tmp_path / "test_mutated.py"
    file.write_text(test or "")
    selection = Selection((str(file),) if test else (), ())
    ended: list[Fate] = []
    trial = Trial(mutant=mutant, name=MODULE, tree=tree, file=tmp_path / "mutated.py", selection=selection, limit=limit)
    tried([trial], 1, lambda _trial, fate: ended.append(fate))
    (fate,) = ended
    return fate


@pytest.mark.parametrize(
    ("test", "fate"),
    [
        (f"from {MODULE} import double\ndef test(): assert double(2) == 4", Fate.NOTICED),
        (f"from {MODULE} import double\ndef test(): assert double(0) == 0", Fate.SURVIVED),
        (f"from {MODULE} import missing", Fate.NOTICED),
        (None, Fate.SURVIVED),
    ],
)
def test_a_mutant_is_noticed_where_a_test_fails(tmp_path: Path, test: str | None, fate: Fate) -> None:
    assert outcome(tmp_path, test) is fate


def test_one_that_takes_too_long_is_noticed(tmp_path: Path) -> None:
    source = "def spin(n):\n    while n > 3:\n        n -= 1\n    return n\n"
    (number,) = [position for position, mutant in enumerate(mutants_of(ast.parse(source), "")) if mutant.after == "pass"]
    test = f"from {MODULE} import spin\ndef test(): spin(9)"
    assert outcome(tmp_path, test, number, source, limit=5) is Fate.LATE
    assert outcome(tmp_path, test, number, source.replace("n > 3", "n > 30"), limit=60) is Fate.SURVIVED


def test_this_process_stays_as_it_is(tmp_path: Path) -> None:
    outcome(tmp_path, f"import {MODULE}\ndef test(): pass")
    assert MODULE not in sys.modules
    assert not any(type(finder).__name__ == "Changed" for finder in sys.meta_path)


def test_a_module_has_its_own_tests_those_that_import_it_and_the_cases_of_its_rules() -> None:
    chosen = scope.selections(CHECKOUT)
    assert "tests/policies/test_relations.py" in {
        str(Path(file).relative_to(CHECKOUT)) for file in chosen["policies.relations"].files
    }
    assert "monitoring-R51" in chosen["policies.rules.alarms"].cases  # a check that another module lists
    assert "monitoring-R52" in chosen["policies.alarm_catalogue"].cases  # by who uses it
    assert "local-R06" not in chosen["policies.rules.alarms"].cases
    assert {"policies.analyzer", "policies.rules.links", "policies.pack"} & set(chosen) == set()


def mutant(line: int, file: str = "a.py") -> Mutant:
    return Mutant(file=file, line=line, where="f", before="a", after="b", apply=lambda: None)


def test_the_report_names_each_survivor_and_says_whether_it_is_enough() -> None:
    enough = [(mutant(line), Fate.NOTICED if line > 1 else Fate.SURVIVED) for line in range(1, 11)]
    text = report.text(enough)
    assert "survived: a.py:1 f: a  ->  b" in text
    assert text.endswith("90.0% of the mutants were noticed; enough: at least 90% are wanted")
    assert "too few" in report.text(enough[:9])
    late = report.text([*enough, (mutant(11), Fate.LATE)])
    assert late.endswith("90.9% of the mutants were noticed, 1 of them as they took too long; enough: at least 90% are wanted")
    assert report.share([]) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {file: a.py, where: f, before: a, after: b}", "entry 1 is a mapping of texts with"),
        ("- {file: a.py, where: f, before: a, after: b, why: because}", "entry 1 does not say why"),
        (
            "- {file: a.py, where: g, before: a, after: b, why: a reason that is long enough}",
            "there is no such mutant (any more)",
        ),
    ],
)
def test_a_list_of_equivalents_that_is_not_as_it_should_be_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "equivalent.yaml"
    file.write_text(text)
    with pytest.raises(EquivalentMistake) as mistake:
        read({mutant(1).key}, whole=True, file=file)
    assert words in str(mistake.value)


def test_a_list_may_name_mutants_of_modules_that_are_not_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "equivalent.yaml"
    file.write_text("- {file: b.py, where: f, before: a, after: b, why: a reason that is long enough}")
    assert read({mutant(1).key}, whole=False, file=file) == {("b.py", "f", "a", "b")}


def test_the_list_names_mutants_that_there_are() -> None:
    known = {
        each.key
        for file in scope.modules(CHECKOUT).values()
        for each in mutants_of(ast.parse(file.read_text(encoding="utf-8")), str(file.relative_to(CHECKOUT)))
    }
    assert read(known, whole=True) <= known


def test_the_command_tries_what_it_is_asked_for_and_ends_with_the_share() -> None:
    command = [sys.executable, "-m", "tools.mutation", "show", "--sample", "4", "--seed", "3", "--jobs", "1"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "policies/show.py" in done.stdout
    unknown = subprocess.run([*command[:3], "nosuch"], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=110)
    assert unknown.returncode == 2
    assert "no module is named nosuch" in unknown.stderr
