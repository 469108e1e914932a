"""What the doctor says: a finding, how grave it is, and the exit status that follows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

SHORTEST_SECRET: Final = 6  # characters; a shorter one would be taken out of ordinary words
HIDDEN: Final = "[secret]"


class Severity(StrEnum):
    OK = "ok"
    NOTE = "note"  # worth knowing; nothing is broken
    WARNING = "warning"  # works, and will not for long, or not for everybody
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``what`` is a sentence, ``evidence`` what was seen, ``remedy`` what to do. None holds a secret or message text."""

    check: str
    severity: Severity
    what: str
    evidence: str = ""
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Of one process. ``unseen``: by check, why the doctor could not look; ``left_out``: by check, the library that lacks."""

    place: str
    findings: tuple[Finding, ...] = ()
    unseen: Mapping[str, str] | None = None
    left_out: Mapping[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "place": self.place,
            "findings": [finding.as_json() for finding in self.findings],
            "unseen": dict(self.unseen or {}),
            "left_out": dict(self.left_out or {}),
        }


def from_json(value: Mapping[str, Any]) -> Examination:
    """What :meth:`Examination.as_json` gave. Raises :class:`ValueError`, :class:`KeyError` or :class:`TypeError`."""
    findings = tuple(Finding(**{**one, "severity": Severity(one["severity"])}) for one in value["findings"])
    return Examination(
        place=str(value["place"]), findings=findings, unseen=dict(value["unseen"]), left_out=dict(value["left_out"])
    )


def ok(check: str, what: str, evidence: str = "") -> Finding:
    return Finding(check=check, severity=Severity.OK, what=what, evidence=evidence)


def note(check: str, what: str, evidence: str = "", remedy: str = "") -> Finding:
    return Finding(check=check, severity=Severity.NOTE, what=what, evidence=evidence, remedy=remedy)


def warning(check: str, what: str, evidence: str = "", remedy: str = "") -> Finding:
    return Finding(check=check, severity=Severity.WARNING, what=what, evidence=evidence, remedy=remedy)


def error(check: str, what: str, evidence: str = "", remedy: str = "") -> Finding:
    return Finding(check=check, severity=Severity.ERROR, what=what, evidence=evidence, remedy=remedy)


def exit_status(examinations: Iterable[Examination]) -> int:
    """2 where something is broken, 3 where nothing is and the doctor could not look at something, 1 for warnings, else 0."""
    examined = tuple(examinations)
    found = {finding.severity for one in examined for finding in one.findings}
    if Severity.ERROR in found:
        return 2
    if not examined or any(one.unseen for one in examined):
        return 3
    return 1 if Severity.WARNING in found else 0


def without(secrets: Iterable[str], finding: Finding) -> Finding:
    """``finding`` with every secret taken out: no check writes one, and what others say (a server's error) is not ours."""
    values = sorted({value for value in secrets if len(value) >= SHORTEST_SECRET}, key=len, reverse=True)

    def cleaned(text: str) -> str:
        for value in values:
            text = text.replace(value, HIDDEN)
        return text

    return replace(finding, what=cleaned(finding.what), evidence=cleaned(finding.evidence), remedy=cleaned(finding.remedy))
