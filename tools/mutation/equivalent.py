"""Mutants that change nothing anybody could notice: ``equivalent.yaml``, each with its reason.

An entry names the file, the function, what stands there and what it became, as the report prints them. One that names no mutant
is a mistake, so that the list does not outlive the code.
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import Final

import yaml

FILE: Final = Path(__file__).parent / "equivalent.yaml"
KEYS: Final = ("file", "where", "before", "after", "why")
SHORTEST_REASON: Final = 20  # characters

Key = tuple[str, str, str, str]


class EquivalentMistake(Exception):
    """The list is not as it should be; the message is for the person who wrote it."""


def read(known: Set[Key], *, whole: bool, file: Path = FILE) -> frozenset[Key]:
    """``known``: the mutants there are; ``whole``: whether these are those of every module. Raises
    :class:`EquivalentMistake`."""
    entries = yaml.safe_load(file.read_text(encoding="utf-8")) or []
    keys: list[Key] = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or set(entry) != set(KEYS) or not all(isinstance(entry[key], str) for key in KEYS):
            raise EquivalentMistake(f"{file.name}: entry {number} is a mapping of texts with {', '.join(KEYS)}")
        if len(entry["why"].strip()) < SHORTEST_REASON:
            raise EquivalentMistake(f"{file.name}: entry {number} does not say why nobody could notice")
        keys.append((entry["file"], entry["where"], entry["before"], entry["after"]))
    if whole and (strangers := [key for key in keys if key not in known]):
        raise EquivalentMistake("\n".join(f"{file.name}: there is no such mutant (any more): {key}" for key in strangers))
    return frozenset(keys)
