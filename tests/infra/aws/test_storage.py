"""Buckets: what each of them is, and what differs between them."""

from __future__ import annotations

import json

import pytest
from aws_rendering import ACCOUNT, aws_settings, render_component

from infra.aws.keys import Keys, KeysArgs
from infra.aws.storage import Storage, StorageArgs

BUCKETS = ("access-logs", "models", "logs", "audit")


def storage(context):
    return Storage("storage", StorageArgs(context=context, keys=Keys("keys", KeysArgs(context=context))))


async def render(profile="prod", **groups):
    return await render_component(storage, aws_settings(profile, **groups), stack=profile)


def policy(rendered, bucket):
    statements = json.loads(rendered.one("BucketPolicy", f"storage-{bucket}-policy").inputs["policy"])["Statement"]
    return {statement["Sid"]: statement for statement in statements}


@pytest.mark.parametrize("bucket", BUCKETS)
async def test_a_bucket_is_closed_versioned_its_owners_and_spoken_to_over_tls_alone(bucket):
    rendered = await render()
    closed = rendered.one("BucketPublicAccessBlock", f"storage-{bucket}-closed").inputs
    four = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    assert all(closed[way] is True for way in four)
    versions = rendered.one("BucketVersioning", f"storage-{bucket}-versions").inputs
    assert versions["versioningConfiguration"] == {"status": "Enabled"}
    owner = rendered.one("BucketOwnershipControls", f"storage-{bucket}-owner").inputs
    assert owner["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    rules = policy(rendered, bucket)
    for sid, condition in (
        ("TlsAlone", {"Bool": {"aws:SecureTransport": "false"}}),
        ("NoOldTls", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
    ):
        assert (rules[sid]["Effect"], rules[sid]["Principal"], rules[sid]["Condition"]) == ("Deny", "*", condition)
        assert len(rules[sid]["Resource"]) == 2  # the bucket and what is in it
    assert all(it["Principal"] != "*" for it in rules.values() if it["Effect"] == "Allow")


@pytest.mark.parametrize(("bucket", "key"), [("models", "data"), ("logs", "logs"), ("audit", "audit")])
async def test_a_bucket_is_encrypted_with_the_key_of_its_purpose_and_its_accesses_are_logged(bucket, key):
    rendered = await render()
    (rule,) = rendered.one("BucketServerSideEncryptionConfiguration", f"storage-{bucket}-encryption").inputs["rules"]
    assert rule["bucketKeyEnabled"] is True
    assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"
    assert rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"].endswith(f"keys-{key}")
    accesses = rendered.one("BucketLogging", f"storage-{bucket}-accesses").inputs
    assert accesses["targetBucket"] == f"assistant-prod-access-logs-{ACCOUNT}-eu-central-1"
    assert accesses["targetPrefix"] == f"s3/{bucket}/"


async def test_the_bucket_of_accesses_has_the_one_key_that_load_balancers_write_with_and_takes_logs_of_this_account():
    rendered = await render(aws={"region": "cn-north-1"})
    (rule,) = rendered.one("BucketServerSideEncryptionConfiguration", "storage-access-logs-encryption").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    rules = policy(rendered, "access-logs")
    edge, buckets = rules["RequestsToTheEdge"], rules["AccessesOfBuckets"]
    assert edge["Resource"][0].endswith(f"/edge/AWSLogs/{ACCOUNT}/*")
    assert edge["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    source = f"arn:aws-cn:elasticloadbalancing:cn-north-1:{ACCOUNT}:loadbalancer/*"
    assert edge["Condition"]["ArnLike"] == {"aws:SourceArn": source}
    assert buckets["Principal"] == {"Service": ["logging.s3.amazonaws.com"]}
    assert buckets["Condition"]["ArnLike"] == {"aws:SourceArn": "arn:aws-cn:s3:::assistant-prod-*"}


@pytest.mark.parametrize("mode", ["governance", "compliance"])
async def test_audit_records_are_locked_as_long_as_set_and_go_no_sooner(mode):
    rendered = await render(retention={"auditDays": 90, "auditLock": mode})
    lock = rendered.one("BucketObjectLockConfiguration").inputs
    assert lock["rule"] == {"defaultRetention": {"mode": mode.upper(), "days": 90}}
    locked = [it.name for it in rendered.of("aws:s3/bucket:Bucket") if it.inputs["objectLockEnabled"]]
    assert locked == ["storage-audit-bucket"]
    (rule,) = rendered.one("BucketLifecycleConfiguration", "storage-audit-lifecycle").inputs["rules"]
    assert rule["expiration"] == {"days": 90}


async def test_old_versions_of_models_go_and_models_in_use_stay():
    rendered = await render(retention={"oldModelsDays": 12})
    (rule,) = rendered.one("BucketLifecycleConfiguration", "storage-models-lifecycle").inputs["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 12}
    assert "days" not in rule["expiration"]
    assert rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}


async def test_logs_go_when_their_time_is_over():
    rendered = await render(retention={"logsDays": 545})
    for bucket in ("logs", "access-logs"):
        (rule,) = rendered.one("BucketLifecycleConfiguration", f"storage-{bucket}-lifecycle").inputs["rules"]
        assert rule["expiration"] == {"days": 545}


async def test_the_stacks_trail_alone_writes_to_the_audit_bucket_and_none_where_there_is_another():
    rules = policy(await render(), "audit")
    trail = f"arn:aws:cloudtrail:eu-central-1:{ACCOUNT}:trail/assistant-prod-trail"
    assert rules["Trail"]["Condition"]["StringEquals"]["aws:SourceArn"] == trail
    assert rules["Trail"]["Resource"][0].endswith(f"/trail/AWSLogs/{ACCOUNT}/*")
    external = {"trail": "external", "externalTrailArn": f"arn:aws:cloudtrail:eu-central-1:{ACCOUNT}:trail/all"}
    assert set(policy(await render(audit=external), "audit")) == {"TlsAlone", "NoOldTls"}


async def test_buckets_are_emptied_with_the_stack_where_nothing_is_protected_but_no_lock_that_nobody_opens():
    def emptied(rendered):
        return {it.name.removeprefix("storage-") for it in rendered.of("aws:s3/bucket:Bucket") if it.inputs["forceDestroy"]}

    assert emptied(await render("prod")) == set()
    assert emptied(await render("dev")) == {f"{bucket}-bucket" for bucket in BUCKETS}
    assert "audit-bucket" not in emptied(await render("dev", retention={"auditLock": "compliance"}))
