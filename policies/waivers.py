"""Exceptions from rules: each with an owner, a reason, a ticket and an end.

``waivers.yaml`` is a list; an entry stands for one rule on the resources that its URN pattern names, in the stacks it lists:

.. code-block:: yaml

    - rule: R47
      urn: "*aws:s3/bucket:Bucket::access-logs"   # as in a shell: *, ? and [abc]
      stacks: [staging, prod]                      # or patterns of names
      owner: platform-team
      reason: the bucket that holds access logs cannot log to itself
      ticket: OPS-123
      expires: 2027-04-30                          # at most 180 days ahead
      optional: true                               # for a part that not every stack has; may be left out

An entry that has expired, is malformed or is used by nothing is a finding itself (W01): a register of exceptions that nobody
keeps is worse than none. An optional one is unused only where what it names is there and needs no excuse.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

FILE: Final = Path(__file__).parent / "waivers.yaml"
LONGEST: Final = datetime.timedelta(days=180)
REQUIRED: Final = ("rule", "urn", "stacks", "owner", "reason", "ticket", "expires")
KEYS: Final = (*REQUIRED, "optional")
SHORTEST_REASON: Final = 20  # characters: "needed" is no reason


@dataclass(frozen=True)
class Waiver:
    rule: str
    urn: str
    stacks: tuple[str, ...]
    owner: str
    reason: str
    ticket: str
    expires: datetime.date
    optional: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(translate(self.urn))

    def is_for(self, stack: str) -> bool:
        return any(fnmatchcase(stack, pattern) for pattern in self.stacks)

    def matches(self, urn: str) -> bool:
        return bool(self._pattern.match(urn))

    def names(self, stack: str, rule: str, urn: str) -> bool:
        return rule == self.rule and self.is_for(stack) and self.matches(urn)

    def __str__(self) -> str:
        return f"{self.rule} on {self.urn} ({self.ticket})"


@dataclass(frozen=True)
class Register:
    """The waivers that stand, and what is wrong with the others."""

    waivers: tuple[Waiver, ...] = ()
    mistakes: tuple[str, ...] = ()

    def of(self, stack: str, rule: str, urn: str) -> Waiver | None:
        return next((waiver for waiver in self.waivers if waiver.names(stack, rule, urn)), None)

    def unused(self, stack: str, used: Iterable[Waiver], urns: Iterable[str]) -> list[Waiver]:
        """Those of ``stack``, which has the resources ``urns``, that nothing used."""
        spent, there = set(used), list(urns)
        idle = [waiver for waiver in self.waivers if waiver.is_for(stack) and waiver not in spent]
        return [waiver for waiver in idle if not waiver.optional or any(waiver.matches(urn) for urn in there)]


def read(rules: Iterable[str], today: datetime.date, file: Path = FILE) -> Register:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else []
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        return Register(mistakes=(f"{file.name} cannot be read ({type(error).__name__}); it is a YAML list of waivers",))
    return parse(document, rules, today)


def parse(document: Any, rules: Iterable[str], today: datetime.date) -> Register:
    """``rules``: the ids there are."""
    if document is None:
        return Register()
    if not isinstance(document, list):
        return Register(mistakes=("waivers.yaml is a list of waivers",))
    known = set(rules)
    waivers: list[Waiver] = []
    mistakes: list[str] = []
    for position, entry in enumerate(document, 1):
        wrong = _mistakes(entry, known, today)
        if wrong:
            mistakes += [f"waiver {position}: {mistake}" for mistake in wrong]
        else:
            waivers.append(_waiver(entry))
    return Register(tuple(waivers), tuple(mistakes))


def _waiver(entry: Mapping[str, Any]) -> Waiver:
    texts = {key: str(entry[key]).strip() for key in ("rule", "urn", "owner", "reason", "ticket")}
    return Waiver(**texts, stacks=tuple(entry["stacks"]), expires=entry["expires"], optional=entry.get("optional", False))


def _mistakes(entry: Any, known: set[str], today: datetime.date) -> list[str]:
    if not isinstance(entry, dict):
        return [f"it is a mapping with {', '.join(REQUIRED)}"]
    wrong = [f"{key} is missing" for key in REQUIRED if not entry.get(key)]
    wrong += [f"{str(key)[:40]!r} is no key of a waiver; they are {', '.join(KEYS)}" for key in entry if key not in KEYS]
    if not isinstance(entry.get("optional", False), bool):
        wrong.append("optional is true or false")
    if wrong:
        return wrong
    return [*_of_texts(entry, known), *_of_stacks(entry["stacks"]), *_of_end(entry["expires"], today)]


def _of_texts(entry: Mapping[str, Any], known: set[str]) -> list[str]:
    wrong = [f"{key} is a text" for key in ("rule", "urn", "owner", "reason", "ticket") if not isinstance(entry[key], str)]
    if wrong:
        return wrong
    if entry["rule"] not in known:
        wrong.append(f"there is no rule {entry['rule'][:40]!r}")
    if not entry["urn"].strip("*?"):
        wrong.append("urn names every resource; say which")
    if len(entry["reason"].strip()) < SHORTEST_REASON:
        wrong.append(f"reason has fewer than {SHORTEST_REASON} characters; an auditor is going to read it")
    return wrong


def _of_stacks(stacks: Any) -> Sequence[str]:
    if isinstance(stacks, list) and all(isinstance(stack, str) and stack for stack in stacks):
        return []
    return ["stacks is a list of stacks' names"]


def _of_end(expires: Any, today: datetime.date) -> Sequence[str]:
    if not isinstance(expires, datetime.date) or isinstance(expires, datetime.datetime):
        return ["expires is a day, such as 2027-04-30"]
    if expires < today:
        return [f"it has expired on {expires}: mend the cause, or have it granted anew"]
    if expires - today > LONGEST:
        return [f"expires is more than {LONGEST.days} days ahead ({today + LONGEST} at the latest)"]
    return []
