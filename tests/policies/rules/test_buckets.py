"""What the cases of the buckets' rules do not say: the older forms, edges in place of values, and what must pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases.buckets import ACCESSES, ACCOUNT, GOOD, KEY, MODELS, encryption, policy, tls_alone
from cases.theme import Theme

from policies.resource import Resource, Stack
from policies.rule import Outcome, Verdict, all_of, judge_stack
from policies.rules import RULES
from policies.values import UNKNOWN

ALL = {rule.id: rule for rule in RULES}
THEME = Theme(good=GOOD, cases={})
BUCKET = "aws:s3/bucket:Bucket"


def of(rule: str, stack: Stack, name: str = "models") -> Verdict:
    """What the rule says of the bucket of that name."""
    findings = [finding for relation in ALL[rule].relations for finding in judge_stack(relation, stack)]
    return all_of(finding.verdict for finding in findings if finding.urn.endswith(f"::{name}"))


def alone(properties: dict[str, Any], *, kind: str = BUCKET, **options: Any) -> Stack:
    urn = f"urn:pulumi:prod::assistant::{kind}::models"
    return Stack((Resource(urn=urn, type=kind, name="models", properties={"bucket": MODELS, **properties}, **options),))


def with_policy(*statements: dict[str, Any]) -> Stack:
    return THEME.stack(THEME.resource("models-policy", {"policy": policy(*statements)}))


@pytest.mark.parametrize("rule", ["R17", "R64", "R39", "R33", "R47", "R65"])
def test_a_bucket_without_any_setting_is_a_finding_and_a_stack_without_buckets_none(rule: str) -> None:
    assert of(rule, alone({})).outcome is Outcome.FAIL
    assert [found for relation in ALL[rule].relations for found in judge_stack(relation, Stack(()))] == []


def test_before_anything_exists_the_edges_say_which_sibling_is_whose() -> None:
    """As at a first preview: no sibling knows its bucket's identifier, the bucket nothing that the provider computes."""
    resources = []
    for name, good in GOOD.items():
        refers = {key: UNKNOWN for key in good.refers if key in ("bucket", "s3BucketName")}
        changes: dict[str, Any] = dict(refers)
        if "Encryption" in good.type and name != "access-logs-encryption":
            changes["rules/0/applyServerSideEncryptionByDefault/kmsMasterKeyId"] = UNKNOWN
        if good.type == BUCKET:
            computed = ("id", "arn", "versioning", "logging", "lifecycleRules", "serverSideEncryptionConfiguration", "policy")
            changes |= dict.fromkeys(computed, UNKNOWN)
        if name == "key":
            changes |= {"arn": UNKNOWN, "keyId": UNKNOWN}
        resources.append(THEME.resource(name, changes))
    stack = Stack(tuple(resources))
    for rule in ("R17", "R64", "R39", "R33", "R47", "R65", "R11"):
        for relation in ALL[rule].relations:
            assert {finding.verdict.outcome for finding in judge_stack(relation, stack)} == {Outcome.PASS}, rule


@pytest.mark.parametrize(
    ("rule", "sibling"),
    [("R17", "closed"), ("R64", "encryption"), ("R39", "versions"), ("R33", "lifecycle"), ("R65", "policy")],
)
def test_a_sibling_of_an_unknown_bucket_leaves_the_bucket_undetermined(rule: str, sibling: str) -> None:
    stack = THEME.stack(THEME.resource(f"models-{sibling}", {"bucket": UNKNOWN}, linked=False))
    verdict = of(rule, stack)
    assert verdict.outcome is Outcome.UNDETERMINED
    assert f"models-{sibling}" in verdict.reasons[0]


def test_of_two_siblings_each_must_be_good() -> None:
    second = replace(THEME.resource("models-versions", {"versioningConfiguration/status": "Suspended"}), name="second")
    good = THEME.stack()
    assert of("R39", Stack((*good.resources, second))).outcome is Outcome.FAIL


def test_what_stands_in_the_bucket_itself_counts_where_no_sibling_speaks() -> None:
    older = {
        "versioning": {"enabled": True},
        "serverSideEncryptionConfiguration": {
            "rule": {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY}}
        },
        "lifecycleRules": [
            {"enabled": True, "abortIncompleteMultipartUploadDays": 30, "noncurrentVersionExpiration": {"days": 1}}
        ],
        "logging": {"targetBucket": ACCESSES},
        "policy": policy(tls_alone(MODELS)),
    }
    for rule in ("R39", "R64", "R33", "R47", "R65"):
        assert of(rule, alone(older)).outcome is Outcome.PASS, rule
    worse = {
        "R39": {"versioning": {"enabled": False}},
        "R64": {
            "serverSideEncryptionConfiguration": {"rule": {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}}
        },
        "R33": {"lifecycleRules": [{**older["lifecycleRules"][0], "enabled": False}]},  # type: ignore[index]
        "R47": {"logging": {"targetPrefix": "x"}},
        "R65": {"policy": policy()},
    }
    for rule, changes in worse.items():
        assert of(rule, alone({**older, **changes})).outcome is Outcome.FAIL, rule
    assert of("R39", THEME.stack(THEME.resource("models", {"versioning": {"enabled": False}}))).outcome is Outcome.PASS


def test_the_second_version_of_the_types_counts_too() -> None:
    older = {
        "versionings": [{"enabled": True}],
        "serverSideEncryptionConfigurations": [
            {"rules": [{"applyServerSideEncryptionByDefaults": [{"sseAlgorithm": "aws:kms:dsse", "kmsMasterKeyId": KEY}]}]}
        ],
        "lifecycleRules": [
            {"enabled": True, "abortIncompleteMultipartUploadDays": 1, "expirations": [{"date": "2030-01-01"}]},
        ],
        "loggings": [{"targetBucket": ACCESSES}],
    }
    for rule in ("R39", "R64", "R33", "R47"):
        assert of(rule, alone(older, kind="aws:s3/bucketV2:BucketV2")).outcome is Outcome.PASS, rule
    versions = GOOD["models-versions"]
    sibling = Resource(
        urn="urn:pulumi:prod::assistant::x::v",
        type="aws:s3/bucketVersioningV2:BucketVersioningV2",
        name="v",
        properties=versions.properties,
    )
    stack = THEME.stack(without=("models-versions",))
    assert of("R39", Stack((*stack.resources, sibling))).outcome is Outcome.PASS


def test_an_inline_setting_that_was_computed_from_something_is_undetermined() -> None:
    unknown = alone({"versioning": UNKNOWN}, property_dependencies={"versioning": ("urn:pulumi:prod::assistant::x::y",)})
    assert of("R39", unknown).outcome is Outcome.UNDETERMINED
    assert of("R39", alone({"versioning": UNKNOWN})).outcome is Outcome.FAIL


def test_an_account_that_closes_all_buckets_closes_each() -> None:
    closed = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
    kind = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"

    def stack(properties: dict[str, Any]) -> Stack:
        account = Resource(urn=f"urn:pulumi:prod::assistant::{kind}::account", type=kind, name="account", properties=properties)
        return Stack((*alone({}).resources, account))

    assert of("R17", stack(closed)).outcome is Outcome.PASS
    for name in closed:
        assert of("R17", stack({**closed, name: False})).outcome is Outcome.FAIL


def test_amazons_own_key_is_enough_only_where_access_logs_are_delivered() -> None:
    assert of("R64", THEME.stack(), "access-logs").outcome is Outcome.PASS
    by_balancer = THEME.stack(without=("models-accesses", "records-accesses"))
    assert of("R64", by_balancer, "access-logs").outcome is Outcome.PASS
    by_buckets = THEME.stack(without=("balancer",))
    assert of("R64", by_buckets, "access-logs").outcome is Outcome.PASS
    nobodys = THEME.stack(without=("balancer", "models-accesses", "records-accesses"))
    assert of("R64", nobodys, "access-logs").outcome is Outcome.FAIL
    assert of("R47", nobodys, "access-logs").outcome is Outcome.FAIL


def test_a_key_of_somebody_elses_is_a_customers_key_by_its_arn_identifier_or_alias() -> None:
    path = "rules/0/applyServerSideEncryptionByDefault/kmsMasterKeyId"
    identifier = "0a1b2c3d-1111-2222-3333-444455556666"
    others = (
        f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{identifier}",
        f"arn:aws-us-gov:kms:us-gov-west-1:{ACCOUNT}:key/mrk-{'0a' * 16}",
        f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/ours",
        "alias/ours",
        identifier,
        f"mrk-{'0a' * 16}",
    )
    for key in others:
        stack = THEME.stack(THEME.resource("models-encryption", {path: key}, linked=False))
        assert of("R64", stack).outcome is Outcome.PASS, key
    for key in (f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/aws/s3", "alias/aws/ebs", "", "*", f"arn:aws:s3:::{MODELS}"):
        stack = THEME.stack(THEME.resource("models-encryption", {path: key}, linked=False))
        assert of("R64", stack).outcome is Outcome.FAIL, key


def test_an_unknown_key_that_comes_from_no_key_of_the_stack_is_undetermined() -> None:
    path = "rules/0/applyServerSideEncryptionByDefault/kmsMasterKeyId"
    encrypted = THEME.resource("models-encryption", {path: UNKNOWN})
    edges = {**encrypted.property_dependencies, "rules": (THEME.urn("records"),)}
    stack = THEME.stack(replace(encrypted, property_dependencies=edges))
    assert of("R64", stack).outcome is Outcome.UNDETERMINED


def test_every_rule_of_the_encryption_must_be_good() -> None:
    rules = [*encryption("aws:kms", KEY), *encryption("AES256")]
    assert of("R64", THEME.stack(THEME.resource("models-encryption", {"rules": rules}))).outcome is Outcome.FAIL


def test_a_lifecycle_may_end_things_in_one_rule_and_abort_uploads_in_another() -> None:
    uploads = {"status": "Enabled", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 1}}
    ends = {"status": "Enabled", "filter": {"prefix": "tmp/"}, "expiration": {"days": 1}}

    def judged(*rules: dict[str, Any]) -> Outcome:
        return of("R33", THEME.stack(THEME.resource("models-lifecycle", {"rules": list(rules)}))).outcome

    assert judged(uploads, ends) is Outcome.PASS
    assert judged(uploads) is Outcome.FAIL
    assert judged(ends) is Outcome.FAIL
    assert judged({**ends, **uploads}) is Outcome.FAIL  # of a part of the bucket alone
    assert judged({**uploads, "abortIncompleteMultipartUpload": {"daysAfterInitiation": 30}}, ends) is Outcome.PASS


@pytest.mark.parametrize(
    ("name", "is_audit"),
    [
        ("audit", True),
        ("acme-audit-logs", True),
        ("cloudtrail-1", True),
        ("auditorium", False),
        ("trailer", False),
        ("data", False),
    ],
)
def test_an_audit_bucket_is_known_by_its_name(name: str, is_audit: bool) -> None:
    urn = "urn:pulumi:prod::assistant::aws:s3/bucket:Bucket::models"
    for resource in (
        Resource(urn=urn, type=BUCKET, name=name, properties={}),
        Resource(urn=urn, type=BUCKET, name="models", properties={"bucket": name}),
    ):
        findings = [each for relation in ALL["R11"].relations for each in judge_stack(relation, Stack((resource,)))]
        assert [each.verdict.outcome for each in findings] == ([Outcome.FAIL] if is_audit else [])


def test_an_audit_bucket_is_known_by_who_delivers_to_it() -> None:
    channel = Resource(
        urn="urn:pulumi:prod::assistant::aws:cfg/deliveryChannel:DeliveryChannel::channel",
        type="aws:cfg/deliveryChannel:DeliveryChannel",
        name="channel",
        properties={"s3BucketName": MODELS},
    )
    stack = THEME.stack()
    assert of("R11", stack).outcome is Outcome.PASS  # nothing is said of the bucket of models
    assert of("R11", Stack((*stack.resources, channel))).outcome is Outcome.FAIL
    unknown = replace(channel, properties={"s3BucketName": UNKNOWN})
    assert of("R11", Stack((*stack.resources, unknown))).outcome is Outcome.FAIL


def test_a_lock_of_a_day_or_a_year_or_for_compliance_is_one() -> None:
    for retention in ({"mode": "COMPLIANCE", "days": 1}, {"mode": "GOVERNANCE", "years": 1}):
        stack = THEME.stack(
            THEME.resource("records-lock", {"rule": {"defaultRetention": retention}, "objectLockEnabled": "Enabled"})
        )
        assert of("R11", stack, "records").outcome is Outcome.PASS
    inline = {
        "objectLockConfiguration": {
            "objectLockEnabled": "Enabled",
            "rule": {"defaultRetention": {"mode": "COMPLIANCE", "years": 1}},
        }
    }
    assert of("R11", alone({**inline, "bucket": "audit"})).outcome is Outcome.PASS
    assert (
        of("R11", alone({"objectLockConfiguration": {"objectLockEnabled": "Enabled"}, "bucket": "audit"})).outcome
        is Outcome.FAIL
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": ["*"]}},
        {"Action": "*"},
        {"Action": "S3:*"},
        {"Resource": "*"},
        {"Resource": f"arn:aws:s3:::{MODELS}*"},
        {"Condition": {"Bool": {"AWS:SecureTransport": ["false"]}}},
        {"Condition": {"BoolIfExists": {"aws:SecureTransport": False}}},
    ],
)
def test_the_ways_to_deny_what_comes_in_plain_are_known(changes: dict[str, Any]) -> None:
    assert of("R65", with_policy(tls_alone(MODELS, **changes))).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "changes",
    [
        {"Principal": {"AWS": "123456789012"}},
        {"Principal": {"Service": "*"}},
        {"Action": ["s3:Get*"]},
        {"Resource": f"arn:aws:s3:::{MODELS}/?"},
        {"Resource": [f"arn:aws:s3:::{MODELS}", f"arn:aws:s3:::{MODELS}/*/c"]},
        {"Condition": {}},
        {"Condition": {"Null": {"aws:SecureTransport": "false"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": ["true", "false"]}}},
        {"Condition": {"Bool": {"aws:ViaAWSService": "false"}}},
    ],
)
def test_what_denies_less_than_all_that_comes_in_plain_is_a_finding(changes: dict[str, Any]) -> None:
    assert of("R65", with_policy(tls_alone(MODELS, **changes))).outcome is Outcome.FAIL


def test_nobody_may_be_excepted_from_tls() -> None:
    statement = tls_alone(MODELS)
    del statement["Principal"]
    verdict = of("R65", with_policy({**statement, "NotPrincipal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/a"}}))
    assert verdict.outcome is Outcome.FAIL


def test_several_statements_deny_together() -> None:
    halves = [tls_alone(MODELS, Resource=f"arn:aws:s3:::{MODELS}{rest}") for rest in ("", "/*")]
    assert of("R65", with_policy(*halves)).outcome is Outcome.PASS


def test_a_policy_that_is_declared_before_it_is_known_is_read() -> None:
    """The bucket's own identifier and that of its objects are not known; from the one bucket both come."""
    component = "urn:pulumi:prod::assistant::assistant:aws:PrivateBucket::models"

    def stack(resources: list[Any], edges: tuple[str, ...] = (THEME.urn("models"),)) -> Stack:
        declared = {"statements": {"models-policy": [tls_alone(MODELS, Resource=resources)]}}
        parent = Resource(urn=component, type="assistant:aws:PrivateBucket", name="models", properties=declared)
        unknown = THEME.resource("models-policy", {"policy": UNKNOWN}, parent=component)
        edges_of = {"bucket": (THEME.urn("models"),), "policy": edges}
        made = THEME.stack(replace(unknown, property_dependencies=edges_of))
        return Stack((*made.resources, parent))

    assert of("R65", stack([UNKNOWN, UNKNOWN])).outcome is Outcome.PASS
    assert of("R65", stack([UNKNOWN])).outcome is Outcome.FAIL
    assert of("R65", stack([UNKNOWN, UNKNOWN], (THEME.urn("models"), THEME.urn("records")))).outcome is Outcome.FAIL


def test_a_bucket_whose_name_aws_will_choose_is_undetermined_about_its_policy() -> None:
    nameless = THEME.resource("models", {"bucket": UNKNOWN, "id": UNKNOWN})
    assert of("R65", THEME.stack(nameless)).outcome is Outcome.UNDETERMINED


def test_the_finding_is_the_buckets_and_says_where_the_property_stands() -> None:
    stack = THEME.stack(THEME.resource("records-versions", {"versioningConfiguration/status": "Suspended"}))
    findings = [each for relation in ALL["R39"].relations for each in judge_stack(relation, stack)]
    found = [each for each in findings if each.verdict.outcome is Outcome.FAIL]
    assert [each.urn for each in found] == [THEME.urn("records")]
    assert found[0].verdict.reasons[0].startswith("records-versions: versioningConfiguration.status is Suspended")


@pytest.mark.parametrize(
    ("rule", "name", "kind"),
    [
        ("R64", "encryption", "ServerSideEncryptionConfiguration"),
        ("R33", "lifecycle", "LifecycleConfiguration"),
        ("R47", "accesses", "Logging"),
        ("R39", "versions", "Versioning"),
    ],
)
def test_siblings_of_the_second_version_count(rule: str, name: str, kind: str) -> None:
    held = f"models-{name}"
    second = replace(THEME.resource(held), type=f"aws:s3/bucket{kind}V2:Bucket{kind}V2")
    assert of(rule, Stack((*THEME.stack(without=(held,)).resources, second))).outcome is Outcome.PASS


def test_a_lock_of_the_second_version_counts() -> None:
    kind = "aws:s3/bucketObjectLockConfigurationV2:BucketObjectLockConfigurationV2"
    second = replace(THEME.resource("records-lock"), type=kind)
    assert of("R11", Stack((*THEME.stack(without=("records-lock",)).resources, second)), "records").outcome is Outcome.PASS


@pytest.mark.parametrize("rule", ["R17", "R64", "R39", "R33", "R47", "R65"])
def test_a_bucket_of_the_second_version_is_a_bucket(rule: str) -> None:
    assert of(rule, alone({}, kind="aws:s3/bucketV2:BucketV2")).outcome is Outcome.FAIL


@pytest.mark.parametrize("kind", ["aws:alb/loadBalancer:LoadBalancer", "aws:elb/loadBalancer:LoadBalancer"])
def test_every_kind_of_balancer_delivers_with_amazons_own_key(kind: str) -> None:
    balancer = replace(THEME.resource("balancer"), type=kind)
    stack = THEME.stack(without=("balancer", "models-accesses", "records-accesses"))
    assert of("R64", Stack((*stack.resources, balancer)), "access-logs").outcome is Outcome.PASS


def test_a_policy_in_the_bucket_counts_beside_policies_of_other_buckets() -> None:
    inline = THEME.resource("models", {"policy": policy(tls_alone(MODELS))})
    assert of("R65", THEME.stack(inline, without=("models-policy",))).outcome is Outcome.PASS
    assert of("R65", THEME.stack(without=("models-policy",))).outcome is Outcome.FAIL


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_the_policies_of_other_partitions_are_read(partition: str) -> None:
    resources = [f"arn:{partition}:s3:::{MODELS}", f"arn:{partition}:s3:::{MODELS}/*"]
    assert of("R65", with_policy(tls_alone(MODELS, Resource=resources))).outcome is Outcome.PASS


def test_a_bucket_is_known_by_its_identifier_where_it_has_no_name() -> None:
    assert of("R65", THEME.stack(THEME.resource("models", {"bucket": None}))).outcome is Outcome.PASS
    verdict = of("R65", THEME.stack(THEME.resource("models", {"bucket": None, "id": None})))
    assert verdict.outcome is Outcome.UNDETERMINED


def test_everybody_among_others_and_everything_among_actions_is_everybody_and_everything() -> None:
    principals = {"AWS": ["*", f"arn:aws:iam::{ACCOUNT}:role/a"]}
    several = tls_alone(MODELS, Principal=principals, Action=["s3:*", "s3:GetObject"])
    assert of("R65", with_policy(several)).outcome is Outcome.PASS


def test_logging_into_a_bucket_that_is_not_made_yet_is_logging() -> None:
    stack = THEME.stack(THEME.resource("models-accesses", {"targetBucket": UNKNOWN}))
    assert of("R47", stack).outcome is Outcome.PASS


def test_every_account_must_be_closed() -> None:
    closed = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
    kind = "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock"
    accounts = [
        Resource(urn=f"urn:pulumi:prod::assistant::{kind}::{name}", type=kind, name=name, properties=properties)
        for name, properties in (("one", closed), ("two", {}))
    ]
    assert of("R17", Stack((*alone({}).resources, *accounts))).outcome is Outcome.FAIL


def test_an_encryption_without_an_algorithm_is_a_finding() -> None:
    stack = THEME.stack(
        THEME.resource("models-encryption", {"rules/0/applyServerSideEncryptionByDefault": {"bucketKeyEnabled": True}})
    )
    verdict = of("R64", stack)
    assert verdict.outcome is Outcome.FAIL
    assert "sseAlgorithm is not set" in verdict.reasons[0]


def test_older_rules_of_a_lifecycle_are_narrowed_by_tags_and_end_old_versions() -> None:
    rule: dict[str, Any] = {
        "enabled": True,
        "abortIncompleteMultipartUploadDays": 1,
        "noncurrentVersionExpirations": [{"days": 1}],
    }
    kind = "aws:s3/bucketV2:BucketV2"
    assert of("R33", alone({"lifecycleRules": [rule]}, kind=kind)).outcome is Outcome.PASS
    assert of("R33", alone({"lifecycleRules": [{**rule, "tags": {"a": "b"}}]}, kind=kind)).outcome is Outcome.FAIL
