"""Daily recovery points of the stack's buckets, in a vault of its own. MemoryDB is no service of AWS Backup: it has snapshots
of its own (infra/aws/redis.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.identity import WorkloadRole, WorkloadRoleArgs

SCHEDULE = "cron(0 3 * * ? *)"  # daily at 3, UTC
START_MINUTES, COMPLETION_MINUTES = 60, 720
FAILED = ("FAILED", "ABORTED", "EXPIRED")  # states of a job
# docs.aws.amazon.com/aws-backup: what S3 needs besides the general policies.
MANAGED = (
    "service-role/AWSBackupServiceRolePolicyForBackup",
    "service-role/AWSBackupServiceRolePolicyForRestores",
    "AWSBackupServiceRolePolicyForS3Backup",
    "AWSBackupServiceRolePolicyForS3Restore",
)


@dataclass(frozen=True, kw_only=True)
class BackupArgs:
    """``resource_arns``: buckets, each versioned, which AWS Backup asks for."""

    context: AwsContext
    key_arn: pulumi.Input[str]
    topic_arn: pulumi.Input[str]
    resource_arns: Sequence[pulumi.Input[str]]


class Backup(pulumi.ComponentResource):
    """Recovery points live for ``retention.backupDays``."""

    def __init__(self, name: str, args: BackupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Backup", name, {}, opts)
        context, own = args.context, pulumi.ResourceOptions(parent=self)
        protected = context.settings.protection
        vault = aws.backup.Vault(
            f"{name}-vault",
            name=context.name("backup"),
            kms_key_arn=args.key_arn,
            force_destroy=not protected,
            opts=pulumi.ResourceOptions(parent=self, protect=protected),
        )
        plan = aws.backup.Plan(
            f"{name}-plan",
            name=context.name("daily"),
            rules=[
                aws.backup.PlanRuleArgs(
                    rule_name="daily",
                    target_vault_name=vault.name,
                    schedule=SCHEDULE,
                    start_window=START_MINUTES,
                    completion_window=COMPLETION_MINUTES,
                    lifecycle=aws.backup.PlanRuleLifecycleArgs(delete_after=context.settings.retention.backup_days),
                )
            ],
            opts=own,
        )
        role = WorkloadRole(
            f"{name}-role",
            WorkloadRoleArgs(
                context=context,
                service=context.partition.service("backup"),
                statements=(),
                words=("backup",),
                managed=MANAGED,
            ),
            own,
        )
        aws.backup.Selection(
            f"{name}-buckets",
            name=context.name("buckets", longest=50),
            plan_id=plan.id,
            iam_role_arn=role.arn,
            resources=list(args.resource_arns),
            opts=pulumi.ResourceOptions(parent=self, depends_on=role.ready),
        )
        aws.backup.VaultNotifications(
            f"{name}-restores",
            backup_vault_name=vault.name,
            sns_topic_arn=args.topic_arn,
            backup_vault_events=["RESTORE_JOB_COMPLETED"],
            opts=own,
        )
        self._tell_failures(name, args, vault.name)
        self.register_outputs({"vault": vault.name})

    def _tell_failures(self, name: str, args: BackupArgs, vault_name: pulumi.Output[str]) -> None:
        """By EventBridge: of the vault's own events, the one of a failed job is no longer sent
        (docs.aws.amazon.com/aws-backup: PutBackupVaultNotifications), and the one of an ended job would be sent every day."""
        own = pulumi.ResourceOptions(parent=self)
        pattern = {
            "source": ["aws.backup"],
            "detail-type": ["Backup Job State Change"],
            "detail": {"state": list(FAILED), "backupVaultName": [vault_name]},
        }
        rule = aws.cloudwatch.EventRule(
            f"{name}-failures",
            name=args.context.name("backup", "failures"),
            description="A recovery point was not made",
            event_pattern=pulumi.Output.json_dumps(pattern, sort_keys=True),
            opts=own,
        )
        aws.cloudwatch.EventTarget(f"{name}-failures-told", rule=rule.name, arn=args.topic_arn, opts=own)
