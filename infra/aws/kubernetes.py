"""The Kubernetes of a stack on AWS, and what a cluster of its own needs before the assistant goes into it: add-ons in their
order, nodes, the autoscaler of nodes, the device plugin, and who enters pods into the load balancer's target groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes

from infra.aws.addons import EarlyAddons, EarlyAddonsArgs, LateAddons, LateAddonsArgs
from infra.aws.context import AwsContext
from infra.aws.edge import Edge
from infra.aws.eks import EksCluster, EksClusterArgs
from infra.aws.foundation import Foundation
from infra.aws.gpu_nodes import GpuNodePool, GpuNodePoolArgs
from infra.aws.node_pools import SystemPool, SystemPoolArgs
from infra.kubernetes.cluster_autoscaler import ClusterAutoscaler, ClusterAutoscalerArgs
from infra.kubernetes.device_plugin import DevicePlugin, DevicePluginArgs
from infra.kubernetes.gpu_gate import GpuGate, GpuGateArgs, which_pools
from infra.kubernetes.load_balancer_controller import LoadBalancerController, LoadBalancerControllerArgs
from infra.kubernetes.names import GATEWAY_PORT

Gate = Callable[[pulumi.Input[str], pulumi.ResourceOptions], pulumi.Resource]


@dataclass(frozen=True, kw_only=True)
class AwsKubernetesArgs:
    context: AwsContext
    foundation: Foundation
    edge: Edge


class AwsKubernetes(pulumi.ComponentResource):
    """``provider``: of what goes into the cluster. ``ready``: what must be there before a pod of the assistant is.
    ``gpu_gate``: makes, in a namespace, what proves a GPU before inference rolls out; None where there is none to prove.

    In a cluster of yours (``eks.clusterName``) nothing is made for the whole of it.
    """

    cluster: EksCluster
    provider: pulumi_kubernetes.Provider
    ready: list[pulumi.Resource]
    gpu_gate: Gate | None

    def __init__(self, name: str, args: AwsKubernetesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:AwsKubernetes", name, {}, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        context, foundation = args.context, args.foundation
        self.cluster = EksCluster(
            "eks", EksClusterArgs(context=context, network=foundation.network, keys=foundation.keys), self._child
        )
        self.pools: dict[str, GpuNodePool] = {}
        nodes = self._nodes() if self.cluster.ours else []
        self.provider = self.cluster.kubernetes_provider("kubernetes", pulumi.ResourceOptions(parent=self))
        self.ready = [self._way_in(), *nodes, *(self._controllers(nodes) if self.cluster.ours else [])]
        self.gpu_gate = self._gate if which_pools(context.settings) else None
        self.register_outputs({"clusterName": self.cluster.cluster_name})

    def _after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=list(resources)))

    def _way_in(self) -> pulumi.Resource:
        """From the load balancer to the gateway's pods, which have the cluster's security group. The controller that enters
        them into target groups has no right to change a group."""
        return aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-edge-gateway-in",
            security_group_id=self.cluster.security_group_id,
            referenced_security_group_id=self._args.edge.security_group_id,
            description="edge: events and questions come in",
            ip_protocol="tcp",
            from_port=GATEWAY_PORT,
            to_port=GATEWAY_PORT,
            opts=self._child,
        )

    def _nodes(self) -> list[pulumi.Resource]:
        """The network's add-on before nodes, which are not ready without it; names and the rest after them, since an add-on
        that finds no node stays degraded for twenty minutes."""
        context, foundation, cluster = self._args.context, self._args.foundation, self.cluster
        early = EarlyAddons("addons", EarlyAddonsArgs(context=context, cluster=cluster), self._child)
        system = SystemPool(
            "system",
            SystemPoolArgs(context=context, network=foundation.network, cluster=cluster, keys=foundation.keys),
            self._after(early),
        )
        for pool in context.settings.gpu_pools:
            pool_args = GpuNodePoolArgs(
                context=context, network=foundation.network, cluster=cluster, pool=pool, keys=foundation.keys
            )
            self.pools[pool.name] = GpuNodePool(f"gpu-{pool.name}", pool_args, self._after(early))
        late = LateAddons(
            "late-addons", LateAddonsArgs(context=context, cluster=cluster, keys=foundation.keys), self._after(system)
        )
        return [early, system, *self.pools.values(), late]

    def _controllers(self, nodes: list[pulumi.Resource]) -> list[pulumi.Resource]:
        context, cluster = self._args.context, self.cluster
        inside = pulumi.ResourceOptions.merge(self._after(*nodes), pulumi.ResourceOptions(providers=[self.provider]))
        controller = LoadBalancerController(
            "load-balancer-controller",
            LoadBalancerControllerArgs(
                context=context,
                cluster=cluster.identifier,
                cluster_name=cluster.cluster_name,
                vpc_id=self._args.foundation.network.vpc_id,
                target_group_arns=self._args.edge.target_group_arns,
            ),
            inside,
        )
        autoscaler = ClusterAutoscaler(
            "cluster-autoscaler",
            ClusterAutoscalerArgs(context=context, cluster=cluster.identifier, cluster_name=cluster.cluster_name),
            inside,
        )
        plugin = DevicePlugin("device-plugin", DevicePluginArgs(pools=context.settings.gpu_pools), inside)
        return [controller, autoscaler, plugin]

    def _gate(self, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> pulumi.Resource:
        context, cluster = self._args.context, self.cluster
        return GpuGate(
            "gpu-gate",
            GpuGateArgs(
                namespace=namespace,
                settings=context.settings,
                image=self._args.foundation.registry.images["inference-gpu"],
                pools=which_pools(context.settings),
                kubeconfig=cluster.kubeconfig,
                region=context.region,
                profile=context.settings.aws.profile,
                cluster_name=cluster.cluster_name,
                node_groups={name: pool.group.node_group_name for name, pool in self.pools.items()},
            ),
            opts,
        )
