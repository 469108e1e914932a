"""Findings for a person: what is wrong first in each place, with evidence and remedy; what is well, in a line. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from app.doctor.finding import Examination, Finding, Severity, exit_status

WIDTH: Final = 118
INDENT: Final = " " * 23
_GRAVEST_FIRST: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE, Severity.OK)
_SHOWN: Final = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.NOTE: "note", Severity.OK: "ok"}

# Two places say the same where these are the same; the evidence may differ by a millisecond.
Key = tuple[str, Severity, str]


def as_json(examinations: Sequence[Examination]) -> str:
    document = {"status": exit_status(examinations), "places": [one.as_json() for one in examinations]}
    return json.dumps(document, ensure_ascii=False, indent=2)


def as_text(examinations: Sequence[Examination], *, everything: bool = False) -> str:
    """``everything``: what is well with its evidence too. What is wrong in several places is told once, with their names."""
    places: dict[Key, list[str]] = {}
    for one in examinations:
        for finding in one.findings:
            where = places.setdefault(_key(finding), [])
            where += [one.place] if one.place not in where else []
    return "\n\n".join([*(_place(one, places, everything=everything) for one in examinations), _summary(examinations)])


def _key(finding: Finding) -> Key:
    return finding.check, finding.severity, finding.what


def _place(one: Examination, places: Mapping[Key, Sequence[str]], *, everything: bool) -> str:
    lines = [one.place]
    # sorted() keeps the order of the checks among those that are as grave.
    for finding in sorted(one.findings, key=lambda finding: _GRAVEST_FIRST.index(finding.severity)):
        first, *others = places[_key(finding)]
        if finding.severity is Severity.OK:
            lines += _finding(finding) if everything else []
        elif first == one.place:
            lines += _finding(finding, others)
    for check, why in (one.unseen or {}).items():
        lines += _wrapped(f"  {'NOT SEEN':<8} {check:<11} ", _printable(f"The doctor could not look: {why}"))
    if one.left_out:
        lines += _wrapped(INDENT, "Left out: " + ", ".join(f"{name} ({why})" for name, why in one.left_out.items()))
    if not everything:
        lines += _well(one)
    return "\n".join(lines)


def _well(one: Examination) -> list[str]:
    """The checks that found nothing wrong."""
    wrong = {finding.check for finding in one.findings if finding.severity in (Severity.ERROR, Severity.WARNING)}
    well = [check for check in dict.fromkeys(finding.check for finding in one.findings) if check not in wrong]
    return _wrapped(f"  {'ok':<8} ", ", ".join(well)) if well else []


def _finding(finding: Finding, others: Sequence[str] = ()) -> list[str]:
    head = f"  {_SHOWN[finding.severity]:<8} {finding.check:<11} "
    if finding.severity is Severity.OK:
        return _wrapped(head, _printable(f"{finding.what}: {finding.evidence}" if finding.evidence else finding.what))
    lines = _wrapped(head, _printable(finding.what) + (f" (also {', '.join(others)})." if others else "."))
    if finding.evidence:
        lines += _wrapped(f"{INDENT}seen: ", _printable(finding.evidence))
    if finding.remedy:
        lines += _wrapped(f"{INDENT}do:   ", _printable(finding.remedy))
    return lines


def _wrapped(head: str, text: str) -> list[str]:
    """Addresses and commands are not broken: they are copied."""
    lines = textwrap.wrap(text, WIDTH - len(head), break_long_words=False, break_on_hyphens=False) or [""]
    return [(head if number == 0 else " " * len(head)) + line for number, line in enumerate(lines)]


def _printable(text: str) -> str:
    """What a server has said moves no terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _summary(examinations: Sequence[Examination]) -> str:
    """Counts what was told, so what several places say counts once."""
    told = {_key(finding) for one in examinations for finding in one.findings}
    words = ((Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.NOTE, "note"))
    counted = {word: sum(1 for _, severity, _ in told if severity is kind) for kind, word in words}
    unseen = sum(len(one.unseen or {}) for one in examinations)
    parts = [_many(number, word) for word, number in counted.items() if number]
    if unseen:
        parts.append(f"{_many(unseen, 'check')} that could not be carried out")
    if counted["error"] or counted["warning"] or unseen:
        return f"{', '.join(parts)}."
    return f"Nothing is wrong{f' ({parts[0]})' if parts else ''}."


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
