"""A log group: encrypted with a key of the stack, kept as long as the stack says, masked where prompts may stand in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.naming import log_group

# What CloudWatch finds in a line and masks for whoever may not unmask it: credentials, and the personal data that people
# paste into questions (docs.aws.amazon.com/AmazonCloudWatch: data that can be protected).
IDENTIFIERS = ("AwsSecretKey", "CreditCardNumber", "EmailAddress", "OpenSshPrivateKey", "PkcsPrivateKey", "PuttyPrivateKey")


@dataclass(frozen=True, kw_only=True)
class LogGroupArgs:
    """``words``: its name after ``/assistant/<stack>/``; ``named`` takes their place where a service wants a name of its own.
    ``masked``: for a group that can hold prompts."""

    context: AwsContext
    key_arn: pulumi.Input[str]
    words: Sequence[str]
    named: str | None = None
    masked: bool = False


def protection(partition: str) -> str:
    """The data-protection policy, JSON. Pure."""
    identifiers = [f"arn:{partition}:dataprotection::aws:data-identifier/{name}" for name in IDENTIFIERS]
    audit = {"Sid": "audit", "DataIdentifier": identifiers, "Operation": {"Audit": {"FindingsDestination": {}}}}
    mask = {"Sid": "mask", "DataIdentifier": identifiers, "Operation": {"Deidentify": {"MaskConfig": {}}}}
    return json.dumps({"Name": "assistant", "Version": "2021-06-01", "Statement": [audit, mask]}, sort_keys=True)


class LogGroup(pulumi.ComponentResource):
    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(self, name: str, args: LogGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:LogGroup", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        group = aws.cloudwatch.LogGroup(
            f"{name}-group",
            name=args.named or log_group(args.context.stack, *args.words),
            kms_key_id=args.key_arn,
            retention_in_days=args.context.settings.retention.logs_days,
            opts=own,
        )
        if args.masked:
            aws.cloudwatch.LogDataProtectionPolicy(
                f"{name}-protection",
                log_group_name=group.name,
                policy_document=protection(args.context.partition.name),
                opts=own,
            )
        self.name = group.name
        self.arn = group.arn
        self.register_outputs({"name": self.name, "arn": self.arn})
