"""What is said of the policies at a preview's end."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from policies import record
from policies.evaluation import Result
from policies.rule import Outcome, Rule, Severity
from tools.stack.policy_results import STRICT, recorded, summary, told

CHECKOUT = Path(__file__).resolve().parents[3]
URN = "urn:pulumi:prod::assistant::aws:s3/bucket:Bucket::{}"


def rule(number: int, severity: Severity) -> Rule:
    words = {"name": "a-rule", "title": "t", "controls": ("8.24",), "remedy": "r", "link": "l"}
    return Rule(id=f"R{number:02}", severity=severity, **words)


RULES = {
    made.id: made
    for made in (rule(1, Severity.LOW), rule(2, Severity.HIGH), rule(3, Severity.CRITICAL), rule(4, Severity.MEDIUM))
}


def result(rule_id: str, outcome: Outcome, name: str = "audit", waiver: str = "") -> Result:
    return Result(rule_id, URN.format(name), outcome, () if outcome is Outcome.PASS else (f"{name} says why",), waiver)


def test_everything_that_passed_is_one_line() -> None:
    said = summary([result("R01", Outcome.PASS), result("R02", Outcome.PASS, "logs")], RULES, strict=False)
    assert said == (
        "Policies: 2 rules gave 2 verdicts: 0 failed, 0 waived, 0 undetermined, 0 of these by a critical or high rule."
    )


def test_grave_doubts_are_listed_and_others_counted() -> None:
    results = [
        result("R01", Outcome.UNDETERMINED),
        result("R04", Outcome.UNDETERMINED),
        result("R02", Outcome.UNDETERMINED, "logs"),
        Result("R03", "", Outcome.UNDETERMINED, ("one", "two")),
        result("R02", Outcome.FAIL, "models"),
        result("R03", Outcome.FAIL, "models", waiver="OPS-1"),
        result("R03", Outcome.UNDETERMINED, "audit", waiver="OPS-2"),
    ]
    lines = summary(results, RULES, strict=False).splitlines()
    assert lines[0].startswith("Policies: 4 rules gave 7 verdicts: 1 failed, 2 waived, 4 undetermined, 2 of these")
    assert lines[1:] == [
        "  - R02 logs: logs says why",
        "  - R03 the stack: one; two",
        "A strict preview (STRICT=1) stops at these; an update decides them.",
    ]
    assert summary(results, RULES, strict=True).endswith("They stop this strict preview.")


@pytest.mark.parametrize(("count", "more"), [(10, False), (11, True)])
def test_a_long_list_is_cut(count: int, more: bool) -> None:
    said = summary([result("R02", Outcome.UNDETERMINED, f"n{number}") for number in range(count)], RULES, strict=False)
    assert ("  - … and 1 more" in said) is more
    assert said.count("  - R02") == 10


def test_a_run_without_an_end_says_nothing_more(tmp_path: Path) -> None:
    assert told(tmp_path / "missing.json", strict=False) == ""


def test_what_a_run_has_recorded_is_told(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    run = {"source": "preview", "day": "2026-11-25", "version": "0.1.0", "stand_ins": True}
    record.write(record.of_run([], [result("R06", Outcome.UNDETERMINED)], **run), file)
    assert "1 of these by a critical or high rule" in told(file, strict=False)


def test_the_record_is_a_file_of_its_own_unless_one_is_named(make_engine, tmp_path: Path) -> None:
    engine = make_engine(environment={"A": "b"})
    with recorded(engine, strict=False) as (recording, file):
        assert recording.environment == {**engine.environment, record.VARIABLE: str(file)}
        file.write_text("{}")
    assert not file.exists()
    own = tmp_path / "own.json"
    named = dataclasses.replace(engine, environment={record.VARIABLE: str(own)})
    with recorded(named, strict=True) as (recording, file):
        assert (file, recording.environment[STRICT]) == (own, "1")


@pytest.mark.parametrize(("given", "last"), [([], "preview"), (["STRICT=1"], "--strict"), (["STRICT=0"], "preview")])
def test_make_hands_over_whether_the_preview_is_strict(tmp_path: Path, given: list[str], last: str) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nfor word; do last=$word; done\nprintf "%s" "$last"\n')
    python.chmod(0o755)
    (tmp_path / "Makefile").write_text((CHECKOUT / "Makefile").read_text().replace(": environment ##", ": ##"))
    done = subprocess.run(["make", "-s", "preview", *given], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, last), done.stderr
