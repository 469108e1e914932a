"""``python -m policies.evidence`` as a pipeline calls it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from evidence.recorded import DAY, RESOURCES, record_of, seen, urn

from policies import record
from policies.evaluation import Result
from policies.evidence.__main__ import CHECKOUT, main
from policies.pack import ALL_RULES
from policies.rule import Outcome

GRAVE = next(rule for rule in ALL_RULES if rule.is_grave)
LESSER = next(rule for rule in ALL_RULES if not rule.is_grave)
PASSED = Result(GRAVE.id, RESOURCES[0].resource.urn, Outcome.PASS)


def written(folder: Path, *results: Result) -> Path:
    file = folder / "record.json"
    record.write(record_of(results=(PASSED, *results)), file)
    return file


def run(file: Path, checkout: Path, out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "policies.evidence",
        "--record",
        str(file),
        "--out",
        str(out),
        "--repository",
        str(checkout),
    ]
    return subprocess.run(command, cwd=CHECKOUT, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_two_runs_in_other_places_times_and_languages_write_the_same_bytes(tmp_path: Path, checkout: Path) -> None:
    file = written(tmp_path, Result(GRAVE.id, urn("t", "é"), Outcome.FAIL, ("ü",)))
    one, other = tmp_path / "one", tmp_path / "deep" / "other"
    first = run(file, checkout, one, PYTHONHASHSEED="1", TZ="Pacific/Kiritimati", LC_ALL="C")
    second = run(file, checkout, other, PYTHONHASHSEED="2", TZ="America/Adak", LC_ALL="C.UTF-8", PYTHONUTF8="0")

    assert (first.returncode, second.returncode) == (1, 1), first.stderr + second.stderr
    contents = [{each.name: each.read_bytes() for each in folder.iterdir()} for folder in (one, other)]
    assert contents[0] == contents[1]
    assert len(contents[0]) > 20


@pytest.mark.parametrize(
    ("rule", "outcome", "waiver", "code"),
    [
        (GRAVE.id, Outcome.PASS, "", 0),
        (LESSER.id, Outcome.FAIL, "", 1),
        (GRAVE.id, Outcome.FAIL, "OPS-1", 0),
        (GRAVE.id, Outcome.UNDETERMINED, "", 1),
        (LESSER.id, Outcome.UNDETERMINED, "", 0),
    ],
)
def test_the_exit_code_tells_a_pipeline_whether_something_stands(
    rule: str, outcome: Outcome, waiver: str, code: int, tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = () if outcome is Outcome.PASS else ("the reason",)
    file = written(tmp_path, Result(rule, urn("aws:s3/bucket:Bucket", "models"), outcome, reasons, waiver))

    assert main(["--record", str(file), "--out", str(tmp_path / "out"), "--repository", str(checkout)], {}) == code
    told = capsys.readouterr()
    assert f"25 files in {tmp_path / 'out'}" in told.out
    assert (f"{rule} on Bucket models: the reason" in told.out) is (code == 1)
    assert ("Not fit for a release" in told.err) is (code == 1)


def test_the_summary_says_when_stand_ins_answered(tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--record", str(written(tmp_path)), "--out", str(tmp_path / "out"), "--repository", str(checkout)], {})

    assert "as of 2026-11-25 (preview, with stand-ins in AWS' place)" in capsys.readouterr().out


def test_without_out_the_bundle_lies_where_git_ignores_it(tmp_path: Path, checkout: Path) -> None:
    main(["--record", str(written(tmp_path)), "--repository", str(checkout)], {})

    assert (checkout / ".state" / "evidence" / "prod" / "index.html").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [("{}", "is no record of a run of the policy pack"), ("no json", "is no record of a run of the policy pack")],
)
def test_a_file_that_is_no_record_is_refused_without_a_traceback(
    content: str, said: str, tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "record.json").write_text(content)

    assert main(["--record", str(tmp_path / "record.json"), "--repository", str(checkout)], {}) == 2
    assert said in capsys.readouterr().err


def test_a_record_of_nothing_is_refused(tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record.write(dataclasses.replace(record_of((), ()), stack=""), tmp_path / "record.json")

    assert main(["--record", str(tmp_path / "record.json"), "--repository", str(checkout)], {}) == 2
    assert "no resource with a URN" in capsys.readouterr().err


def exported(folder: Path, time: str) -> Path:
    """A state as `pulumi stack export` writes it, with a bucket and the mark of an encrypted secret."""
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc:def"}
    stack, bucket = (seen("pulumi:pulumi:Stack", "assistant-prod"), seen("aws:s3/bucket:Bucket", "models"))
    resources = [
        {"urn": stack.resource.urn, "type": stack.resource.type, "custom": False},
        {
            "urn": bucket.resource.urn,
            "type": bucket.resource.type,
            "custom": True,
            "id": "models",
            "inputs": {"bucket": "models", "password": secret},
            "outputs": {"bucket": "models", "password": secret},
        },
    ]
    file = folder / "exported.json"
    file.write_text(json.dumps({"version": 3, "deployment": {"manifest": {"time": time}, "resources": resources}}))
    return file


@pytest.mark.parametrize(
    ("updated", "day"),
    [("2026-11-24T08:00:00Z", "2026-11-24"), ("2025-01-01T08:00:00Z", "2026-11-20")],
    ids=["updated after the commit", "updated long before"],
)
def test_an_exported_state_is_judged_as_of_its_update_or_the_commit(
    updated: str, day: str, tmp_path: Path, checkout: Path
) -> None:
    out = tmp_path / "out"
    state = exported(tmp_path, updated)

    main(["--stack", "prod", "--state", str(state), "--out", str(out), "--repository", str(checkout)], {})
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["day"], manifest["source"], manifest["standIns"]) == (day, "state", False)
    assert not [file for file in out.iterdir() if b"v1:abc:def" in file.read_bytes()]


def test_the_record_of_a_state_stays_beside_the_bundle_which_names_its_digest(tmp_path: Path, checkout: Path) -> None:
    main(["--stack", "prod", "--state", str(exported(tmp_path, f"{DAY}T00:00:00Z")), "--repository", str(checkout)], {})
    place = checkout / ".state" / "evidence"
    manifest = json.loads((place / "prod" / "manifest.json").read_text())

    assert manifest["record"]["sha256"] == hashlib.sha256((place / "prod.record.json").read_bytes()).hexdigest()


def test_a_state_of_another_stack_than_named_is_refused(
    tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = exported(tmp_path, f"{DAY}T00:00:00Z")

    assert main(["--stack", "staging", "--state", str(state), "--repository", str(checkout)], {}) == 2
    assert "is of the stack prod, not staging" in capsys.readouterr().err


def test_a_state_without_resources_is_refused(tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "exported.json").write_text(json.dumps({"version": 3, "deployment": {"manifest": {}}}))

    assert main(["--state", str(tmp_path / "exported.json"), "--repository", str(checkout)], {}) == 2
    assert "is no exported state" in capsys.readouterr().err


@pytest.mark.parametrize("environment", [{}, {"ASSISTANT_AWS_WORLD": "world.json"}], ids=["an account", "stand-ins"])
def test_a_state_says_that_stand_ins_made_it_where_they_are_at_work(
    environment: dict[str, str], tmp_path: Path, checkout: Path
) -> None:
    state = exported(tmp_path, f"{DAY}T00:00:00Z")

    main(["--stack", "prod", "--state", str(state), "--repository", str(checkout)], environment)
    manifest = json.loads((checkout / ".state" / "evidence" / "prod" / "manifest.json").read_text())
    assert manifest["standIns"] is bool(environment)


def test_a_record_of_no_day_is_refused(tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record.write(record_of(results=(PASSED,), day="yesterday"), tmp_path / "record.json")

    assert main(["--record", str(tmp_path / "record.json"), "--repository", str(checkout)], {}) == 2
    assert "is of no day: 'yesterday'" in capsys.readouterr().err


def test_a_file_that_is_no_state_is_refused(tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "exported.json").write_text("[]")

    assert main(["--state", str(tmp_path / "exported.json"), "--repository", str(checkout)], {}) == 2
    assert "is no exported state" in capsys.readouterr().err
