"""Cluster Autoscaler: managed node groups do not scale themselves. It may change the groups of this cluster and no others.

Rights and flags are those of its own documentation (github.com/kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgs, DeploymentStrategyArgs
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    ContainerPortArgs,
    EnvVarArgs,
    HTTPGetActionArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    ProbeArgs,
    ResourceRequirementsArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from infra.aws.context import AwsContext
from infra.aws.identity import PODS, Statement, WorkloadRole, WorkloadRoleArgs, pod_trust
from infra.kubernetes.cluster_parts import (
    NAMESPACE,
    Rule,
    account_with_rights,
    before_nodes,
    labels_of,
    metadata_of,
    selector_of,
    unprivileged,
    unprivileged_pod,
)
from infra.kubernetes.third_party_images import cluster_autoscaler

PROGRAM = "cluster-autoscaler"
PORT = 8085
# EKS puts both on the Auto Scaling group of every managed node group (docs.aws.amazon.com/eks: managed-node-groups).
ENABLED_TAG = "k8s.io/cluster-autoscaler/enabled"
CLUSTER_TAG = "k8s.io/cluster-autoscaler/{cluster}"
LOOK = (
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLaunchConfigurations",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeTags",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:GetInstanceTypesFromInstanceRequirements",
)
SCALE = ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup")

_READ = ("get", "list", "watch")
EVERYWHERE = (
    Rule("", ("events",), ("create", "patch")),
    Rule("", ("pods/eviction",), ("create",)),
    Rule("", ("pods/status",), ("update",)),
    Rule("", ("nodes",), (*_READ, "update")),
    Rule(
        "",
        ("namespaces", "pods", "services", "replicationcontrollers", "persistentvolumeclaims", "persistentvolumes"),
        _READ,
    ),
    Rule("apps", ("statefulsets", "replicasets", "daemonsets"), _READ),
    Rule("batch", ("jobs", "cronjobs"), _READ),
    Rule("policy", ("poddisruptionbudgets",), _READ),
    Rule("storage.k8s.io", ("storageclasses", "csinodes", "csidrivers", "csistoragecapacities", "volumeattachments"), _READ),
    Rule("resource.k8s.io", ("resourceclaims", "resourceslices", "deviceclasses"), _READ),
)
AT_HOME = (
    Rule("", ("configmaps",), ("create", "list", "watch")),
    Rule("", ("configmaps",), ("delete", "get", "update"), (f"{PROGRAM}-status",)),
    Rule("coordination.k8s.io", ("leases",), ("create",)),
    Rule("coordination.k8s.io", ("leases",), ("get", "update"), (PROGRAM,)),
)


@dataclass(frozen=True, kw_only=True)
class ClusterAutoscalerArgs:
    """``cluster``: the name as plain text. ``image``: in place of the table's, for networks that mirror it."""

    context: AwsContext
    cluster: str
    cluster_name: pulumi.Input[str]
    image: str | None = None


class ClusterAutoscaler(pulumi.ComponentResource):
    """``deployment``: ready when it leads. ``opts`` carry both providers, AWS' and the cluster's."""

    association: pulumi.Resource
    deployment: Deployment

    def __init__(self, name: str, args: ClusterAutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:ClusterAutoscaler", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        early = before_nodes(opts)
        role = WorkloadRole(
            f"{name}-identity",
            WorkloadRoleArgs(
                context=args.context,
                service=PODS,
                statements=statements(args.context, args.cluster),
                words=("cluster", "autoscaler"),
                trust=pod_trust(NAMESPACE, PROGRAM, args.cluster),
            ),
            early,
        )
        association = aws.eks.PodIdentityAssociation(
            f"{name}-association",
            cluster_name=args.cluster_name,
            namespace=NAMESPACE,
            service_account=PROGRAM,
            role_arn=role.arn,
            opts=early,
        )
        rights = account_with_rights(name, PROGRAM, EVERYWHERE, AT_HOME, own)
        image = args.image or cluster_autoscaler(args.context.settings.eks.version)
        self.association = association
        self.deployment = Deployment(
            f"{name}-deployment",
            metadata=metadata_of(PROGRAM),
            spec=DeploymentSpecArgs(
                # One works and the others would wait: a pod that is gone is replaced before anybody waits for a node.
                replicas=1,
                strategy=DeploymentStrategyArgs(type="Recreate"),
                revision_history_limit=3,
                selector=LabelSelectorArgs(match_labels=selector_of(PROGRAM)),
                template=PodTemplateSpecArgs(
                    metadata=ObjectMetaArgs(labels=labels_of(PROGRAM)), spec=_pod(args.context.region, args.cluster, image)
                ),
            ),
            # A pod that starts before its role is associated is given no credentials, and never asks again.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[association, *role.ready, *rights]),
        )
        self.register_outputs({})


def statements(context: AwsContext, cluster: str) -> list[Statement]:
    """Looking at everything, which has no narrower form, and scaling what bears this cluster's tag."""
    ours = {"StringEquals": {f"aws:ResourceTag/{CLUSTER_TAG.format(cluster=cluster)}": "owned"}}
    groups = context.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")
    nodes = context.arn("eks", f"nodegroup/{cluster}/*")
    return [
        Statement(LOOK, ["*"]),
        Statement(("eks:DescribeNodegroup",), [nodes]),
        Statement(SCALE, [groups], ours),
    ]


def flags(cluster: str) -> list[str]:
    """Pure. A GPU is dear: its node goes after ten idle minutes, like any other, also where it has an emptyDir."""
    return [
        "--cloud-provider=aws",
        f"--namespace={NAMESPACE}",
        f"--node-group-auto-discovery=asg:tag={ENABLED_TAG},{CLUSTER_TAG.format(cluster=cluster)}",
        # Groups that differ in their zone alone are kept level.
        "--balance-similar-node-groups=true",
        "--expander=least-waste",
        "--skip-nodes-with-local-storage=false",
        "--skip-nodes-with-system-pods=false",
        "--scale-down-unneeded-time=10m",
        # An instance that has not joined by then is given up, and another group is tried.
        "--max-node-provision-time=15m",
        "--stderrthreshold=info",
        "--v=2",
    ]


def _pod(region: str, cluster: str, image: str) -> PodSpecArgs:
    probe = HTTPGetActionArgs(path="/health-check", port=PORT)
    return PodSpecArgs(
        service_account_name=PROGRAM,
        priority_class_name="system-cluster-critical",
        enable_service_links=False,
        security_context=unprivileged_pod(),
        containers=[
            ContainerArgs(
                name=PROGRAM,
                image=image,
                command=["./cluster-autoscaler", *flags(cluster)],
                # The metadata service, which would tell the region, is a hop too far for a pod.
                env=[EnvVarArgs(name="AWS_REGION", value=region)],
                ports=[ContainerPortArgs(name="http", container_port=PORT)],
                liveness_probe=ProbeArgs(http_get=probe, initial_delay_seconds=60, period_seconds=15, failure_threshold=4),
                resources=ResourceRequirementsArgs(
                    requests={"cpu": "50m", "memory": "300Mi", "ephemeral-storage": "32Mi"},
                    limits={"cpu": "500m", "memory": "600Mi", "ephemeral-storage": "256Mi"},  # its log
                ),
                security_context=unprivileged(),
            )
        ],
    )
