"""Where alarms, budgets and backups are told: one encrypted topic, and the people that have subscribed to it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.identity import Statement, declared, policy_document, source_account

# Those that publish on the account's behalf and say so.
PUBLISHERS = ("cloudwatch", "budgets", "backup")


@dataclass(frozen=True, kw_only=True)
class NotificationsArgs:
    context: AwsContext
    key_arn: pulumi.Input[str]


class Notifications(pulumi.ComponentResource):
    """``topic_arn``: known also to nobody's mail where ``notifications.emails`` is empty. A subscription counts once its
    address has confirmed it. ``ready``: the policy without which nothing can be published."""

    topic_arn: pulumi.Output[str]
    ready: pulumi.Resource

    def __init__(self, name: str, args: NotificationsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Notifications", name, {}, opts)
        context, own = args.context, pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(
            f"{name}-topic", name=context.name("alarms"), display_name="Assistant", kms_master_key_id=args.key_arn, opts=own
        )
        statements = topic_statements(context, topic.arn)
        self.ready = aws.sns.TopicPolicy(f"{name}-policy", arn=topic.arn, policy=policy_document(*statements), opts=own)
        for index, address in enumerate(context.settings.notifications.emails):
            aws.sns.TopicSubscription(f"{name}-email-{index}", topic=topic.arn, protocol="email", endpoint=address, opts=own)
        self.topic_arn = topic.arn
        self.register_outputs({"topicArn": self.topic_arn, "statements": declared({f"{name}-policy": statements})})


def topic_statements(context: AwsContext, topic_arn: pulumi.Input[str]) -> list[Statement]:
    """AWS' services of this account may publish, over TLS alone; who else may is IAM's to say."""
    services = [context.partition.service(publisher) for publisher in PUBLISHERS]
    rule = context.arn("events", "rule/*")
    return [
        Statement(("sns:Publish",), (topic_arn,), source_account(context), {"Service": services}, sid="ServicesOfThisAccount"),
        Statement(
            ("sns:Publish",),
            (topic_arn,),
            {"ArnLike": {"aws:SourceArn": rule}},
            {"Service": [context.partition.service("events")]},
            sid="RulesOfThisAccount",
        ),
        Statement(
            ("sns:Publish",),
            (topic_arn,),
            {"Bool": {"aws:SecureTransport": "false"}},
            {"*": ("*",)},
            effect="Deny",
            sid="NothingInPlain",
        ),
    ]
