"""What the engine's events say of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.rehearsal import runs


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:prod::assistant::assistant:aws:Storage${token}::{name}"


BUCKET, POLICY = urn("aws:s3/bucket:Bucket", "models"), urn("aws:iam/rolePolicy:RolePolicy", "rights")


def step(operation: str, of: str, kind: str = "resOutputsEvent") -> dict[str, Any]:
    return {kind: {"metadata": {"op": operation, "urn": of}}}


def test_what_holds_data_is_lost_by_a_replacement_or_a_deletion_and_by_nothing_else() -> None:
    assert runs.lost([("update", BUCKET), ("create", BUCKET), ("replace", POLICY), ("delete", POLICY)]) == []
    for operation in ("replace", "create-replacement", "delete-replaced", "delete"):
        assert runs.lost([(operation, BUCKET)]) == ["models (aws:s3/bucket:Bucket)"]


def test_steps_are_those_that_changed_something() -> None:
    events = [step("same", BUCKET), step("update", POLICY), step("read", BUCKET)]
    run = runs.Run(code=0, screen="", seconds=1, log=Path("log"), events=events)
    assert run.steps == [("update", POLICY)]
    assert run.counted() == {"update": 1}


def test_progress_names_what_is_waited_for() -> None:
    events = [step("create", BUCKET, "resourcePreEvent"), step("create", POLICY, "resourcePreEvent"), step("create", POLICY)]
    assert runs.progress(events) == "1 resources; waiting for models"
    assert runs.failed([step("create", POLICY, "resOpFailedEvent")]) == [POLICY]


def test_each_violation_is_told_once_under_its_level() -> None:
    said = {"policyName": "no-public", "resourceUrn": BUCKET, "message": "it is\nopen", "enforcementLevel": "mandatory"}
    assert runs.violations([{"policyEvent": said}, {"policyEvent": said}]) == {"mandatory": ["no-public: models: it is open"]}


def test_a_half_written_event_is_left_for_later(tmp_path: Path) -> None:
    log = tmp_path / "events.json"
    log.write_text(json.dumps(step("same", BUCKET)) + "\n" + '{"resOutp', encoding="utf-8")
    assert runs.read_events(log) == [step("same", BUCKET)]
    assert runs.read_events(tmp_path / "none") == []
