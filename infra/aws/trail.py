"""CloudTrail: who did what in the account, and who read or wrote the models and the audit log, where nobody can change it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.identity import Statement, WorkloadRole, WorkloadRoleArgs
from infra.aws.keys import Keys
from infra.aws.logs import LogGroup, LogGroupArgs
from infra.aws.storage import TRAIL_PREFIX, Storage, trail_name


@dataclass(frozen=True, kw_only=True)
class TrailArgs:
    context: AwsContext
    keys: Keys
    storage: Storage


class Trail(pulumi.ComponentResource):
    """One trail over all regions, with digests by which a changed or removed file is found. With ``audit.trail: external``
    there is none of the stack's: ``arn`` is then the organisation's."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: TrailArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Trail", name, {}, opts)
        audit = args.context.settings.audit
        if audit.external_trail_arn:
            self.arn = pulumi.Output.from_input(audit.external_trail_arn)
        else:
            self.arn = self._make(name, args)
        self.register_outputs({"arn": self.arn})

    def _make(self, name: str, args: TrailArgs) -> pulumi.Output[str]:
        context, own = args.context, pulumi.ResourceOptions(parent=self)
        logs = LogGroup(f"{name}-logs", LogGroupArgs(context=context, key_arn=args.keys.arn("audit"), words=("trail",)), own)
        role = WorkloadRole(
            f"{name}-role",
            WorkloadRoleArgs(
                context=context,
                service=context.partition.service("cloudtrail"),
                statements=[
                    Statement(("logs:CreateLogStream", "logs:PutLogEvents"), (pulumi.Output.concat(logs.arn, ":log-stream:*"),))
                ],
                words=("trail",),
            ),
            own,
        )
        trail = aws.cloudtrail.Trail(
            f"{name}-trail",
            name=trail_name(context),
            s3_bucket_name=args.storage.audit.bucket_name,
            s3_key_prefix=TRAIL_PREFIX,
            kms_key_id=args.keys.arn("audit"),
            cloud_watch_logs_group_arn=pulumi.Output.concat(logs.arn, ":*"),
            cloud_watch_logs_role_arn=role.arn,
            enable_log_file_validation=True,
            enable_logging=True,
            include_global_service_events=True,
            is_multi_region_trail=True,
            advanced_event_selectors=[management_events(), self._object_events(args.storage)],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*role.ready, args.storage.audit]),
        )
        return trail.arn

    def _object_events(self, storage: Storage) -> aws.cloudtrail.TrailAdvancedEventSelectorArgs:
        """Every read and write of an object in the two buckets; the trail's own writes would follow themselves for ever, so the
        audit bucket's part that it writes to is left out."""
        models = pulumi.Output.concat(storage.models.arn, "/")
        audit = pulumi.Output.concat(storage.audit.arn, "/")
        own = pulumi.Output.concat(storage.audit.arn, f"/{TRAIL_PREFIX}/")
        return aws.cloudtrail.TrailAdvancedEventSelectorArgs(
            name="objects of models and audit log",
            field_selectors=[
                _field("eventCategory", equals=["Data"]),
                _field("resources.type", equals=["AWS::S3::Object"]),
                aws.cloudtrail.TrailAdvancedEventSelectorFieldSelectorArgs(
                    field="resources.ARN", starts_withs=[models, audit], not_starts_withs=[own]
                ),
            ],
        )


def management_events() -> aws.cloudtrail.TrailAdvancedEventSelectorArgs:
    return aws.cloudtrail.TrailAdvancedEventSelectorArgs(
        name="management", field_selectors=[_field("eventCategory", equals=["Management"])]
    )


def _field(field: str, equals: list[str]) -> aws.cloudtrail.TrailAdvancedEventSelectorFieldSelectorArgs:
    return aws.cloudtrail.TrailAdvancedEventSelectorFieldSelectorArgs(field=field, equals=equals)
