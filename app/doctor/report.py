"""Findings for a person: what is wrong first in each place, with evidence and remedy; what is well, a line each. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Final

from app.doctor.finding import Examination, Finding, Severity, exit_status

WIDTH: Final = 118
INDENT: Final = " " * 23
_GRAVEST_FIRST: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE, Severity.OK)
_SHOWN: Final = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.NOTE: "note", Severity.OK: "ok"}


def as_json(examinations: Sequence[Examination]) -> str:
    document = {"status": exit_status(examinations), "places": [one.as_json() for one in examinations]}
    return json.dumps(document, ensure_ascii=False, indent=2)


def as_text(examinations: Sequence[Examination]) -> str:
    return "\n\n".join([*(_place(one) for one in examinations), _summary(examinations)])


def _place(one: Examination) -> str:
    # sorted() keeps the order of the checks among those that are as grave.
    findings = sorted(one.findings, key=lambda finding: _GRAVEST_FIRST.index(finding.severity))
    lines = [one.place, *(line for finding in findings for line in _finding(finding))]
    for check, why in (one.unseen or {}).items():
        lines += _wrapped(f"  {'NOT SEEN':<8} {check:<11} ", f"The doctor could not look: {why}")
    if one.left_out:
        lines += _wrapped(
            f"  {'':<8} {'':<11} ", "Left out: " + ", ".join(f"{name} ({why})" for name, why in one.left_out.items())
        )
    return "\n".join(lines)


def _finding(finding: Finding) -> list[str]:
    head = f"  {_SHOWN[finding.severity]:<8} {finding.check:<11} "
    if finding.severity is Severity.OK:
        return _wrapped(head, _printable(f"{finding.what}: {finding.evidence}" if finding.evidence else finding.what))
    lines = _wrapped(head, _printable(finding.what) + ".")
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
    count = dict.fromkeys(Severity, 0)
    for one in examinations:
        for finding in one.findings:
            count[finding.severity] += 1
    unseen = sum(len(one.unseen or {}) for one in examinations)
    if not any((count[Severity.ERROR], count[Severity.WARNING], unseen)):
        noted = f", {_many(count[Severity.NOTE], 'note')}" if count[Severity.NOTE] else ""
        return f"Nothing is wrong: {count[Severity.OK]} things looked at are well{noted}."
    parts = [
        _many(number, word)
        for number, word in (
            (count[Severity.ERROR], "error"),
            (count[Severity.WARNING], "warning"),
            (count[Severity.NOTE], "note"),
        )
        if number
    ]
    parts += [f"{_many(unseen, 'check')} that could not be carried out"] if unseen else []
    return f"{', '.join(parts)}; {count[Severity.OK]} things are well."


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
