"""The stack's buckets: models, exported logs, audit records that nobody can shorten, and the accesses to all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pulumi

from infra.aws.bucket import SERVER_ACCESS_PREFIX, Lock, PrivateBucket, PrivateBucketArgs
from infra.aws.context import AwsContext
from infra.aws.identity import Conditions, Statement
from infra.aws.keys import Keys, audit_is_kept

EDGE_PREFIX = "edge"  # the load balancer's access logs
TRAIL_PREFIX = "trail"
TRAIL_WORD = "trail"
OLD_VERSIONS_DAYS = 30  # of logs, which nobody overwrites


@dataclass(frozen=True, kw_only=True)
class StorageArgs:
    context: AwsContext
    keys: Keys


class Storage(pulumi.ComponentResource):
    models: PrivateBucket
    logs: PrivateBucket
    audit: PrivateBucket
    access_logs: PrivateBucket

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Storage", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        context, keys, retention = args.context, args.keys, args.context.settings.retention

        # Elastic Load Balancing writes to buckets with Amazon's own key (SSE-S3) and to no others, and so does S3's logging:
        # what stands here is who asked for what, no content.
        self.access_logs = PrivateBucket(
            f"{name}-access-logs",
            PrivateBucketArgs(
                context=context,
                purpose="access-logs",
                key_arn=None,
                access_logs=None,
                old_versions_days=OLD_VERSIONS_DAYS,
                expiry_days=retention.logs_days,
                statements=access_log_deliveries(context),
            ),
            opts=own,
        )
        # A converter writes them, pods read them and check their sha256. What was overwritten goes after a while.
        self.models = PrivateBucket(
            f"{name}-models",
            PrivateBucketArgs(
                context=context,
                purpose="models",
                key_arn=keys.arn("data"),
                access_logs=self.access_logs,
                old_versions_days=retention.old_models_days,
            ),
            opts=own,
        )
        # Logs are in CloudWatch; here is what is exported from there (`aws logs create-export-task`).
        self.logs = PrivateBucket(
            f"{name}-logs",
            PrivateBucketArgs(
                context=context,
                purpose="logs",
                key_arn=keys.arn("logs"),
                access_logs=self.access_logs,
                old_versions_days=OLD_VERSIONS_DAYS,
                expiry_days=retention.logs_days,
                statements=log_exports(context),
            ),
            opts=own,
        )
        self.audit = PrivateBucket(
            f"{name}-audit",
            PrivateBucketArgs(
                context=context,
                purpose="audit",
                key_arn=keys.arn("audit"),
                access_logs=self.access_logs,
                # Neither happens to a version before its lock ends.
                old_versions_days=1,
                expiry_days=retention.audit_days,
                lock=Lock(mode=retention.audit_lock, days=retention.audit_days),
                kept=audit_is_kept(context),
                statements=trail_deliveries(context) if context.settings.audit.trail == "stack" else _nothing,
            ),
            opts=own,
        )
        self.register_outputs({"models": self.models.bucket_name, "audit": self.audit.bucket_name})


def trail_name(context: AwsContext) -> str:
    return context.name(TRAIL_WORD)


Statements = Callable[[pulumi.Output[str]], Sequence[Statement]]


def _nothing(_arn: pulumi.Output[str]) -> Sequence[Statement]:
    return ()


def _from(context: AwsContext, source: pulumi.Input[str]) -> Conditions:
    return {"StringEquals": {"aws:SourceAccount": context.account}, "ArnLike": {"aws:SourceArn": source}}


def access_log_deliveries(context: AwsContext) -> Statements:
    """S3's logging (docs.aws.amazon.com/AmazonS3: permissions for server access log delivery), and the load balancers'
    (docs.aws.amazon.com/elasticloadbalancing: enable access logging)."""
    buckets = f"arn:{context.partition.name}:s3:::{context.name('')}*"
    balancers = context.arn("elasticloadbalancing", "loadbalancer/*")

    def statements(arn: pulumi.Output[str]) -> Sequence[Statement]:
        accesses = pulumi.Output.concat(arn, f"/{SERVER_ACCESS_PREFIX}/*")
        requests = pulumi.Output.concat(arn, f"/{EDGE_PREFIX}/AWSLogs/", context.account, "/*")
        s3, balancing = "logging.s3.amazonaws.com", "logdelivery.elasticloadbalancing.amazonaws.com"
        put = ("s3:PutObject",)
        return [
            Statement(put, (accesses,), _from(context, buckets), {"Service": [s3]}, sid="AccessesOfBuckets"),
            Statement(put, (requests,), _from(context, balancers), {"Service": [balancing]}, sid="RequestsToTheEdge"),
        ]

    return statements


def log_exports(context: AwsContext) -> Statements:
    """docs.aws.amazon.com/AmazonCloudWatch: export log data to Amazon S3."""
    service = f"logs.{context.region}.{context.partition.dns_suffix}"
    conditions = _from(context, context.arn("logs", "log-group:*"))

    def statements(arn: pulumi.Output[str]) -> Sequence[Statement]:
        objects = pulumi.Output.concat(arn, "/*")
        return [
            Statement(("s3:GetBucketAcl",), (arn,), conditions, {"Service": [service]}, sid="ExportsLookAtTheBucket"),
            Statement(("s3:PutObject",), (objects,), conditions, {"Service": [service]}, sid="Exports"),
        ]

    return statements


def trail_deliveries(context: AwsContext) -> Statements:
    """This stack's trail alone (docs.aws.amazon.com/awscloudtrail: bucket policy)."""
    service = context.partition.service("cloudtrail")
    trail = context.arn("cloudtrail", f"trail/{trail_name(context)}")
    only: Conditions = {"StringEquals": {"aws:SourceArn": trail}}
    owned: Conditions = {"StringEquals": {"aws:SourceArn": trail, "s3:x-amz-acl": "bucket-owner-full-control"}}

    def statements(arn: pulumi.Output[str]) -> Sequence[Statement]:
        objects = pulumi.Output.concat(arn, f"/{TRAIL_PREFIX}/AWSLogs/", context.account, "/*")
        return [
            Statement(("s3:GetBucketAcl",), (arn,), only, {"Service": [service]}, sid="TrailLooksAtTheBucket"),
            Statement(("s3:PutObject",), (objects,), owned, {"Service": [service]}, sid="Trail"),
        ]

    return statements
