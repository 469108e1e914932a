"""The stack's KMS keys, one a purpose, so that whoever may read logs may not for that reason read secrets.

A key's policy names the services that use it on their own behalf, each bound to this account and to what it encrypts. All
else goes through IAM: the account administers its keys, and a role uses one because its own policy says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.identity import Conditions, Statement, policy_document, source_account

Purpose = Literal["data", "secrets", "logs", "audit", "cluster", "redis", "notifications"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
DELETION_DAYS = 30  # the longest that KMS lets a deletion be taken back
ROTATION_DAYS = 365

USE = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
# docs.aws.amazon.com/autoscaling: service-linked roles
NODE_VOLUMES_ROLE = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
PUBLISH = ("kms:Decrypt", "kms:GenerateDataKey*")

DESCRIPTIONS: Mapping[Purpose, str] = {
    "data": "models, images and backups",
    "secrets": "secrets in Secrets Manager",
    "logs": "log groups",
    "audit": "the audit bucket and the trail",
    "cluster": "secrets in EKS and the volumes of its nodes",
    "redis": "the queue in MemoryDB and its snapshots",
    "notifications": "the topic of alarms and budgets",
}


@dataclass(frozen=True, kw_only=True)
class KeysArgs:
    context: AwsContext


class Keys(pulumi.ComponentResource):
    """With ``keys.arn`` of the settings nothing is made, and that key serves every purpose: its policy is its owner's."""

    def __init__(self, name: str, args: KeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Keys", name, {}, opts)
        context, given = args.context, args.context.settings.keys.arn
        self._arns: dict[Purpose, pulumi.Output[str]] = {}
        for purpose in purposes(context):
            self._arns[purpose] = pulumi.Output.from_input(given) if given else self._key(name, context, purpose)
        self.register_outputs({"arns": dict(self._arns)})

    def arn(self, purpose: Purpose) -> pulumi.Output[str]:
        return self._arns[purpose]

    def _key(self, name: str, context: AwsContext, purpose: Purpose) -> pulumi.Output[str]:
        key = aws.kms.Key(
            f"{name}-{purpose}",
            description=f"assistant {context.stack}: {DESCRIPTIONS[purpose]}",
            enable_key_rotation=True,
            rotation_period_in_days=ROTATION_DAYS,
            deletion_window_in_days=DELETION_DAYS,
            policy=policy_document(*statements(context, purpose)),
            # Without its key, what it encrypts is lost: the key outlives the mistake that would delete it, and the audit
            # records' key the stack, as they do.
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=context.settings.protection,
                retain_on_delete=purpose == "audit" and audit_is_kept(context),
            ),
        )
        alias = f"alias/{context.name(purpose)}"
        aws.kms.Alias(f"{name}-{purpose}-alias", name=alias, target_key_id=key.key_id, opts=pulumi.ResourceOptions(parent=self))
        return key.arn


def purposes(context: AwsContext) -> tuple[Purpose, ...]:
    """Those that the target has: Fargate keeps nothing in a cluster, and a Redis of yours has a key of yours."""
    settings = context.settings
    absent: set[Purpose] = set()
    if settings.target != "eks":
        absent.add("cluster")
    if settings.redis.url is not None:
        absent.add("redis")
    return tuple(purpose for purpose in PURPOSES if purpose not in absent)


def audit_is_kept(context: AwsContext) -> bool:
    """Whether audit records outlive the stack: by the setting, and where nobody could delete them anyhow. Not by
    ``protection``, which everybody takes off who destroys a stack."""
    retention = context.settings.retention
    return retention.audit_kept or retention.audit_lock == "compliance"


def statements(context: AwsContext, purpose: Purpose) -> list[Statement]:
    """The key policy. In one, ``*`` is the key that it belongs to and no other."""
    by_purpose: Mapping[Purpose, Callable[[AwsContext], list[Statement]]] = {
        "logs": _logs,
        "audit": _audit,
        "cluster": _node_volumes,
        "notifications": _notifications,
    }
    services = by_purpose[purpose](context) if purpose in by_purpose else []
    return [_administration(context), *services]


def _administration(context: AwsContext) -> Statement:
    """Without this the account's administrators could lock themselves out; it gives nobody anything without a policy of IAM."""
    root = context.arn("iam", "root", regional=False)
    return Statement(("kms:*",), ("*",), principals={"AWS": [root]}, sid="AccountThroughIam")


def _service(service: str, actions: tuple[str, ...], conditions: Conditions, sid: str) -> Statement:
    return Statement(actions, ("*",), conditions, {"Service": [service]}, sid=sid)


def _logs(context: AwsContext) -> list[Statement]:
    """CloudWatch Logs says for which group it asks (docs.aws.amazon.com/AmazonCloudWatch: encrypt log data with KMS)."""
    service = f"logs.{context.region}.{context.partition.dns_suffix}"
    bucket = f"arn:{context.partition.name}:s3:::{context.name('logs')}-*"
    exports: Conditions = {"StringLike": {"kms:EncryptionContext:aws:s3:arn": bucket}}
    return [_log_service(context), _service(service, PUBLISH, exports, "ExportsToTheBucket")]


def _log_service(context: AwsContext) -> Statement:
    service = f"logs.{context.region}.{context.partition.dns_suffix}"
    groups: Conditions = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": context.arn("logs", "log-group:*")}}
    return _service(service, USE, groups, "LogGroupsOfThisAccount")


def _audit(context: AwsContext) -> list[Statement]:
    """CloudTrail encrypts what it writes (docs.aws.amazon.com/awscloudtrail: KMS key policies)."""
    trails = context.arn("cloudtrail", "trail/*")
    all_trails = pulumi.Output.concat(f"arn:{context.partition.name}:cloudtrail:*:", context.account, ":trail/*")
    encrypt: Conditions = {
        "StringEquals": {"aws:SourceAccount": context.account},
        "ArnLike": {"aws:SourceArn": trails},
        "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": all_trails},
    }
    service = context.partition.service("cloudtrail")
    return [
        _service(service, ("kms:GenerateDataKey*",), encrypt, "TrailsOfThisAccount"),
        _service(service, ("kms:DescribeKey",), source_account(context), "TrailsLookAtTheKey"),
        _log_service(context),
    ]


def _node_volumes(context: AwsContext) -> list[Statement]:
    """Volumes of nodes are made by the Auto Scaling service's own role, which hands the key on to EC2 by a grant
    (docs.aws.amazon.com/autoscaling: key policies for encrypted volumes). KMS refuses a policy that names a role which does
    not exist, and in an empty account that one does not: `make preflight`
    names the command that has AWS make it."""
    role = context.arn("iam", NODE_VOLUMES_ROLE, regional=False)
    principals = {"AWS": [role]}
    granted: Conditions = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [
        Statement(USE, ("*",), principals=principals, sid="NodeVolumes"),
        Statement(("kms:CreateGrant",), ("*",), granted, principals, sid="NodeVolumesAttached"),
    ]


def _notifications(context: AwsContext) -> list[Statement]:
    """Whoever publishes to an encrypted topic needs its key (docs.aws.amazon.com/sns: key management)."""
    partition = context.partition
    return [
        _service(partition.service("cloudwatch"), PUBLISH, source_account(context), "AlarmsOfThisAccount"),
        _service(partition.service("budgets"), PUBLISH, source_account(context), "BudgetsOfThisAccount"),
        _service(partition.service("backup"), PUBLISH, source_account(context), "BackupsOfThisAccount"),
        # EventBridge sends KMS no source: with a condition nothing would arrive. The topic's policy bounds who publishes.
        _service(partition.service("events"), PUBLISH, {}, "Events"),
    ]
