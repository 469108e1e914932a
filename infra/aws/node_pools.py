"""Managed node groups: what every pool of nodes has, and the pool for everything that needs no GPU."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext, tags
from infra.aws.identity import WorkloadRole, WorkloadRoleArgs
from infra.aws.naming import EKS_NODE_GROUP_PREFIX
from infra.errors import DeploymentError
from infra.kubernetes.names import POOL_LABEL

if TYPE_CHECKING:
    from infra.aws.eks import EksCluster
    from infra.aws.keys import Keys
    from infra.aws.network import Network

SYSTEM = "system"
# What a node of a managed group needs (docs.aws.amazon.com/eks: create-node-role). The minimal policy that Auto Mode takes
# lacks ec2:DescribeInstances, by which the kubelets of both AMIs learn their names. Neither CNI nor logs are among them: those
# have roles of their own, by Pod Identity, that no other pod of the node can take.
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
TAGGED = ("instance", "volume", "network-interface")  # default tags of the provider do not reach what a group starts
# By operating system, the device that pods' images and scratch space fill; Bottlerocket's first is the system's own, read-only.
DATA_DEVICE: Mapping[str, str] = {"al2023": "/dev/xvda", "bottlerocket": "/dev/xvdb"}
SYSTEM_DEVICE: Mapping[str, str] = {"bottlerocket": "/dev/xvda"}
_GRAVITON = re.compile(r"^[a-z]+[0-9]+g")

Architecture = Literal["x86_64", "arm64"]
Image = Literal["al2023", "bottlerocket"]


def architecture_of(instance_types: Sequence[str]) -> Architecture:
    """By the family's name: a ``g`` after its generation is Graviton. Raises :class:`DeploymentError` for a mixture. Pure."""
    found: set[Architecture] = {"arm64" if _GRAVITON.match(kind) else "x86_64" for kind in instance_types}
    if len(found) > 1:
        raise DeploymentError(
            f"A pool of nodes has instance types of both architectures: {', '.join(instance_types)}. Allowed: types of one, "
            "since all its nodes start from one machine image."
        )
    return found.pop()


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a pool's instances start. ``block``: the id of a capacity block, whose ``instance_type`` the template must say."""

    image: Image
    volume: int
    user_data: str | None = None
    block: str | None = None
    instance_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A node group, in words of EKS. ``instance_types``: none where the launch template says it."""

    words: tuple[str, ...]
    ami_type: str
    capacity_type: Literal["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"]
    instance_types: Sequence[str]
    minimum: int
    maximum: int
    launch: Launch
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[aws.eks.NodeGroupTaintArgs] = ()


@dataclass(frozen=True, kw_only=True)
class NodesArgs:
    context: AwsContext
    network: Network
    cluster: EksCluster
    keys: Keys
    pool: Pool


class Nodes(pulumi.ComponentResource):
    """A role, a launch template and a managed node group. ``scaling_group``: the name of the Auto Scaling group behind it."""

    group: aws.eks.NodeGroup
    scaling_group: pulumi.Output[str]

    def __init__(self, name: str, args: NodesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Nodes", name, {}, opts)
        context, pool, own = args.context, args.pool, pulumi.ResourceOptions(parent=self)
        role = WorkloadRole(
            f"{name}-nodes",
            WorkloadRoleArgs(
                context=context,
                service=context.partition.service("ec2"),
                statements=(),
                words=("nodes", *pool.words),
                managed=NODE_POLICIES,
            ),
            own,
        )
        template = _launch_template(name, args, own)
        self.group = aws.eks.NodeGroup(
            f"{name}-group",
            cluster_name=args.cluster.cluster_name,
            # A prefix: what cannot be changed of a group makes another beside it, whose nodes are there before the old ones go.
            node_group_name_prefix=f"{context.name(*pool.words, longest=EKS_NODE_GROUP_PREFIX - 1)}-",
            node_role_arn=role.arn,
            subnet_ids=args.network.private_subnet_ids,
            version=context.settings.eks.version,
            ami_type=pool.ami_type,
            capacity_type=pool.capacity_type,
            instance_types=list(pool.instance_types) or None,
            launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(lambda version: str(int(version)))
            ),
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=pool.minimum, max_size=pool.maximum, desired_size=pool.minimum
            ),
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            labels={POOL_LABEL: pool.words[-1], **pool.labels},
            taints=list(pool.taints) or None,
            opts=pulumi.ResourceOptions(
                parent=self,
                # A node without a way out joins nothing, and one without its rights pulls no image.
                depends_on=[args.network, *role.ready],
                # The autoscaler's, from the first pod on.
                ignore_changes=["scalingConfig.desiredSize"],
                custom_timeouts=pulumi.CustomTimeouts(create="40m", update="60m", delete="40m"),
            ),
        )
        self.scaling_group = self.group.resources.apply(_scaling_group)
        self.register_outputs({"scalingGroup": self.scaling_group})


def _launch_template(name: str, args: NodesArgs, own: pulumi.ResourceOptions) -> aws.ec2.LaunchTemplate:
    context, pool = args.context, args.pool
    launch, key = pool.launch, args.keys.arn("cluster")
    named = {**tags(context.stack, context.settings), "Name": context.name(*pool.words)}
    market = reservation = None
    if launch.block is not None:
        market = aws.ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block")
        target = aws.ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
            capacity_reservation_id=launch.block
        )
        reservation = aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs(capacity_reservation_target=target)
    return aws.ec2.LaunchTemplate(
        f"{name}-template",
        name=context.name(*pool.words),
        description=f"nodes of the pool {pool.words[-1]} in {context.stack}",
        update_default_version=True,
        instance_type=launch.instance_type,
        instance_market_options=market,
        capacity_reservation_specification=reservation,
        user_data=launch.user_data,
        # The node's own credentials are one hop away: a pod, which is two, gets its own by Pod Identity or none.
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled",
            http_tokens="required",
            http_put_response_hop_limit=1,
            instance_metadata_tags="disabled",
        ),
        block_device_mappings=_volumes(launch, key),
        # Said here, the cluster's group is not added by EKS any more.
        network_interfaces=[
            aws.ec2.LaunchTemplateNetworkInterfaceArgs(
                device_index=0,
                associate_public_ip_address="false",
                delete_on_termination="true",
                security_groups=[args.cluster.security_group_id],
            )
        ],
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=dict(named)) for kind in TAGGED
        ],
        opts=own,
    )


def _volumes(launch: Launch, key: pulumi.Input[str]) -> list[aws.ec2.LaunchTemplateBlockDeviceMappingArgs]:
    """Every volume encrypted with the cluster's key; the one that fills in the size of the settings."""
    sizes: dict[str, int | None] = {DATA_DEVICE[launch.image]: launch.volume}
    if launch.image in SYSTEM_DEVICE:
        sizes = {SYSTEM_DEVICE[launch.image]: None, **sizes}
    return [
        aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
            device_name=device,
            ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                volume_type="gp3",
                volume_size=size,
                encrypted="true",
                kms_key_id=key,
                delete_on_termination="true",
            ),
        )
        for device, size in sizes.items()
    ]


def _scaling_group(resources: Sequence[Any]) -> str:
    """EKS makes exactly one for a managed group."""
    first = resources[0]
    groups = first["autoscaling_groups"] if isinstance(first, Mapping) else first.autoscaling_groups
    return str(groups[0]["name"] if isinstance(groups[0], Mapping) else groups[0].name)


@dataclass(frozen=True, kw_only=True)
class SystemPoolArgs:
    context: AwsContext
    network: Network
    cluster: EksCluster
    keys: Keys


class SystemPool(pulumi.ComponentResource):
    """``group``: what waits for nodes depends on."""

    group: aws.eks.NodeGroup

    def __init__(self, name: str, args: SystemPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:SystemPool", name, {}, opts)
        settings = args.context.settings.eks.system_pool
        standard = {"x86_64": "AL2023_x86_64_STANDARD", "arm64": "AL2023_ARM_64_STANDARD"}
        pool = Pool(
            words=(SYSTEM,),
            ami_type=standard[architecture_of(settings.instance_types)],
            capacity_type="ON_DEMAND",
            instance_types=settings.instance_types,
            minimum=settings.minimum,
            maximum=settings.maximum,
            launch=Launch(image="al2023", volume=settings.volume),
        )
        nodes = Nodes(
            name,
            NodesArgs(context=args.context, network=args.network, cluster=args.cluster, keys=args.keys, pool=pool),
            pulumi.ResourceOptions(parent=self),
        )
        self.group = nodes.group
        self.register_outputs({"nodeGroup": self.group.node_group_name})
