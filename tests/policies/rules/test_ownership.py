"""Tags by every way in which they come, and what protects what holds data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from cases.ownership import DEFAULTS, OWN, PROVIDER

from policies.resource import Resource, Stack
from policies.rule import Outcome, Rule, Verdict, judge_stack
from policies.rules.ownership import RULES
from policies.values import UNKNOWN, Secret

BY_ID = {rule.id: rule for rule in RULES}
BUCKET = "aws:s3/bucket:Bucket"
HOLD_DATA = (
    "aws:s3/bucket:Bucket",
    "aws:s3/bucketV2:BucketV2",
    "aws:kms/key:Key",
    "aws:kms/replicaKey:ReplicaKey",
    "aws:secretsmanager/secret:Secret",
    "aws:backup/vault:Vault",
    "aws:memorydb/cluster:Cluster",
    "aws:elasticache/cluster:Cluster",
    "aws:elasticache/replicationGroup:ReplicationGroup",
    "aws:ebs/volume:Volume",
    "aws:efs/fileSystem:FileSystem",
    "aws:opensearch/domain:Domain",
    "aws:kinesis/stream:Stream",
    "aws:msk/cluster:Cluster",
    "aws:eks/cluster:Cluster",
    "aws:rds/instance:Instance",
    "aws:rds/cluster:Cluster",
    "aws:docdb/cluster:Cluster",
    "aws:neptune/cluster:Cluster",
    "aws:dynamodb/table:Table",
    "aws:cognito/userPool:UserPool",
    "kubernetes:core/v1:PersistentVolumeClaim",
)


def resource(kind: str, properties: Mapping[str, Any], name: str = "it", **options: Any) -> Resource:
    return Resource(urn=f"urn:pulumi:prod::assistant::{kind}::{name}", type=kind, name=name, properties=properties, **options)


def provider(defaults: Any) -> Resource:
    return resource("pulumi:providers:aws", {"defaultTags": defaults}, "provider")


def of(rule: Rule, *resources: Resource, production: bool = True) -> dict[str, Verdict]:
    stack = Stack(resources, production=production)
    return {each.urn.rpartition("::")[2]: each.verdict for relation in rule.relations for each in judge_stack(relation, stack)}


def tagged(properties: Mapping[str, Any], *others: Resource, **options: Any) -> Outcome:
    return of(BY_ID["R01"], resource(BUCKET, properties, **options), *others)["it"].outcome


def test_what_takes_no_tags_and_what_is_not_of_aws_is_left_alone() -> None:
    others = [resource(kind, {}) for kind in ("aws:s3/bucketPolicy:BucketPolicy", "kubernetes:core/v1:Pod", "assistant:aws:X")]
    assert of(BY_ID["R01"], *others, provider(None)) == {}


def test_tags_of_its_own_are_enough() -> None:
    assert tagged({"tags": OWN}) is Outcome.PASS
    assert tagged({"tags": {**OWN, "Owner": UNKNOWN}}) is Outcome.PASS  # it is there, whoever it will be
    assert tagged({"tags": {**OWN, "Owner": Secret("ada")}}) is Outcome.PASS
    assert tagged({}) is Outcome.FAIL
    assert tagged({"tags": {"owner": "a", "environment": "b", "dataclassification": "c"}}) is Outcome.FAIL


def test_own_tags_and_the_providers_add_up_and_the_own_ones_win() -> None:
    half = provider('{"tags": {"Environment": "prod", "DataClassification": "internal"}}')
    assert tagged({"tags": {"Owner": "a"}}, half, provider=PROVIDER) is Outcome.PASS
    assert tagged({"tags": {"Owner": "a", "Environment": ""}}, half, provider=PROVIDER) is Outcome.FAIL
    assert tagged({}, half, provider=PROVIDER) is Outcome.FAIL


@pytest.mark.parametrize("reference", [PROVIDER, f"{PROVIDER}::0d3f"])
def test_a_provider_is_found_by_its_urn_with_or_without_its_id(reference: str) -> None:
    assert tagged({}, provider(DEFAULTS), provider=reference) is Outcome.PASS
    assert tagged({}, provider({"tags": OWN}), provider=reference) is Outcome.PASS


@pytest.mark.parametrize(
    ("others", "options"),
    [
        ((), {"provider": PROVIDER}),  # an update of some resources alone
        ((provider(UNKNOWN),), {"provider": PROVIDER}),
    ],
)
def test_defaults_that_are_not_seen_may_carry_what_is_missing(others: tuple[Resource, ...], options: dict[str, str]) -> None:
    assert tagged({}, *others, **options) is Outcome.UNDETERMINED
    assert tagged({"tags": OWN}, *others, **options) is Outcome.PASS


def test_unknown_tags_of_its_own_may_carry_what_is_missing() -> None:
    assert tagged({"tags": UNKNOWN}) is Outcome.UNDETERMINED
    assert tagged({"tags": UNKNOWN}, provider(DEFAULTS), provider=PROVIDER) is Outcome.PASS


def test_what_the_provider_has_put_together_counts_alone() -> None:
    assert tagged({"tagsAll": OWN}) is Outcome.PASS
    assert tagged({"tagsAll": {"Owner": "a"}, "tags": OWN}) is Outcome.FAIL
    assert tagged({"tagsAll": {}, "tags": OWN}) is Outcome.PASS  # not filled in yet
    assert tagged({"tagsAll": UNKNOWN, "tags": OWN}) is Outcome.PASS


@pytest.mark.parametrize("defaults", ["no JSON", [[1]], {"tags": [1]}, '{"tags": 7}', "[]"])
def test_defaults_that_cannot_be_read_are_a_finding(defaults: Any) -> None:
    verdict = of(BY_ID["R01"], resource(BUCKET, {}, provider=PROVIDER), provider(defaults))["it"]
    assert verdict.outcome is Outcome.FAIL
    assert "was expected" in verdict.reasons[0]


def test_a_scaling_group_has_a_list_of_its_own_which_no_default_reaches() -> None:
    kind = "aws:autoscaling/group:Group"
    for tags, outcome in (
        ([{"key": key, "value": value} for key, value in OWN.items()], Outcome.PASS),
        ([{"key": "Owner", "value": "a"}], Outcome.FAIL),
        (None, Outcome.FAIL),
        (UNKNOWN, Outcome.UNDETERMINED),
    ):
        group = resource(kind, {"tags": tags}, provider=PROVIDER)
        assert of(BY_ID["R01"], group, provider(DEFAULTS))["it"].outcome is outcome


def test_which_tags_is_the_configurations_to_say() -> None:
    rule = BY_ID["R01"]
    assert rule.configure
    wanted = rule.configure(rule, {"tags": ["CostCentre"]})
    assert of(wanted, resource(BUCKET, {"tags": {"CostCentre": "7"}}))["it"].outcome is Outcome.PASS
    assert "no tag CostCentre," in of(wanted, resource(BUCKET, {"tags": OWN}))["it"].reasons[0]
    assert of(rule.configure(rule, {}), resource(BUCKET, {"tags": OWN}))["it"].outcome is Outcome.PASS
    assert rule.schema["tags"]["default"] == ["Owner", "Environment", "DataClassification"]


@pytest.mark.parametrize("kind", HOLD_DATA)
def test_what_holds_data_is_protected_in_production_and_free_elsewhere(kind: str) -> None:
    bare, kept = resource(kind, {}), resource(kind, {}, protected=True)
    assert of(BY_ID["R12"], bare)["it"].outcome is Outcome.FAIL
    assert of(BY_ID["R12"], kept)["it"].outcome is Outcome.PASS
    assert of(BY_ID["R12"], bare, production=False) == {}


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("aws:eks/cluster:Cluster", {"deletionProtection": True}),
        ("aws:rds/instance:Instance", {"deletionProtection": True}),
        ("aws:rds/cluster:Cluster", {"deletionProtection": True}),
        ("aws:docdb/cluster:Cluster", {"deletionProtection": True}),
        ("aws:neptune/cluster:Cluster", {"deletionProtection": True}),
        ("aws:dynamodb/table:Table", {"deletionProtectionEnabled": True}),
        ("aws:cognito/userPool:UserPool", {"deletionProtection": "ACTIVE"}),
    ],
)
def test_a_service_that_refuses_to_delete_protects_as_well(kind: str, properties: dict[str, Any]) -> None:
    assert of(BY_ID["R12"], resource(kind, properties))["it"].outcome is Outcome.PASS
    later = dict.fromkeys(properties, UNKNOWN)
    assert of(BY_ID["R12"], resource(kind, later))["it"].outcome is Outcome.UNDETERMINED
    assert of(BY_ID["R12"], resource(kind, later, protected=True))["it"].outcome is Outcome.PASS


def test_a_service_whose_protection_the_rule_does_not_know_needs_the_option() -> None:
    assert of(BY_ID["R12"], resource("aws:s3/bucket:Bucket", {"deletionProtection": True}))["it"].outcome is Outcome.FAIL


def test_what_holds_no_data_is_not_asked() -> None:
    assert of(BY_ID["R12"], resource("aws:sns/topic:Topic", {})) == {}
