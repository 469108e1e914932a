"""What each part may do on AWS, and the one service account that may do it: a role a part, by EKS Pod Identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.identity import PODS, Statement, WorkloadRole, WorkloadRoleArgs, pod_trust
from infra.kubernetes.names import Part


@dataclass(frozen=True, kw_only=True)
class PodIdentitiesArgs:
    """``rights``: of each part that calls AWS; its service account in ``namespace`` is named as the part."""

    context: AwsContext
    cluster_name: pulumi.Input[str]
    namespace: str
    rights: Mapping[Part, Sequence[Statement]]


class PodIdentities(pulumi.ComponentResource):
    """An association may stand before its service account does. ``ready``: all that a pod's first call needs."""

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: PodIdentitiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:PodIdentities", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        self.ready = []
        for part, statements in args.rights.items():
            role = WorkloadRole(
                f"{name}-{part}",
                WorkloadRoleArgs(
                    context=args.context,
                    service=PODS,
                    statements=statements,
                    words=("pod", part),
                    trust=pod_trust(args.namespace, part, args.cluster_name),
                ),
                own,
            )
            association = aws.eks.PodIdentityAssociation(
                f"{name}-{part}-association",
                cluster_name=args.cluster_name,
                namespace=args.namespace,
                service_account=part,
                role_arn=role.arn,
                opts=own,
            )
            self.ready += [*role.ready, association]
        self.register_outputs({})
