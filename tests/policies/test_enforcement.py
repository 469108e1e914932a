"""Levels by stack: what the file may say, and that forgetting a stack loosens nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policies.enforcement import Enforcement, EnforcementMistake, Environment, Level, parse, read

STRICTEST = Environment(level=Level.MANDATORY, production=True)


def test_a_stack_that_is_not_named_is_held_to_the_default() -> None:
    enforcement = parse({"default": {"level": "mandatory", "production": True}, "stacks": {"dev": {"level": "advisory"}}})
    assert enforcement.of("dev").level is Level.ADVISORY
    assert enforcement.of("prod") == enforcement.of("another") == STRICTEST


def test_what_a_stack_leaves_out_is_the_defaults() -> None:
    enforcement = parse(
        {
            "default": {"level": "advisory", "production": False},
            "stacks": {"a": {"level": "mandatory"}, "b": {"production": True}, "c": {}},
        }
    )
    assert enforcement.of("a") == Environment(Level.MANDATORY, production=False)
    assert enforcement.of("b") == Environment(Level.ADVISORY, production=True)
    assert enforcement.of("c") == enforcement.default == Environment(Level.ADVISORY, production=False)


@pytest.mark.parametrize("document", [{}, {"default": None, "stacks": None}, {"stacks": {}}])
def test_a_file_that_says_nothing_holds_everything_to_the_strictest(document: dict[str, Any]) -> None:
    assert parse(document).of("dev") == STRICTEST
    assert Enforcement().of("dev") == STRICTEST


def test_a_stacks_name_may_look_like_a_number() -> None:
    assert parse({"stacks": {2026: {"level": "advisory"}}}).of("2026").level is Level.ADVISORY


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "has the keys default and stacks, and no other"),
        ([], "has the keys default and stacks"),
        ({"defaults": {}}, "has the keys default and stacks"),
        ({"stacks": ["dev"]}, "stacks is a mapping of a stack's name to its level"),
        ({"stacks": {"dev": "advisory"}}, "stacks.dev is a mapping with level and production"),
        ({"stacks": {"dev": None}}, "stacks.dev is a mapping with level and production"),
        ({"default": {"levels": "advisory"}}, "default is a mapping with level and production"),
        ({"default": {"level": "remediate"}}, "default.level is advisory or mandatory, not 'remediate'"),
        ({"stacks": {"dev": {"level": ["advisory"]}}}, "stacks.dev.level is advisory or mandatory"),
        ({"stacks": {"dev": {"level": None}}}, "stacks.dev.level is advisory or mandatory, not 'None'"),
        ({"stacks": {"dev": {"production": "no"}}}, "stacks.dev.production is true or false"),
        ({"stacks": {"dev": {"production": 0}}}, "stacks.dev.production is true or false"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(document: Any, words: str) -> None:
    with pytest.raises(EnforcementMistake) as mistake:
        parse(document)
    assert words in str(mistake.value)


@pytest.mark.parametrize("content", [b"default: [", b"\xff\xfe\x00", None])
def test_a_file_that_cannot_be_read_is_a_mistake_too(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "enforcement.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(EnforcementMistake, match=r"enforcement\.yaml cannot be read"):
        read(file)


def test_the_projects_own_stacks_are_held_as_the_documentation_says() -> None:
    enforcement = read()
    levels = {name: enforcement.of(name) for name in ("dev", "staging", "prod", "serverless", "local", "cluster")}
    assert {name for name, held in levels.items() if held.level is Level.ADVISORY} == {"dev"}
    assert {name for name, held in levels.items() if held.production} == {"prod", "serverless"}
