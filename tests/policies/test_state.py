"""An exported state as the rules see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policies import state
from policies.record import Seen
from policies.state import StateMistake
from policies.values import SECRET, SIGNATURE, UNKNOWN, Secret

URN = "urn:pulumi:prod::assistant::aws:s3/bucket:Bucket::audit"
KEY = "urn:pulumi:prod::assistant::aws:kms/key:Key::key"


def read(tmp_path: Path, *resources: Any) -> list[Seen]:
    file = tmp_path / "state.json"
    file.write_text(json.dumps({"version": 3, "deployment": {"resources": list(resources)}}))
    return state.read(file)


def test_a_resource_is_read_whole(tmp_path: Path) -> None:
    (seen,) = read(
        tmp_path,
        {
            "urn": URN,
            "type": "aws:s3/bucket:Bucket",
            "id": "assistant-audit",
            "inputs": {"bucket": "assistant-audit", "__defaults": ["x"]},
            "outputs": {"bucket": "assistant-audit", "arn": "arn:aws:s3:::assistant-audit", "days": 3},
            "parent": "urn:pulumi:prod::assistant::pulumi:pulumi:Stack::assistant-prod",
            "protect": True,
            "provider": "urn:pulumi:prod::assistant::pulumi:providers:aws::aws::0d3f",
            "dependencies": [KEY],
            "propertyDependencies": {"kmsKeyId": [KEY], "bucket": None},
            "ignoreChanges": ["tags"],
        },
    )
    resource = seen.resource
    assert (resource.urn, resource.type, resource.name) == (URN, "aws:s3/bucket:Bucket", "audit")
    assert resource.properties == {
        "bucket": "assistant-audit",
        "arn": "arn:aws:s3:::assistant-audit",
        "days": 3,
        "id": "assistant-audit",
    }
    assert seen.inputs == {"bucket": "assistant-audit"}
    assert resource.parent.endswith("Stack::assistant-prod")
    assert resource.provider.endswith("aws::0d3f")
    assert resource.protected
    assert resource.dependencies == (KEY,)
    assert resource.property_dependencies == {"kmsKeyId": (KEY,), "bucket": ()}
    assert resource.ignored_changes == ("tags",)


def test_what_a_resource_does_not_say_is_empty(tmp_path: Path) -> None:
    (seen,) = read(tmp_path, {"urn": URN, "type": "a"})
    assert (seen.resource.properties, seen.inputs) == ({}, {})
    assert (seen.resource.parent, seen.resource.provider, seen.resource.protected) == ("", "", False)
    assert (seen.resource.dependencies, seen.resource.property_dependencies) == ((), {})


def test_an_output_of_the_name_id_is_kept(tmp_path: Path) -> None:
    (seen,) = read(tmp_path, {"urn": URN, "type": "a", "id": "one", "outputs": {"id": "two"}})
    assert seen.resource.properties == {"id": "two"}


def test_what_is_about_to_be_deleted_is_left_out(tmp_path: Path) -> None:
    kept, gone = {"urn": URN, "type": "a"}, {"urn": KEY, "type": "b", "delete": True}
    assert [seen.resource.urn for seen in read(tmp_path, kept, gone)] == [URN]


@pytest.mark.parametrize("held", [{"ciphertext": "v1:abc"}, {"plaintext": '"hunter2"'}])
def test_a_secret_is_a_mark_round_what_nobody_opens(tmp_path: Path, held: dict[str, str]) -> None:
    (seen,) = read(tmp_path, {"urn": URN, "type": "a", "outputs": {"password": {SIGNATURE: SECRET, **held}}})
    secret = seen.resource.properties["password"]
    assert isinstance(secret, Secret)
    assert secret.value is UNKNOWN


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"no JSON",
        b"[]",
        b"{}",
        b'{"deployment": null}',
        b'{"deployment": {"resources": 7}}',
        b'{"deployment": {"resources": [7]}}',
        b'{"deployment": {"resources": [{"type": "a"}]}}',
        b'{"deployment": {"resources": [{"urn": "a", "type": "b", "outputs": [1]}]}}',
        b'{"deployment": {"resources": [{"urn": "a", "type": "b", "propertyDependencies": []}]}}'.replace(b"[]", b"[1]"),
        b'{"deployment": {"resources": [{"urn": "a", "type": "b", "outputs": '
        + b'{"x": ' * 2000
        + b"1"
        + b"}" * 2000
        + b"}]}}",
        b"\xff\xfe",
    ],
)
def test_a_file_that_is_no_state_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "state.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StateMistake) as mistake:
        state.read(file)
    assert f"{file} is no exported state" in str(mistake.value)
    assert "pulumi stack export --file state.json" in str(mistake.value)
