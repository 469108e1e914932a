"""What a stack's Kubernetes on AWS is made of, and that the load balancer reaches the pods in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pulumi
from aws_rendering import Rendered, aws_settings, render_component

from infra.aws.context import AwsContext
from infra.aws.kubernetes import AwsKubernetes, AwsKubernetesArgs
from infra.settings import Settings


class Network(pulumi.ComponentResource):
    def __init__(self) -> None:
        super().__init__("test:Network", "network", {})
        self.private_subnet_ids = ["subnet-1", "subnet-2"]
        self.vpc_id = "vpc-1"


async def rendered(settings: Settings) -> Rendered:
    def make(context: AwsContext) -> None:
        keys = SimpleNamespace(arn=lambda purpose: pulumi.Output.from_input(f"key-{purpose}"))
        foundation: Any = SimpleNamespace(network=Network(), keys=keys)
        edge: Any = SimpleNamespace(security_group_id=pulumi.Output.from_input("sg-edge"), target_group_arns={"api": "tg-api"})
        AwsKubernetes("kubernetes", AwsKubernetesArgs(context=context, foundation=foundation, edge=edge))

    return await render_component(make, settings)


async def test_the_load_balancer_and_nobody_else_reaches_the_gateways_pods():
    for group, settings in (
        ("sg-cluster", aws_settings("prod")),
        ("sg-yours", aws_settings("prod", eks={"clusterName": "yours"})),
    ):
        rule = (await rendered(settings)).one("SecurityGroupIngressRule").inputs
        assert (rule["securityGroupId"], rule["referencedSecurityGroupId"]) == (group, "sg-edge")
        assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 8443, 8443)


async def test_nodes_come_after_their_network_and_before_what_runs_on_them():
    found = await rendered(aws_settings("prod", gpuPools=[{"name": "l4", "instanceTypes": ["g6.xlarge"]}]))
    order = [it.name for it in found.resources]
    pairs = (
        ("addons-vpc-cni", "system-group"),
        ("addons-eks-pod-identity-agent", "system-group"),
        ("system-group", "late-addons-coredns"),
        ("addons-vpc-cni", "gpu-l4-group"),
        ("late-addons-coredns", "cluster-autoscaler-deployment"),
        ("gpu-l4-group", "device-plugin-l4"),
    )
    for earlier, later in pairs:
        assert order.index(earlier) < order.index(later), (earlier, later)


async def test_a_cluster_of_yours_gets_nothing_for_the_whole_of_it():
    found = await rendered(aws_settings("prod", eks={"clusterName": "yours"}))
    assert {it.type for it in found.resources} == {"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"}
