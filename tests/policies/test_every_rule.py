"""Every rule: the good stack passes, each mutation fails, an unknown is undetermined, a malformed property is a finding."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import reads
from cases.theme import Bad, Cases, Theme, changed

from policies.evaluation import RuleBook
from policies.relations import IDENTITIES
from policies.resource import Resource, Stack
from policies.rule import Outcome, Rule, Verdict, all_of, judge, judge_stack
from policies.rules import RULES
from policies.values import UNKNOWN, Secret

ALL = {rule.id: rule for rule in RULES}
FOLDER = Path(__file__).parent / "cases"
# What these look for is a secret that is not marked as one.
ABOUT_MARKS = frozenset({"R06", "L01"})


def themes() -> dict[str, Theme]:
    return {file.stem: _module(file).THEME for file in sorted(FOLDER.glob("*.py")) if file.stem != "theme"}


def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"policy_cases_{file.stem}", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


THEMES = themes()


def of_rules() -> Iterator[Any]:
    for theme_name, theme in THEMES.items():
        for rule_id, cases in theme.cases.items():
            yield pytest.param(theme, rule_id, cases, id=f"{theme_name}-{rule_id}")


def failing() -> Iterator[Any]:
    for theme_name, theme in THEMES.items():
        for rule_id, cases in theme.cases.items():
            for number, bad in enumerate(cases.failing):
                yield pytest.param(theme, rule_id, bad, id=f"{theme_name}-{rule_id}-{number}")


def verdicts(rule: Rule, theme: Theme, mutant: Resource | None = None, without: tuple[str, ...] = ()) -> list[Verdict]:
    """What the rule's checks say of the mutant (of every good resource where there is none), and its relations of the stack."""
    stack = theme.stack(*([mutant] if mutant else []), without=without)
    looked_at = [mutant] if mutant else stack.resources
    said = [
        judge(check, resource)
        for check in rule.checks
        for resource in looked_at
        if not check.types or resource.type in check.types
    ]
    return said + [finding.verdict for relation in rule.relations for finding in judge_stack(relation, stack)]


def of_bad(rule_id: str, theme: Theme, bad: Bad, wrap: Any = lambda value: value) -> Verdict:
    changes = {path: value if value is None else wrap(value) for path, value in bad.changes.items()}
    if bad.resource in bad.without:
        return all_of(verdicts(ALL[rule_id], theme, without=bad.without))
    mutant = theme.resource(bad.resource, changes, linked=not bad.unlinked, **bad.options)
    return all_of(verdicts(ALL[rule_id], theme, mutant, bad.without))


def test_every_rule_has_cases_and_a_name_of_its_own() -> None:
    assert set(ALL) - {rule_id for theme in THEMES.values() for rule_id in theme.cases} == set()
    assert len({rule.policy for rule in RULES}) == len(RULES) == len(ALL)


def test_every_rule_reads_something() -> None:
    assert [rule.id for rule in RULES if not rule.checks and not rule.relations] == []


@pytest.mark.parametrize(("theme", "rule_id", "cases"), list(of_rules()))
def test_the_good_stack_passes(theme: Theme, rule_id: str, cases: Cases) -> None:
    said = verdicts(ALL[rule_id], theme)
    assert said, "the theme has nothing that the rule reads"
    assert [verdict for verdict in said if verdict.outcome is not Outcome.PASS] == []


@pytest.mark.parametrize(("theme", "rule_id", "bad"), list(failing()))
def test_a_mutation_is_found_and_named(theme: Theme, rule_id: str, bad: Bad) -> None:
    verdict = of_bad(rule_id, theme, bad)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert bad.words in "\n".join(verdict.reasons)


@pytest.mark.parametrize(("theme", "rule_id", "bad"), list(failing()))
def test_a_secret_mark_hides_the_mutation_neither_from_the_rule_nor_shows_it_to_the_reader(
    theme: Theme, rule_id: str, bad: Bad
) -> None:
    if rule_id in ABOUT_MARKS or not any(value is not None for value in bad.changes.values()):
        return
    verdict = of_bad(rule_id, theme, bad, Secret)
    assert verdict.outcome is Outcome.FAIL, verdict
    for value in bad.changes.values():
        if isinstance(value, str) and len(value) > 3:
            assert value not in "\n".join(verdict.reasons)


@pytest.mark.parametrize(("theme", "rule_id", "cases"), list(of_rules()))
def test_an_unknown_is_said_aloud(theme: Theme, rule_id: str, cases: Cases) -> None:
    if cases.unknown is None:
        return
    name, path = cases.unknown
    verdict = all_of(verdicts(ALL[rule_id], theme, theme.resource(name, {path: UNKNOWN}, linked=False)))
    assert verdict.outcome is Outcome.UNDETERMINED, verdict


@pytest.mark.parametrize(("theme", "rule_id", "cases"), list(of_rules()))
def test_a_malformed_property_is_a_finding(theme: Theme, rule_id: str, cases: Cases) -> None:
    if cases.malformed is None:
        return
    name, path = cases.malformed
    verdict = all_of(verdicts(ALL[rule_id], theme, theme.resource(name, {path: [[1]]})))
    assert verdict.outcome is Outcome.FAIL, verdict
    assert "was expected" in "\n".join(verdict.reasons)


@pytest.mark.parametrize(("theme", "rule_id", "cases"), list(of_rules()))
def test_every_property_that_a_rule_says_it_reads_decides(theme: Theme, rule_id: str, cases: Cases) -> None:
    """So that the rule on ignored changes covers what decides, and no more."""
    rule = ALL[rule_id]
    for resource_type, properties in rule.reads().items():
        names = [name for name, good in theme.good.items() if good.type == resource_type]
        for read in properties:
            holders = [name for name in names if read in theme.good[name].properties]
            if not holders:
                continue
            outcomes = (_outcome(rule, theme, name, value, read) for name in holders for value in (UNKNOWN, [[1]], "x", None))
            assert any(outcome is not Outcome.PASS for outcome in outcomes), (rule_id, resource_type, read)


@pytest.mark.parametrize(("theme", "rule_id", "bad"), list(failing()))
def test_what_a_case_changes_is_what_the_rule_says_it_reads(theme: Theme, rule_id: str, bad: Bad) -> None:
    """The other way round: a property that decides and is not named could be ignored when it changes (R75). Names by which
    one resource means another do not change without the resource."""
    read = ALL[rule_id].reads().get(theme.good[bad.resource].type)
    if read is not None and bad.resource not in bad.without:
        named = {name.partition(".")[0] for name in read}  # a path, where the rule leaves alone what lies beside it
        assert {path.partition("/")[0] for path in bad.changes} <= {*named, *IDENTITIES}


@pytest.mark.parametrize(("theme", "rule_id", "cases"), list(of_rules()))
def test_what_a_rule_says_it_reads_is_written_down(theme: Theme, rule_id: str, cases: Cases) -> None:
    """When this fails and is meant to: python tests/policies/reads.py."""
    if rule_id != "R75":
        assert reads.of(ALL[rule_id]) == reads.written()[rule_id]


def _outcome(rule: Rule, theme: Theme, name: str, value: Any, path: str) -> Outcome:
    return all_of(verdicts(rule, theme, theme.resource(name, {path: value}, linked=False))).outcome


@pytest.mark.parametrize("theme_name", list(THEMES))
def test_no_rule_raises_or_shows_a_canary_wherever_it_stands(theme_name: str, canary: str) -> None:
    """The canary takes the place of every value, of every property and of whole resources, marked and in plain."""
    theme, book = THEMES[theme_name], RuleBook(RULES)
    seen: set[tuple[str, str]] = set()
    for name in theme.good:
        # What stands at one place of a type (a container's image) is tried once, not in every container of the theme.
        paths = [path for path in _paths(dict(theme.good[name].properties)) if _place(theme, name, path) not in seen]
        seen |= {_place(theme, name, path) for path in paths}
        for value in (canary, Secret(canary), [canary], {"a": canary}, Secret({"b": [canary]})):
            for mutant in _replaced(theme, name, paths, value):
                results = book.judge(mutant)
                assert canary not in "\n".join(reason for result in results for reason in result.reasons)
        for value in (Secret(canary), {"a": canary}):
            for mutant in [theme.resource(name, {key: value}) for key in theme.good[name].properties]:
                results = book.judge_stack(Stack((mutant,)))
                assert canary not in "\n".join(reason for result in results for reason in result.reasons)


def _place(theme: Theme, name: str, path: str) -> tuple[str, str]:
    return theme.good[name].type, re.sub(r"(?<=/)\d+(?=/|$)", "0", path)


def _replaced(theme: Theme, name: str, paths: Iterable[str], value: Any) -> Iterator[Resource]:
    good = theme.resource(name)
    for path in paths:
        yield replace(good, properties=changed(good.properties, {path: value}))


def _paths(value: Any, prefix: str = "") -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        path = f"{prefix}{key}"
        if "/" not in str(key):
            yield path
            yield from _paths(item, f"{path}/")
