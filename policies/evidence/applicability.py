"""``applicability.yaml``: what each of the 93 controls means for this deployment package, and what no rule can show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from policies.controls import CONTROLS, Control, Theme

FILE: Final = Path(__file__).with_name("applicability.yaml")
KEYS: Final = ("control", "applicable", "reason", "manual", "inherited", "see")


class ApplicabilityMistake(Exception):
    """The file is not as it should be; the message is for the person who wrote it."""


@dataclass(frozen=True)
class Entry:
    """``manual``: who does what by hand; ``inherited``: what AWS provides; each empty where there is nothing of the kind."""

    control: Control
    applicable: bool
    reason: str
    manual: str = ""
    inherited: str = ""
    see: tuple[str, ...] = ()


def read(file: Path = FILE) -> tuple[Entry, ...]:
    """One entry a control, in the standard's order. Raises :class:`ApplicabilityMistake`."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ApplicabilityMistake(f"{file.name} cannot be read ({type(error).__name__}); it is a YAML list") from None
    return parse(document)


def parse(document: Any) -> tuple[Entry, ...]:
    """Raises :class:`ApplicabilityMistake` with every mistake there is."""
    if not isinstance(document, list):
        raise ApplicabilityMistake("applicability.yaml is a list with one entry a control")
    wrong = [mistake for position, given in enumerate(document, 1) for mistake in _mistakes(position, given)]
    if not wrong:
        named = [given["control"] for given in document]
        wrong += [f"{number} is missing" for number in CONTROLS if number not in named]
        wrong += [f"{number} stands there more than once" for number in CONTROLS if named.count(number) > 1]
    if wrong:
        raise ApplicabilityMistake("applicability.yaml:\n" + "\n".join(f"  - {mistake}" for mistake in wrong))
    entries = {given["control"]: _entry(given) for given in document}
    return tuple(entries[number] for number in CONTROLS)


def _entry(given: dict[str, Any]) -> Entry:
    return Entry(
        control=CONTROLS[given["control"]],
        applicable=given["applicable"],
        reason=given["reason"].strip(),
        manual=given.get("manual", "").strip(),
        inherited=given.get("inherited", "").strip(),
        see=tuple(given.get("see", ())),
    )


def _mistakes(position: int, given: Any) -> list[str]:
    if not isinstance(given, dict) or given.get("control") not in CONTROLS:
        return [f'entry {position} names no control of Annex A; write the number as a text, such as "8.24"']
    where = given["control"]
    wrong = [f"{where}: {str(key)[:40]!r} is no key; they are {', '.join(KEYS)}" for key in given if key not in KEYS]
    wrong += [f"{where}: {key} is a text" for key in ("reason", "manual", "inherited") if not _is_text(given.get(key, "-"))]
    if not _is_text(given.get("reason")):
        wrong.append(f"{where}: reason is missing")
    if not isinstance(given.get("applicable"), bool):
        wrong.append(f"{where}: applicable is yes or no")
    if not isinstance(given.get("see", []), list) or not all(_is_text(place) for place in given.get("see", [])):
        wrong.append(f"{where}: see is a list of files")
    by_hand = CONTROLS[where].theme in (Theme.ORGANISATIONAL, Theme.PEOPLE)
    if given.get("applicable") is True and by_hand and not given.get("manual"):
        wrong.append(f"{where}: manual is missing; a scan never shows that people follow a process")
    return wrong


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
