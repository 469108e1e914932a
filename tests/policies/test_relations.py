"""Which resource a property means: by value, by the engine's edges, or nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest

from policies.relations import IDENTITIES, meaning, means, meant, texts_of
from policies.resource import Resource, Stack
from policies.values import UNKNOWN, Secret

BUCKET, POLICY = "aws:s3/bucket:Bucket", "aws:s3/bucketPolicy:BucketPolicy"


def resource(name: str, kind: str = BUCKET, edges: dict[str, tuple[str, ...]] | None = None, /, **properties: Any) -> Resource:
    return Resource(
        urn=f"urn:pulumi:prod::assistant::{kind}::{name}",
        type=kind,
        name=name,
        properties=properties,
        property_dependencies=edges or {},
    )


AUDIT = resource("audit", id="assistant-audit", arn="arn:aws:s3:::assistant-audit")
NEW = resource("new", id=UNKNOWN, arn=UNKNOWN)


def child(value: Any, *edges: Resource) -> Resource:
    return resource("policy", POLICY, {"bucket": tuple(each.urn for each in edges)} if edges else {}, bucket=value)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_an_identifier_of_the_targets_names_it(identity: str) -> None:
    target = resource("target", **{identity: "the-one"})
    assert means(child("the-one"), "bucket", target) is True
    assert means(child("another"), "bucket", target) is False


def test_the_identities_are_outputs_by_which_resources_are_named() -> None:
    assert set(IDENTITIES) == {"id", "arn", "name", "bucket", "url", "keyId", "keyArn", "targetKeyId"}
    assert means(child("a-description"), "bucket", resource("target", description="a-description")) is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("assistant-audit", True),
        (Secret("assistant-audit"), True),
        (["other", "assistant-audit"], True),
        ({"a": {"b": ["arn:aws:s3:::assistant-audit"]}}, True),
        (["other", UNKNOWN, "assistant-audit"], True),
        ("assistant-audit-2", False),
        (["other"], False),
        ([], False),
        ({}, False),
        (None, False),
        (7, False),
        (UNKNOWN, None),
        (Secret(UNKNOWN), None),
        (["other", UNKNOWN], None),
        ({"a": UNKNOWN, "b": "other"}, None),
    ],
)
def test_without_edges_the_value_decides(value: Any, expected: bool | None) -> None:
    assert means(child(value), "bucket", AUDIT) is expected


def test_an_edge_decides_where_the_value_is_unknown() -> None:
    assert means(child(UNKNOWN, NEW), "bucket", NEW) is True
    assert means(child(UNKNOWN, AUDIT), "bucket", NEW) is False
    assert means(child([UNKNOWN], NEW, AUDIT), "bucket", AUDIT) is True


def test_an_edge_of_another_property_says_nothing() -> None:
    other = resource("policy", POLICY, {"policy": (NEW.urn,)}, bucket=UNKNOWN)
    assert means(other, "bucket", NEW) is None


def test_a_known_value_is_not_that_of_a_target_that_has_no_identifier_yet() -> None:
    assert means(child("assistant-audit"), "bucket", NEW) is False


def test_an_edge_stands_beside_a_value_that_was_made_of_the_target() -> None:
    assert means(child("arn:aws:s3:::assistant-audit/*", AUDIT), "bucket", AUDIT) is True


def test_a_property_that_is_absent_means_nothing_whatever_its_edges() -> None:
    assert means(child(None, NEW), "bucket", NEW) is False


def test_meaning_has_all_that_cannot_be_told_not_to_and_meant_those_that_surely_are() -> None:
    ours, unclear, others = child("assistant-audit"), child(UNKNOWN), child("another")
    stack = Stack((AUDIT, NEW, ours, unclear, others))
    assert meaning(stack, [POLICY], "bucket", AUDIT) == [ours, unclear]
    assert meaning(stack, [BUCKET], "bucket", AUDIT) == []
    assert meant(stack, ours, "bucket", [BUCKET]) == [AUDIT]
    assert meant(stack, unclear, "bucket", [BUCKET]) == []
    assert meant(stack, child(UNKNOWN, NEW), "bucket", [BUCKET, POLICY]) == [NEW]


def test_texts_are_found_wherever_they_stand() -> None:
    assert texts_of({"a": ["x", {"b": Secret("y")}], "c": UNKNOWN, "d": 7}) == {"x", "y"}
