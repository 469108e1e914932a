"""What goes through a VPC, all of it, in an encrypted log group."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.identity import Statement, WorkloadRole, WorkloadRoleArgs, source_account
from infra.aws.logs import LogGroup, LogGroupArgs

AGGREGATION_SECONDS = 600  # the coarser of the two that AWS takes, at a tenth of the lines


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    context: AwsContext
    vpc_id: pulumi.Input[str]
    key_arn: pulumi.Input[str]


class FlowLogs(pulumi.ComponentResource):
    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:FlowLogs", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        group = LogGroup(f"{name}-logs", LogGroupArgs(context=args.context, key_arn=args.key_arn, words=("flow",)), opts=own)
        streams = pulumi.Output.concat(group.arn, ":*")
        role = WorkloadRole(
            f"{name}-role",
            WorkloadRoleArgs(
                context=args.context,
                service=args.context.partition.service("vpc-flow-logs"),
                # docs.aws.amazon.com/vpc: IAM role for publishing flow logs; the group is made here, so it may make none.
                statements=[
                    Statement(("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"), (group.arn, streams))
                ],
                words=("flow-logs",),
                trust=source_account(args.context),
            ),
            opts=own,
        )
        aws.ec2.FlowLog(
            f"{name}-log",
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=AGGREGATION_SECONDS,
            tags={"Name": args.context.name("flow")},
            opts=pulumi.ResourceOptions(parent=self, depends_on=role.ready),
        )
        self.register_outputs({})
