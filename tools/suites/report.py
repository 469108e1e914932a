"""What a suite's JUnit file says, reduced to the closing table."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree  # our own pytest wrote the file


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of one suite. ``seconds`` is wall-clock; ``skipped`` counts by reason."""

    suite: str
    seconds: float
    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        return self.failed == 0


def read_junit(file: Path, suite: str, seconds: float, exit_code: int) -> Outcome:
    """A suite that ended badly without a failing case (a crash, a usage error, no test at all) counts as one failure."""
    passed, failed, skipped = 0, 0, Counter[str]()
    if file.exists():
        for case in ElementTree.parse(file).getroot().iter("testcase"):  # noqa: S314
            skip = case.find("skipped")
            if skip is not None:
                skipped[_reason(skip.get("message") or "")] += 1
            elif case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            else:
                passed += 1
    if exit_code and not failed:
        failed = 1
    return Outcome(suite=suite, seconds=seconds, passed=passed, failed=failed, skipped=skipped)


def table(outcomes: list[Outcome]) -> str:
    """The closing table, its last line in the plain form that continuous integration reads."""
    lines = [f"{'suite':<22}{'seconds':>8}{'proved':>8}{'failed':>8}{'skipped':>9}"]
    lines += [f"{one.suite:<22}{one.seconds:>8.0f}{one.passed:>8}{one.failed:>8}{one.skipped.total():>9}" for one in outcomes]
    reasons = sum((one.skipped for one in outcomes), Counter[str]())
    if reasons:
        lines += ["", "skipped, and why"]
        lines += [f"{count:>5}  {reason}" for reason, count in reasons.most_common()]
    passed, failed = sum(one.passed for one in outcomes), sum(one.failed for one in outcomes)
    lines += ["", f"{passed} passed, {failed} failed, {reasons.total()} skipped"]
    return "\n".join(lines)


def _reason(message: str) -> str:
    return re.sub(r"\s+", " ", message).strip() or "no reason given"
