"""A bucket as every bucket of this stack is: versioned, encrypted, closed to the public, TLS alone, its accesses logged, and
with an end for what nobody needs any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.identity import Statement, policy_document

UPLOAD_DAYS = 7  # an upload in parts that was never ended costs as much as an object
SERVER_ACCESS_PREFIX = "s3"
OLDEST_TLS = "1.2"


@dataclass(frozen=True, kw_only=True)
class Lock:
    """Object Lock's default: ``mode`` governance or compliance."""

    mode: str
    days: int


@dataclass(frozen=True, kw_only=True)
class PrivateBucketArgs:
    """``key_arn`` None: Amazon's own key (SSE-S3). ``access_logs``: where accesses are logged; None for the bucket that takes
    the logs, which would log its own logging. ``old_versions_days``: how long what was overwritten or deleted can be had back.
    ``expiry_days``: when objects go; None: never. ``statements``: what other services may do, from the bucket's ARN.
    ``kept``: it stays in the account when the stack goes."""

    context: AwsContext
    purpose: str
    key_arn: pulumi.Input[str] | None
    access_logs: PrivateBucket | None
    old_versions_days: int
    expiry_days: int | None = None
    lock: Lock | None = None
    kept: bool = False
    statements: Callable[[pulumi.Output[str]], Sequence[Statement]] = field(default=lambda _arn: ())


class PrivateBucket(pulumi.ComponentResource):
    bucket_name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:PrivateBucket", name, {}, opts)
        protection = args.context.settings.protection
        # What is kept is kept whole: without its settings the bucket would be another.
        own = pulumi.ResourceOptions(parent=self, retain_on_delete=args.kept)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=args.context.bucket_name(args.purpose),
            object_lock_enabled=args.lock is not None,
            force_destroy=not protection and not args.kept,
            opts=pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(protect=protection)),
        )
        # By its name, which is known before there is a bucket: a first preview can show every policy that names it.
        arn = args.context.arn("s3", bucket.bucket, regional=False, owned=False)
        closed = aws.s3.BucketPublicAccessBlock(
            f"{name}-closed",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=own,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-owner",
            bucket=bucket.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=own,
        )
        versioned = aws.s3.BucketVersioning(
            f"{name}-versions",
            bucket=bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=own,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption", bucket=bucket.id, rules=[_encryption(args.key_arn)], opts=own
        )
        after_closed = pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[closed]))
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.id,
            policy=policy_document(*tls_alone(arn), *args.statements(arn)),
            opts=after_closed,
        )
        after_versions = pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[versioned]))
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=_lifecycle(args.old_versions_days, args.expiry_days),
            opts=after_versions,
        )
        if args.lock:
            retention = aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(
                mode=args.lock.mode.upper(), days=args.lock.days
            )
            aws.s3.BucketObjectLockConfiguration(
                f"{name}-lock",
                bucket=bucket.id,
                rule=aws.s3.BucketObjectLockConfigurationRuleArgs(default_retention=retention),
                opts=after_versions,
            )
        if args.access_logs:
            prefix = f"{SERVER_ACCESS_PREFIX}/{args.purpose}/"
            delivered = pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[args.access_logs]))
            aws.s3.BucketLogging(
                f"{name}-accesses",
                bucket=bucket.id,
                target_bucket=args.access_logs.bucket_name,
                target_prefix=prefix,
                opts=delivered,
            )
        self.bucket_name = bucket.bucket
        self.arn = arn
        self.register_outputs({"bucketName": self.bucket_name, "arn": self.arn})


def tls_alone(arn: pulumi.Output[str]) -> list[Statement]:
    """Nobody, whatever else allows it, without TLS or with one before 1.2."""
    resources = (arn, pulumi.Output.concat(arn, "/*"))
    everybody = {"*": ("*",)}
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    old = {"NumericLessThan": {"s3:TlsVersion": OLDEST_TLS}}
    return [
        Statement(("s3:*",), resources, plain, everybody, "Deny", "TlsAlone"),
        Statement(("s3:*",), resources, old, everybody, "Deny", "NoOldTls"),
    ]


def _encryption(key_arn: pulumi.Input[str] | None) -> aws.s3.BucketServerSideEncryptionConfigurationRuleArgs:
    if key_arn is None:
        default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="AES256"
        )
        return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(apply_server_side_encryption_by_default=default)
    default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
        sse_algorithm="aws:kms", kms_master_key_id=key_arn
    )
    # One call to KMS for many objects.
    return aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
        apply_server_side_encryption_by_default=default, bucket_key_enabled=True
    )


def _lifecycle(old_versions_days: int, expiry_days: int | None) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    everything = aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    upload = aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(days_after_initiation=UPLOAD_DAYS)
    old = aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(noncurrent_days=old_versions_days)
    # A marker that hides nothing any more goes as well; where objects expire by days, S3 does that itself.
    expiry = (
        aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=expiry_days)
        if expiry_days
        else aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True)
    )
    return [
        aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="end",
            status="Enabled",
            filter=everything,
            abort_incomplete_multipart_upload=upload,
            noncurrent_version_expiration=old,
            expiration=expiry,
        )
    ]
