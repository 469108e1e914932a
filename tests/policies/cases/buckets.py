"""Buckets with their siblings, as infra/aws/bucket.py registers them: of models, of audit records, of access logs."""

from __future__ import annotations

import json
from typing import Any

from cases.theme import Bad, Cases, Good, Theme

ACCOUNT = "123456789012"
MODELS, AUDIT, ACCESSES = (f"assistant-prod-{purpose}-{ACCOUNT}" for purpose in ("models", "records", "access-logs"))
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/5f0c2a52-1111-4222-8333-0123456789ab"


def tls_alone(bucket: str, **changes: Any) -> dict[str, Any]:
    return {
        "Sid": "TlsAlone",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:*"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        **changes,
    }


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def encryption(algorithm: str, key: str | None = None) -> list[dict[str, Any]]:
    default = {"sseAlgorithm": algorithm, **({"kmsMasterKeyId": key} if key else {})}
    return [{"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}]


LIFECYCLE = {
    "id": "end",
    "status": "Enabled",
    "filter": {"prefix": ""},
    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
    "noncurrentVersionExpiration": {"noncurrentDays": 30},
    "expiration": {"expiredObjectDeleteMarker": True},
}


def _bucket(name: str, called: str, rules: list[dict[str, Any]], accesses: bool = True) -> dict[str, Good]:
    def sibling(kind: str, **properties: Any) -> Good:
        refers = {"bucket": (name,), **({"rules": ("key",)} if "Encryption" in kind else {})}
        return Good(
            type=f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}", properties={"bucket": called, **properties}, refers=refers
        )

    closed = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
    made = {
        name: Good(
            type="aws:s3/bucket:Bucket",
            properties={"bucket": called, "id": called, "arn": f"arn:aws:s3:::{called}", "forceDestroy": False},
        ),
        f"{name}-closed": sibling("BucketPublicAccessBlock", **closed),
        f"{name}-versions": sibling("BucketVersioning", versioningConfiguration={"status": "Enabled"}),
        f"{name}-encryption": sibling("BucketServerSideEncryptionConfiguration", rules=rules),
        f"{name}-lifecycle": sibling("BucketLifecycleConfiguration", rules=[LIFECYCLE]),
        f"{name}-policy": sibling("BucketPolicy", policy=policy(tls_alone(called))),
    }
    if accesses:
        logging = sibling("BucketLogging", targetBucket=ACCESSES, targetPrefix=f"s3/{name}/")
        made[f"{name}-accesses"] = Good(
            type=logging.type, properties=logging.properties, refers={**logging.refers, "targetBucket": ("access-logs",)}
        )
    return made


GOOD = {
    "key": Good(type="aws:kms/key:Key", properties={"arn": KEY, "keyId": KEY.rpartition("/")[2]}),
    **_bucket("access-logs", ACCESSES, encryption("AES256"), accesses=False),
    **_bucket("models", MODELS, encryption("aws:kms", KEY)),
    **_bucket("records", AUDIT, encryption("aws:kms", KEY)),
    "records-lock": Good(
        type="aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        properties={"bucket": AUDIT, "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 400}}},
        refers={"bucket": ("records",)},
    ),
    "trail": Good(type="aws:cloudtrail/trail:Trail", properties={"s3BucketName": AUDIT}, refers={"s3BucketName": ("records",)}),
    "balancer": Good(
        type="aws:lb/loadBalancer:LoadBalancer",
        properties={"accessLogs": {"bucket": ACCESSES, "enabled": True, "prefix": "edge"}},
        refers={"accessLogs": ("access-logs",)},
    ),
}

RULE = "rules/0"
DEFAULT = f"{RULE}/applyServerSideEncryptionByDefault"
RETENTION = "rule/defaultRetention"

_CASES = {
    "R17": Cases(
        failing=(
            Bad("models-closed", {"blockPublicAcls": False}, "models-closed: blockPublicAcls is false"),
            Bad("models-closed", {"blockPublicPolicy": False}, "blockPublicPolicy is false"),
            Bad("models-closed", {"ignorePublicAcls": False}, "ignorePublicAcls is false"),
            Bad("records-closed", {"restrictPublicBuckets": None}, "restrictPublicBuckets is not set"),
            Bad("models-closed", {}, "no BucketPublicAccessBlock names this bucket", without=("models-closed",)),
            Bad("models-closed", {"bucket": "another"}, "no BucketPublicAccessBlock", unlinked=True),
        ),
        unknown=("models-closed", "blockPublicPolicy"),
        malformed=("models-closed", "ignorePublicAcls"),
    ),
    "R64": Cases(
        failing=(
            Bad("models-encryption", {"rules": encryption("AES256")}, "sseAlgorithm is AES256"),
            Bad("models-encryption", {f"{DEFAULT}/sseAlgorithm": "AES256"}, "sseAlgorithm is AES256"),
            Bad("models-encryption", {f"{DEFAULT}/kmsMasterKeyId": None}, "kmsMasterKeyId is not set"),
            Bad("models-encryption", {f"{DEFAULT}/kmsMasterKeyId": "alias/aws/s3"}, "a key that AWS manages"),
            Bad("models-encryption", {f"{DEFAULT}/kmsMasterKeyId": "mine"}, "names no key of KMS"),
            Bad("models-encryption", {"rules": []}, "rules is empty"),
            Bad("models-encryption", {f"{DEFAULT}": None}, "applyServerSideEncryptionByDefault is not set"),
            Bad("models-encryption", {}, "no BucketServerSideEncryptionConfiguration", without=("models-encryption",)),
            Bad("access-logs-encryption", {f"{DEFAULT}/sseAlgorithm": "none"}, "sseAlgorithm is none"),
        ),
        unknown=("models-encryption", f"{DEFAULT}/kmsMasterKeyId"),
        malformed=("models-encryption", f"{DEFAULT}/kmsMasterKeyId"),
    ),
    "R39": Cases(
        failing=(
            Bad("models-versions", {"versioningConfiguration/status": "Suspended"}, "status is Suspended, not Enabled"),
            Bad("models-versions", {"versioningConfiguration": None}, "status is not set"),
            Bad("models-versions", {}, "no BucketVersioning names this bucket", without=("models-versions",)),
        ),
        unknown=("models-versions", "versioningConfiguration/status"),
        malformed=("models-versions", "versioningConfiguration"),
    ),
    "R11": Cases(
        failing=(
            Bad("records-lock", {}, "no BucketObjectLockConfiguration", without=("records-lock",)),
            Bad("records-lock", {"rule": None}, "defaultRetention is not set"),
            Bad("records-lock", {RETENTION: None}, "defaultRetention is not set"),
            Bad("records-lock", {f"{RETENTION}/mode": "NONE"}, "mode is NONE"),
            Bad("records-lock", {f"{RETENTION}/mode": None}, "mode is not set"),
            Bad("records-lock", {f"{RETENTION}/days": None}, "days is not set"),
            Bad("records-lock", {f"{RETENTION}/days": 0}, "days is not set"),
            Bad("records-lock", {"objectLockEnabled": "Disabled"}, "objectLockEnabled is Disabled"),
            Bad("trail", {"s3BucketName": MODELS}, "no BucketObjectLockConfiguration", unlinked=True),
            Bad("models", {"bucket": "assistant-audit-2"}, "no BucketObjectLockConfiguration"),
        ),
        unknown=("records-lock", f"{RETENTION}/days"),
        malformed=("records-lock", "rule"),
    ),
    "R33": Cases(
        failing=(
            Bad("models-lifecycle", {}, "no BucketLifecycleConfiguration", without=("models-lifecycle",)),
            Bad("models-lifecycle", {"rules": []}, "lets objects or their old versions expire"),
            Bad("models-lifecycle", {f"{RULE}/status": "Disabled"}, "lets objects or their old versions expire"),
            Bad("models-lifecycle", {f"{RULE}/noncurrentVersionExpiration": None}, "lets objects or their old versions expire"),
            Bad(
                "models-lifecycle",
                {f"{RULE}/noncurrentVersionExpiration/noncurrentDays": 0},
                "lets objects or their old versions expire",
            ),
            Bad("models-lifecycle", {f"{RULE}/abortIncompleteMultipartUpload": None}, "aborts uploads in parts"),
            Bad(
                "models-lifecycle",
                {f"{RULE}/abortIncompleteMultipartUpload/daysAfterInitiation": 31},
                "aborts uploads in parts",
            ),
            Bad("models-lifecycle", {f"{RULE}/abortIncompleteMultipartUpload/daysAfterInitiation": 0}, "aborts uploads"),
            Bad("models-lifecycle", {f"{RULE}/filter/prefix": "tmp/"}, "for the whole bucket"),
            Bad("models-lifecycle", {f"{RULE}/prefix": "tmp/"}, "for the whole bucket"),
            Bad("models-lifecycle", {f"{RULE}/filter": {"tag": {"key": "a", "value": "b"}}}, "for the whole bucket"),
            Bad("models-lifecycle", {f"{RULE}/filter": {"and": {"prefix": "a"}}}, "for the whole bucket"),
            Bad("models-lifecycle", {f"{RULE}/filter": {"objectSizeLessThan": 10}}, "for the whole bucket"),
            Bad("models-lifecycle", {f"{RULE}/filter": {"objectSizeGreaterThan": 10}}, "for the whole bucket"),
        ),
        unknown=("models-lifecycle", f"{RULE}/status"),
        malformed=("models-lifecycle", "rules"),
    ),
    "R47": Cases(
        failing=(
            Bad("models-accesses", {}, "no BucketLogging names this bucket", without=("models-accesses",)),
            Bad("models-accesses", {"targetBucket": None}, "targetBucket is not set"),
            Bad("models-accesses", {"targetBucket": ""}, "targetBucket is not set"),
            Bad("models-accesses", {"bucket": AUDIT}, "no BucketLogging names this bucket", unlinked=True),
        ),
        unknown=("models-accesses", "targetBucket"),
        malformed=("models-accesses", "targetBucket"),
    ),
    "R65": Cases(
        failing=(
            Bad("models-policy", {}, "no BucketPolicy names this bucket", without=("models-policy",)),
            Bad("models-policy", {"policy": policy()}, "the bucket and its objects"),
            Bad("models-policy", {"policy": policy(tls_alone(MODELS, Effect="Allow"))}, "the bucket and its objects"),
            Bad("models-policy", {"policy": policy(tls_alone(MODELS, Action="s3:GetObject"))}, "the bucket and its objects"),
            Bad("models-policy", {"policy": policy(tls_alone(AUDIT))}, "the bucket and its objects"),
            Bad(
                "models-policy", {"policy": policy(tls_alone(MODELS, Resource=f"arn:aws:s3:::{MODELS}/*"))}, "denies the bucket"
            ),
            Bad(
                "models-policy", {"policy": policy(tls_alone(MODELS, Resource=f"arn:aws:s3:::{MODELS}"))}, "denies its objects"
            ),
            Bad(
                "models-policy",
                {"policy": policy(tls_alone(MODELS, Resource=[f"arn:aws:s3:::{MODELS}", f"arn:aws:s3:::{MODELS}/b/*"]))},
                "denies its objects",
            ),
            Bad(
                "models-policy",
                {"policy": policy(tls_alone(MODELS, Condition={"NumericLessThan": {"s3:TlsVersion": "1.2"}}))},
                "the bucket and its objects",
            ),
            Bad(
                "models-policy",
                {"policy": policy(tls_alone(MODELS, Condition={"Bool": {"aws:SecureTransport": "true"}}))},
                "the bucket and its objects",
            ),
            Bad(
                "models-policy",
                {
                    "policy": policy(
                        tls_alone(
                            MODELS,
                            Condition={"Bool": {"aws:SecureTransport": "false"}, "StringLike": {"aws:userid": "x"}},
                        )
                    )
                },
                "the bucket and its objects",
            ),
            Bad(
                "models-policy",
                {"policy": policy(tls_alone(MODELS, Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/a"}))},
                "the bucket and its objects",
            ),
            Bad("models-policy", {"policy": "{"}, "a policy document in JSON was expected"),
        ),
        unknown=("models-policy", "policy"),
        malformed=("models-policy", "policy"),
    ),
}

THEME = Theme(good=GOOD, cases=_CASES)
