"""Ways to AWS' own services that do not leave its network: S3 always, which costs nothing; the others by setting.

An interface endpoint costs about 8 USD a month and zone; a byte through it costs less than one through NAT, and none of what
it carries (credentials, secrets, images, logs) depends on the way out. Where little is carried, NAT alone is cheaper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext

HTTPS = 443
# What every task and node asks for before it can work, and what it sends its logs and metrics to.
COMMON = ("ecr.api", "ecr.dkr", "sts", "secretsmanager", "logs", "monitoring", "kms")
# Nodes join by these, and pods get their credentials: a node in a private subnet works without the internet.
NODES = ("eks", "eks-auth", "ec2", "autoscaling", "elasticloadbalancing")
# In China the names of these services begin with cn.com, of the others with com (`aws ec2 describe-vpc-endpoint-services`).
CHINESE = frozenset({"autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks-auth", "monitoring", "sts"})


@dataclass(frozen=True, kw_only=True)
class NetworkEndpointsArgs:
    """``route_table_ids``: of all subnets, which the way to S3 is entered in."""

    context: AwsContext
    vpc_id: pulumi.Input[str]
    vpc_cidr: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    route_table_ids: Sequence[pulumi.Input[str]]


class NetworkEndpoints(pulumi.ComponentResource):
    security_group_id: pulumi.Output[str] | None

    def __init__(self, name: str, args: NetworkEndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:NetworkEndpoints", name, {}, opts)
        self._name, self._args, self._own = name, args, pulumi.ResourceOptions(parent=self)
        context = args.context
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=args.vpc_id,
            vpc_endpoint_type="Gateway",
            service_name=service_name(context, "s3"),
            route_table_ids=list(args.route_table_ids),
            tags={"Name": context.name("s3")},
            opts=self._own,
        )
        self.security_group_id = None
        if context.settings.network.interface_endpoints:
            self.security_group_id = self._security_group()
            for service in services(context):
                self._interface(service, self.security_group_id)
        self.register_outputs({"securityGroupId": self.security_group_id})

    def _security_group(self) -> pulumi.Output[str]:
        name, args = self._name, self._args
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            name=args.context.name("endpoints"),
            description="Endpoints of AWS services: HTTPS from the VPC",
            vpc_id=args.vpc_id,
            tags={"Name": args.context.name("endpoints")},
            opts=self._own,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            cidr_ipv4=args.vpc_cidr,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            opts=self._own,
        )
        return group.id

    def _interface(self, service: str, group: pulumi.Input[str]) -> None:
        args = self._args
        aws.ec2.VpcEndpoint(
            f"{self._name}-{service.replace('.', '-')}",
            vpc_id=args.vpc_id,
            vpc_endpoint_type="Interface",
            service_name=service_name(args.context, service),
            private_dns_enabled=True,
            subnet_ids=list(args.subnet_ids),
            security_group_ids=[group],
            tags={"Name": args.context.name(service)},
            opts=self._own,
        )


def services(context: AwsContext) -> tuple[str, ...]:
    return (*COMMON, *NODES) if context.settings.target == "eks" else COMMON


def service_name(context: AwsContext, service: str) -> str:
    china = context.partition.name == "aws-cn" and service in CHINESE
    return f"{'cn.com' if china else 'com'}.amazonaws.{context.region}.{service}"
