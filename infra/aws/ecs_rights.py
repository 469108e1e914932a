"""What a task may do on AWS: its own role, and the one by which ECS starts it. Each names the one thing that it is for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pulumi

from infra.aws.context import AwsContext
from infra.aws.identity import Statement

# An image's address in ECR: account, region and repository.
ECR_IMAGE = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<name>[^@:]+)[@:].+")
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def repository_arn(image: str, partition: str) -> str | None:
    """Of an image in ECR; None: a registry elsewhere, which IAM knows nothing of. Pure."""
    found = ECR_IMAGE.fullmatch(image)
    return f"arn:{partition}:ecr:{found['region']}:{found['account']}:repository/{found['name']}" if found else None


def start_statements(context: AwsContext, image: pulumi.Input[str], log_group_arn: pulumi.Input[str]) -> list[Statement]:
    """Of the execution role: pull this image, write into this group. ECR and CloudWatch use their keys themselves."""
    partition, own = context.partition.name, context.arn("ecr", f"repository/{context.name()}*")
    repository = pulumi.Output.all(image, own).apply(lambda known: repository_arn(known[0], partition) or known[1])
    return [
        Statement(("ecr:GetAuthorizationToken",), ("*",), sid="Token"),  # it takes no resource
        Statement(PULL, (repository,), sid="Pull"),
        Statement(
            ("logs:CreateLogStream", "logs:PutLogEvents"), (pulumi.Output.concat(log_group_arn, ":log-stream:*"),), sid="Log"
        ),
    ]


def secret_arns_of(names: Sequence[str], arns: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
    return {name: arns[name] for name in sorted(set(names))}
