"""``correspondence.yaml``: which rule answers to which check, and why the two disagree where they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import yaml

FILE: Final = Path(__file__).with_name("correspondence.yaml")


class Kind(Enum):
    CHOICE = "choice"
    READING = "reading"
    CONVERSION = "conversion"
    GAP = "gap"


@dataclass(frozen=True)
class Explanation:
    """Why one check's verdict on the resources of a pattern differs from the pack's."""

    check: str
    resources: str
    kind: Kind
    why: str

    def covers(self, check: str, urn: str) -> bool:
        return check == self.check and fnmatchcase(urn, self.resources)


@dataclass(frozen=True)
class Correspondence:
    """``rules``: of each check, those that ask the same. ``reasons``: of each check without one, why there is none."""

    rules: Mapping[str, Sequence[str]]
    reasons: Mapping[str, str]
    explanations: Sequence[Explanation]

    def explain(self, check: str, urn: str) -> Explanation | None:
        return next((each for each in self.explanations if each.covers(check, urn)), None)


def read(file: Path = FILE) -> Correspondence:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    return Correspondence(
        rules=dict(_by_check(document["counterparts"], "rules")),
        reasons=dict(_by_check(document["none"], "why")),
        explanations=[
            Explanation(each["check"], each["resources"], Kind(each["kind"]), each["why"]) for each in document["explanations"]
        ],
    )


def _by_check(entries: Sequence[Mapping[str, Any]], key: str) -> Iterator[tuple[str, Any]]:
    return ((check, entry[key]) for entry in entries for check in entry["checks"])
