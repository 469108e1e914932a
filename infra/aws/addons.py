"""EKS' add-ons, in two halves: what a node needs to be ready comes before the nodes, what runs on nodes after them. CoreDNS the
other way round stays DEGRADED for the twenty minutes that EKS waits.

Each that calls AWS has a role of its own by Pod Identity. The DCGM exporter and so the metrics of GPUs have one owner, which is
amazon-cloudwatch-observability; the device plugin is infra/kubernetes/device_plugin.py's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from infra.aws.container_logs import FILE, application_logs
from infra.aws.context import AwsContext
from infra.aws.identity import PODS, Statement, WorkloadRole, WorkloadRoleArgs, pod_trust
from infra.aws.logs import LogGroup, LogGroupArgs
from infra.aws.naming import log_group

if TYPE_CHECKING:
    from infra.aws.eks import EksCluster
    from infra.aws.keys import Keys

OBSERVABILITY = "amazon-cloudwatch-observability"
OBSERVABILITY_NAMESPACE, OBSERVABILITY_ACCOUNT = "amazon-cloudwatch", "cloudwatch-agent"
# Words of the log groups under /assistant/<stack>/: of the stack's own pods, of their metrics, and of all other pods.
PODS_LOGS, METRICS_LOGS, CLUSTER_LOGS = "pods", "metrics", "cluster"
# Where the add-on's own configuration sends the lines of every pod: ours sends nothing there, and if somebody takes it off,
# what people asked is masked all the same.
CONTAINERS_LOGS = "application"
# What agent and add-on write under /aws/containerinsights/<cluster>/ (docs.aws.amazon.com/AmazonCloudWatch: Container
# Insights).
INSIGHTS = ("performance", "dataplane", "host", CONTAINERS_LOGS)
# Of the agent and of Fluent Bit; without logs:CreateLogGroup, so that no group is made that is neither encrypted nor ends.
WRITE_LOGS = ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
LOOK = ("logs:DescribeLogGroups", "ec2:DescribeTags", "ec2:DescribeVolumes")


@dataclass(frozen=True, kw_only=True)
class EarlyAddonsArgs:
    context: AwsContext
    cluster: EksCluster


class EarlyAddons(pulumi.ComponentResource):
    """Before the nodes: the network, which also enforces policies, the proxy, and the agent that gives pods their roles."""

    def __init__(self, name: str, args: EarlyAddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:EarlyAddons", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        agent = _addon(name, "eks-pod-identity-agent", args.cluster, own)
        role = WorkloadRole(
            f"{name}-network",
            WorkloadRoleArgs(
                context=args.context,
                service=PODS,
                statements=(),
                words=("vpc", "cni"),
                trust=pod_trust("kube-system", "aws-node", args.cluster.identifier),
                managed=("AmazonEKS_CNI_Policy",),
            ),
            own,
        )
        _addon(
            name,
            "vpc-cni",
            args.cluster,
            pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[agent, *role.ready])),
            configuration=NETWORK,
            roles={"aws-node": role.arn},
        )
        _addon(name, "kube-proxy", args.cluster, own)
        self.register_outputs({})


# Without enableNetworkPolicy the CNI accepts every NetworkPolicy and enforces none; its schema wants text.
NETWORK: dict[str, Any] = {"enableNetworkPolicy": "true"}


@dataclass(frozen=True, kw_only=True)
class LateAddonsArgs:
    context: AwsContext
    cluster: EksCluster
    keys: Keys


class LateAddons(pulumi.ComponentResource):
    """After the system pool: names, metrics for autoscaling, the health of nodes, and what CloudWatch is told of all of it.

    ``pods_log_group``, ``metrics_log_group``: names of the groups that hold the assistant's lines and its metric documents.
    """

    pods_log_group: pulumi.Output[str]
    metrics_log_group: pulumi.Output[str]

    def __init__(self, name: str, args: LateAddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:LateAddons", name, {}, opts)
        own, cluster = pulumi.ResourceOptions(parent=self), args.cluster
        _addon(name, "coredns", cluster, own, configuration=NAMES)
        _addon(name, "metrics-server", cluster, own)
        _addon(name, "eks-node-monitoring-agent", cluster, own)
        groups = self._log_groups(name, args, own)
        role = WorkloadRole(
            f"{name}-observability",
            WorkloadRoleArgs(
                context=args.context,
                service=PODS,
                statements=observability_statements(args.context, [group.arn for group in groups]),
                words=("observability",),
                trust=pod_trust(OBSERVABILITY_NAMESPACE, OBSERVABILITY_ACCOUNT, cluster.identifier),
            ),
            own,
        )
        _addon(
            name,
            OBSERVABILITY,
            cluster,
            pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[*groups, *role.ready])),
            configuration=observability(args.context.stack, args.context.settings.cluster.namespace),
            roles={OBSERVABILITY_ACCOUNT: role.arn},
        )
        self.register_outputs({"podsLogGroup": self.pods_log_group, "metricsLogGroup": self.metrics_log_group})

    def _log_groups(self, name: str, args: LateAddonsArgs, own: pulumi.ResourceOptions) -> list[LogGroup]:
        context, key = args.context, args.keys.arn("logs")

        def group(words: str, *, named: str | None = None, masked: bool = False) -> LogGroup:
            arguments = LogGroupArgs(context=context, key_arn=key, words=(words,), named=named, masked=masked)
            return LogGroup(f"{name}-{words}", arguments, own)

        pods, metrics = group(PODS_LOGS, masked=True), group(METRICS_LOGS)
        self.pods_log_group, self.metrics_log_group = pods.name, metrics.name
        insights = [
            group(words, named=insights_group(args.cluster.identifier, words), masked=words == CONTAINERS_LOGS)
            for words in INSIGHTS
        ]
        return [pods, metrics, group(CLUSTER_LOGS), *insights]


# Two, apart where there are two zones; the add-on's default.
NAMES: dict[str, Any] = {"replicaCount": 2}


def insights_group(cluster: str, words: str) -> str:
    return f"/aws/containerinsights/{cluster}/{words}"


def observability(stack: str, namespace: str) -> dict[str, Any]:
    """The add-on's ``configurationValues``: metrics of nodes, pods and GPUs, and the lines of containers. Pure.

    ``agent.config`` is the CloudWatch agent's: with ``enhanced_container_insights`` it scrapes the DCGM exporter, which the
    add-on runs on NVIDIA's instances (docs.aws.amazon.com/AmazonCloudWatch: install-CloudWatch-Observability-EKS-addon).
    Application Signals are not in it, and its operator is told to instrument nobody: it would put its agent into our pods.
    """
    logs = application_logs(
        namespace=namespace,
        pods=log_group(stack, PODS_LOGS),
        metrics=log_group(stack, METRICS_LOGS),
        others=log_group(stack, CLUSTER_LOGS),
    )
    kubernetes = {"enhanced_container_insights": True, "accelerated_compute_metrics": True}
    return {
        "agent": {"config": {"logs": {"metrics_collected": {"kubernetes": kubernetes}}}},
        "containerLogs": {"enabled": True, "fluentBit": {"config": {"extraFiles": {FILE: logs}}}},
        "manager": {"applicationSignals": {"autoMonitor": {"monitorAllServices": False}}},
    }


def observability_statements(context: AwsContext, groups: Sequence[pulumi.Output[str]]) -> list[Statement]:
    """What of CloudWatchAgentServerPolicy this configuration uses: metrics arrive as documents in log groups."""
    streams = [pulumi.Output.concat(arn, ":*") for arn in groups]
    return [Statement(WRITE_LOGS, [*groups, *streams]), Statement(LOOK, ["*"])]


def _addon(
    name: str,
    addon: str,
    cluster: EksCluster,
    opts: pulumi.ResourceOptions,
    *,
    configuration: Mapping[str, Any] | None = None,
    roles: Mapping[str, pulumi.Input[str]] | None = None,
) -> aws.eks.Addon:
    """In the version that EKS recommends for the cluster's, so that it rises with it. ``roles``: by service account. What
    somebody changed by hand in the cluster is overwritten at the first installation and respected by updates."""
    associations = [
        aws.eks.AddonPodIdentityAssociationArgs(service_account=account, role_arn=role)
        for account, role in (roles or {}).items()
    ]
    patience = pulumi.CustomTimeouts(create="30m", update="30m", delete="30m")
    return aws.eks.Addon(
        f"{name}-{addon}",
        cluster_name=cluster.cluster_name,
        addon_name=addon,
        addon_version=aws.eks.get_addon_version_output(
            addon_name=addon, kubernetes_version=cluster.version, opts=pulumi.InvokeOptions(parent=opts.parent)
        ).version,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="PRESERVE",
        configuration_values=json.dumps(configuration, sort_keys=True) if configuration else None,
        pod_identity_associations=associations or None,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(custom_timeouts=patience)),
    )
