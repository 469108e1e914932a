"""A pool of nodes with NVIDIA GPUs, down to none: what the autoscaler must know of a node that is not there yet, it reads off
the group's tags and labels."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.node_pools import Launch, Nodes, NodesArgs, Pool
from infra.aws_settings import GpuPool
from infra.instance_types import GPU_INSTANCES
from infra.kubernetes.device_plugin import GPU_IMAGE_LABEL
from infra.kubernetes.names import GPU_NODE_LABEL, GPU_RESOURCE, GPU_TAINT_KEY, POOL_LABEL

if TYPE_CHECKING:
    from infra.aws.eks import EksCluster
    from infra.aws.keys import Keys
    from infra.aws.network import Network

TAINT_VALUE = "true"
# By image and architecture (docs.aws.amazon.com/eks: API_Nodegroup, amiType).
AMI_TYPES: Mapping[tuple[str, str], str] = {
    ("al2023", "x86_64"): "AL2023_x86_64_NVIDIA",
    ("al2023", "arm64"): "AL2023_ARM_64_NVIDIA",
    ("bottlerocket", "x86_64"): "BOTTLEROCKET_x86_64_NVIDIA",
    ("bottlerocket", "arm64"): "BOTTLEROCKET_ARM_64_NVIDIA",
}
CAPACITY_TYPES: Mapping[str, Literal["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"]] = {
    "onDemand": "ON_DEMAND",
    "spot": "SPOT",
    "capacityBlock": "CAPACITY_BLOCK",
}
# Read by Cluster Autoscaler, which then does not add a second node while the first one's GPU is not yet announced.
ACCELERATOR_LABEL = "k8s.amazonaws.com/accelerator"
TEMPLATE = "k8s.io/cluster-autoscaler/node-template"


@dataclass(frozen=True, kw_only=True)
class GpuNodePoolArgs:
    context: AwsContext
    network: Network
    cluster: EksCluster
    pool: GpuPool
    keys: Keys


class GpuNodePool(pulumi.ComponentResource):
    """``group``: what waits for its nodes depends on."""

    group: aws.eks.NodeGroup

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:GpuNodePool", name, {}, opts)
        pool, own = args.pool, pulumi.ResourceOptions(parent=self)
        nodes = Nodes(
            name,
            NodesArgs(context=args.context, network=args.network, cluster=args.cluster, keys=args.keys, pool=node_pool(pool)),
            own,
        )
        self.group = nodes.group
        for index, (key, value) in enumerate(sorted(template_tags(pool).items())):
            aws.autoscaling.Tag(
                f"{name}-template-{index}",
                autoscaling_group_name=nodes.scaling_group,
                tag=aws.autoscaling.TagTagArgs(key=key, value=value, propagate_at_launch=False),
                opts=own,
            )
        self.register_outputs({"nodeGroup": self.group.node_group_name})


def node_pool(pool: GpuPool) -> Pool:
    """The settings in EKS' words. Pure."""
    kind = pool.instance_types[0]
    in_block = pool.capacity == "capacityBlock"
    taint = aws.eks.NodeGroupTaintArgs(key=GPU_TAINT_KEY, value=TAINT_VALUE, effect="NO_SCHEDULE")
    return Pool(
        words=("gpu", pool.name),
        ami_type=AMI_TYPES[pool.image, GPU_INSTANCES[kind].architecture],
        capacity_type=CAPACITY_TYPES[pool.capacity],
        instance_types=() if in_block else pool.instance_types,
        minimum=pool.minimum,
        maximum=pool.maximum,
        launch=Launch(
            image=pool.image,
            volume=pool.volume,
            user_data=user_data(pool),
            block=pool.capacity_reservation_id,
            # A capacity block is for one type, which only the template may say (docs.aws.amazon.com/eks: capacity-blocks-mng).
            instance_type=kind if in_block else None,
        ),
        labels={name: value for name, value in labels(pool).items() if name != POOL_LABEL},
        taints=(taint,) if pool.tainted else (),
    )


def labels(pool: GpuPool) -> dict[str, str]:
    """Of each of its nodes. Pure."""
    return {
        POOL_LABEL: pool.name,
        GPU_NODE_LABEL: "true",
        GPU_IMAGE_LABEL: pool.image,
        ACCELERATOR_LABEL: f"nvidia-{GPU_INSTANCES[pool.instance_types[0]].gpu.lower()}",
    }


def template_tags(pool: GpuPool) -> dict[str, str]:
    """What a node would have, for a pool that has none (cluster-autoscaler/cloudprovider/aws/README.md). Pure.

    Of the types of a pool the autoscaler takes the first for all, and so does this.
    """
    gpus = GPU_INSTANCES[pool.instance_types[0]].gpus * pool.time_slices
    found = {f"{TEMPLATE}/label/{name}": value for name, value in labels(pool).items()}
    found[f"{TEMPLATE}/resources/{GPU_RESOURCE}"] = str(gpus)
    found[f"{TEMPLATE}/resources/ephemeral-storage"] = f"{pool.volume}Gi"
    if pool.tainted:
        found[f"{TEMPLATE}/taint/{GPU_TAINT_KEY}"] = f"{TAINT_VALUE}:NoSchedule"
    return found


def user_data(pool: GpuPool) -> str | None:
    """Base64 of what Bottlerocket is told of sharing its GPUs (bottlerocket.dev:
    settings.kubelet-device-plugins.nvidia); AL2023 learns it from the device plugin. EKS merges it with its own. Pure."""
    if pool.image != "bottlerocket" or pool.time_slices == 1:
        return None
    lines = (
        "[settings.kubelet-device-plugins.nvidia]",
        'device-sharing-strategy = "time-slicing"',
        "",
        "[settings.kubelet-device-plugins.nvidia.time-slicing]",
        f"replicas = {pool.time_slices}",
        "rename-by-default = false",
        "fail-requests-greater-than-one = true",
    )
    return base64.b64encode(("\n".join(lines) + "\n").encode()).decode()
