"""What a preview is going to do, read from what the real engine wrote down of two previews of this project's own stacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi.runtime.rpc import UNKNOWN
from reviews_at_hand import MODELS, recorded

from tools.review.changes import Change, Kind, changes_in, refused_in, unprotected_in


def by_name(changes: tuple[Change, ...]) -> dict[str, Change]:
    return {change.name: change for change in changes}


def update(old: Any, new: Any, path: str, **more: Any) -> list[dict[str, Any]]:
    """One update of one property, as the engine tells it."""
    inputs = {"old": {"inputs": old}, "new": {"inputs": new}}
    return [{"resourcePreEvent": {"metadata": {"op": "update", "urn": MODELS, "detailedDiff": {path: {}}, **inputs, **more}}}]


def lines(old: Any, new: Any, path: str = "value") -> tuple[str, ...]:
    ((change,),) = [changes_in(update(old, new, path))]
    return change.properties[0].lines


def test_a_replacement_is_one_change_that_says_what_replaces_and_what_becomes_of_it() -> None:
    changes = by_name(changes_in(recorded("bucket_renamed")))
    bucket = changes["storage-models-bucket"]
    assert (bucket.kind, bucket.type) == (Kind.REPLACE, "aws:s3/bucket:Bucket")
    (entry,) = bucket.properties
    assert (entry.path, entry.replaces) == ("bucket", True)
    assert entry.lines == (
        '- "assistant-staging-models-123456789012-eu-central-1"',
        '+ "assistant-staging-weights-123456789012-eu-central-1"',
    )


def test_an_update_is_told_property_by_property_and_replaces_nothing() -> None:
    changes = by_name(changes_in(recorded("protected")))
    redis = changes["redis-cluster"]
    assert redis.kind is Kind.UPDATE
    assert {(entry.path, entry.replaces) for entry in redis.properties} == {("nodeType", False), ("numReplicasPerShard", False)}


def test_what_only_follows_from_another_change_is_known_after_the_update() -> None:
    policy = by_name(changes_in(recorded("bucket_renamed")))["storage-models-policy"]
    bucket = next(entry for entry in policy.properties if entry.path == "bucket")
    document = next(entry for entry in policy.properties if entry.path == "policy")
    assert bucket.lines[1] == "+ (known after the update)"
    assert document.lines[0].endswith(" lines)"), "a whole document that goes is not listed line by line"


def test_what_is_left_alone_is_no_change() -> None:
    assert (
        changes_in([{"resourcePreEvent": {"metadata": {"op": op, "urn": MODELS}}} for op in ("same", "read", "refresh")]) == ()
    )


def test_a_protected_resource_is_known_and_the_engines_refusal_is_told_without_its_last_word() -> None:
    events = recorded("protected")
    assert by_name(changes_in(events))["storage-models-bucket"].protected
    (refusal,) = refused_in(events)
    assert "protect" in refusal
    assert "storage-models-bucket" in refusal


def test_a_resource_that_loses_its_protection_is_told_though_nothing_else_of_it_changes() -> None:
    def step(old: bool, new: bool) -> dict[str, Any]:
        return {
            "resourcePreEvent": {"metadata": {"op": "same", "urn": MODELS, "old": {"protect": old}, "new": {"protect": new}}}
        }

    assert unprotected_in([step(True, False)]) == (MODELS,)
    assert unprotected_in([step(True, True), step(False, True), step(False, False)]) == ()


def test_of_a_long_document_the_lines_that_differ_are_told() -> None:
    def policy(action: str) -> str:
        return json.dumps({"Statement": [{"Effect": "Allow", "Action": [action], "Resource": "arn:aws:s3:::models/*"}]})

    told = lines({"value": policy("s3:GetObject")}, {"value": policy("s3:*")})
    assert '-     "s3:GetObject"' in told
    assert '+     "s3:*"' in told
    assert not [line for line in told if "Resource" in line]


def test_a_path_leads_through_lists_and_quoted_keys() -> None:
    old = {"spec": {"rules": [{"a.b/c": 1}]}}
    assert lines(old, {"spec": {"rules": [{"a.b/c": 2}]}}, 'spec.rules[0]["a.b/c"]') == ("- 1", "+ 2")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"value": "[secret]"}, {"value": "[secret]"}),
        ({"value": "ghp_" + "A1b2" * 9}, {"value": "ghp_" + "C3d4" * 9}),
        ({"value": {"password": "hunter2hunter2"}}, {"value": {"password": "correct horse battery"}}),
    ],
)
def test_no_secret_is_told_whether_it_is_marked_or_only_looks_like_one(old: Any, new: Any) -> None:
    told = "\n".join(lines(old, new))
    assert not any(secret in told for secret in ("A1b2", "C3d4", "hunter2", "battery"))


def test_a_value_inside_one_that_is_unknown_is_unknown() -> None:
    assert lines({"value": {"id": "vpc-1"}}, {"value": UNKNOWN}, "value.id") == ('- "vpc-1"', "+ (known after the update)")
    assert lines({"value": "x"}, {"value": f"arn:{UNKNOWN}/*"}) == ('- "x"', "+ (known after the update)")


def test_properties_that_the_provider_does_not_detail_are_told_by_name() -> None:
    broad = {"detailedDiff": None, "diffs": ["metadata", "spec"], "keys": ["metadata.name"]}
    (change,) = changes_in(update({}, {}, "unused", **broad))
    assert {(entry.path, entry.replaces) for entry in change.properties} == {("metadata.name", True), ("spec", False)}
