"""Which modules are mutated, and which tests are to notice what goes wrong in each."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PACK: Final = "policies"
RULES: Final = "policies.rules"
TESTS: Final = Path("tests/policies")
EVERY_RULE: Final = TESTS / "test_every_rule.py"
# What is no decision about a resource: how the pack is served and listed, the standard's table, addresses of pages.
LEFT_OUT: Final = frozenset({"__main__", "analyzer", "controls", "docs", "links", "pack", "rules"})


@dataclass(frozen=True)
class Selection:
    """``files``: test files that are run whole. ``cases``: beginnings of the ids of the parametrised cases that are run of
    ``test_every_rule.py``, such as ``iam-R02``."""

    files: tuple[str, ...]
    cases: tuple[str, ...]


def modules(checkout: Path) -> dict[str, Path]:
    """The modules to be mutated, by their dotted names."""
    found = [*sorted((checkout / PACK).glob("*.py")), *sorted((checkout / PACK / "rules").glob("*.py"))]
    named = {_dotted(file.relative_to(checkout)): file for file in found if file.stem != "__init__"}
    return {name: file for name, file in named.items() if name.rpartition(".")[2] not in LEFT_OUT}


def selections(checkout: Path) -> dict[str, Selection]:
    """Of each module its own tests, those that import it, and the cases of the rules that decide with it."""
    known = modules(checkout)
    users = _users({name: _imports(file) & set(known) for name, file in known.items()})
    themes = _themes(checkout)
    rules = {name: _rules_of(name) for name in known if name.startswith(f"{RULES}.")}
    imported = {file: _imports(file) for file in sorted((checkout / TESTS).rglob("test_*.py")) if file.name != EVERY_RULE.name}
    return {
        name: _selection(name, {rule for user in (name, *users[name]) for rule in rules.get(user, ())}, themes, imported)
        for name in known
    }


def _selection(name: str, rules: set[str], themes: Mapping[str, set[str]], imported: Mapping[Path, set[str]]) -> Selection:
    cases = tuple(f"{theme}-{rule}" for theme, held in themes.items() for rule in sorted(held & rules))
    # A theme's own tests, where the module is no more than what the theme decides with.
    own = {name.rpartition(".")[2], *(theme for theme, held in themes.items() if held & rules)}
    files = [str(file) for file, modules in imported.items() if file.stem.removeprefix("test_") in own or name in modules]
    first = sorted(files, key=lambda file: Path(file).stem.removeprefix("test_") != name.rpartition(".")[2])
    return Selection(tuple(first), cases)


def _themes(checkout: Path) -> dict[str, set[str]]:
    """The ids of the rules that each module of cases holds to them."""
    folder = str(checkout / TESTS)
    if folder not in sys.path:
        sys.path.append(folder)
    names = sorted(file.stem for file in (checkout / TESTS / "cases").glob("*.py") if file.stem != "theme")
    return {name: set(importlib.import_module(f"cases.{name}").THEME.cases) for name in names}


def _rules_of(name: str) -> set[str]:
    """The ids of the rules that the module holds, or of which it holds a check."""
    of_all: tuple[Any, ...] = importlib.import_module(RULES).RULES
    own = {rule.id for rule in getattr(importlib.import_module(name), "RULES", ())}
    reading = {
        rule.id for rule in of_all for part in (*rule.checks, *rule.relations) if getattr(part.judge, "__module__", "") == name
    }
    return own | reading


def _users(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """By module, all that import it, directly or through others."""
    users: dict[str, set[str]] = {name: set() for name in imports}
    for name in imports:
        waiting, reached = [name], set[str]()
        while waiting:
            for used in imports[waiting.pop()] - reached:
                reached.add(used)
                waiting.append(used)
        for used in reached - {name}:
            users[used].add(name)
    return users


def _imports(file: Path) -> set[str]:
    return set(_imported(ast.parse(file.read_text(encoding="utf-8"))))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _dotted(file: Path) -> str:
    return ".".join(file.with_suffix("").parts)
