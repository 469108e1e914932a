"""Who emits what in CloudWatch: namespaces, metrics and the sets of dimensions under which they stand.

Data alone, so that an alarm can be followed to something that is really in its stack. Of AWS' services and add-ons what their
documentation lists; of the application its own catalogue. CloudWatch finds a metric by all of its dimensions and by no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.telemetry.emf_catalogue import DIMENSION, METRICS, SERVICES
from infra.aws.naming import emf_namespace
from infra.settings import Settings

# Values of dimensions that are known once something is made, by the names under which the targets hand them over.
Source = Literal["load_balancer", "target_group_api", "certificate", "memorydb_cluster", "eks_cluster", "ecs_cluster"]
PROGRAMS = {"gateway": "app.gateway", "worker": "app.pipeline", "inference": "app.inference"}
ADD_ON = "amazon-cloudwatch-observability"
EMF_VARIABLE = "EMF_NAMESPACE"
LOAD_BALANCER, CERTIFICATES, MEMORYDB = "AWS/ApplicationELB", "AWS/CertificateManager", "AWS/MemoryDB"
ECS, ECS_INSIGHTS, INSIGHTS = "AWS/ECS", "ECS/ContainerInsights", "ContainerInsights"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A resource that shows that the emitter is in a stack: its type, and what stands somewhere in its inputs."""

    type: str
    holds: tuple[str, ...] = ()

    def among(self, resources: Iterable[tuple[str, str]]) -> bool:
        """``resources``: types and inputs, those as JSON."""
        return any(type_ == self.type and all(word in inputs for word in self.holds) for type_, inputs in resources)


@dataclass(frozen=True, kw_only=True)
class Emitter:
    """``fixed``: values of dimensions that it always gives. ``evidence``: all of it is needed."""

    name: str
    namespace: str
    metrics: frozenset[str]
    dimensions: frozenset[frozenset[str]]
    evidence: tuple[Evidence, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)


def emitters(settings: Settings, stack: str) -> tuple[Emitter, ...]:
    """What emits metrics in a stack of these settings. Pure."""
    return (*_everywhere(), *(_fargate(stack) if settings.target == "fargate" else _eks(settings, stack)))


def _everywhere() -> tuple[Emitter, ...]:
    balancer = Evidence(type="aws:lb/loadBalancer:LoadBalancer")
    return (
        # docs.aws.amazon.com/elasticloadbalancing: CloudWatch metrics for your Application Load Balancer.
        Emitter(
            name="the load balancer",
            namespace=LOAD_BALANCER,
            metrics=frozenset({"RequestCount", "HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count"}),
            dimensions=_sets(["LoadBalancer"]),
            evidence=(balancer,),
        ),
        Emitter(
            name="the load balancer, by target group",
            namespace=LOAD_BALANCER,
            metrics=frozenset({"TargetResponseTime", "RequestCount", "HTTPCode_Target_5XX_Count"}),
            dimensions=_sets(["LoadBalancer", "TargetGroup"]),
            evidence=(balancer, Evidence(type="aws:lb/targetGroup:TargetGroup")),
        ),
        # docs.aws.amazon.com/acm: Supported CloudWatch metrics; of certificates that are in use.
        Emitter(
            name="ACM",
            namespace=CERTIFICATES,
            metrics=frozenset({"DaysToExpiry"}),
            dimensions=_sets(["CertificateArn"]),
            evidence=(Evidence(type="aws:lb/listener:Listener", holds=("certificateArn",)),),
        ),
        # docs.aws.amazon.com/memorydb: Metrics for MemoryDB, "calculated at the node level".
        Emitter(
            name="MemoryDB",
            namespace=MEMORYDB,
            metrics=frozenset({"DatabaseMemoryUsagePercentage"}),
            dimensions=_sets(["ClusterName", "NodeName"]),
            evidence=(Evidence(type="aws:memorydb/cluster:Cluster"),),
        ),
    )


def _fargate(stack: str) -> tuple[Emitter, ...]:
    service = Evidence(type="aws:ecs/service:Service")
    return (
        # docs.aws.amazon.com/AmazonECS: Amazon ECS CloudWatch metrics.
        Emitter(
            name="ECS",
            namespace=ECS,
            metrics=frozenset({"CPUUtilization", "MemoryUtilization"}),
            dimensions=_sets(["ClusterName"], ["ClusterName", "ServiceName"]),
            evidence=(service,),
        ),
        # docs.aws.amazon.com/AmazonCloudWatch: Amazon ECS Container Insights (with enhanced observability) metrics.
        Emitter(
            name="Container Insights of ECS",
            namespace=ECS_INSIGHTS,
            metrics=frozenset({"DesiredTaskCount", "RunningTaskCount", "PendingTaskCount"}),
            dimensions=_sets(["ClusterName", "ServiceName"]),
            evidence=(service, Evidence(type="aws:ecs/cluster:Cluster", holds=("containerInsights",))),
        ),
        # CloudWatch Logs takes the metrics out of the lines that the log driver sends.
        *(
            _application(
                stack, part, (Evidence(type=_TASK, holds=(EMF_VARIABLE, emf_namespace(stack), PROGRAMS[part], "awslogs")),)
            )
            for part in SERVICES
        ),
    )


_TASK, _ADD_ON_TYPE = "aws:ecs/taskDefinition:TaskDefinition", "aws:eks/addon:Addon"


def _eks(settings: Settings, stack: str) -> tuple[Emitter, ...]:
    add_on = Evidence(type=_ADD_ON_TYPE, holds=(ADD_ON,))
    fluent_bit = Evidence(type=_ADD_ON_TYPE, holds=(ADD_ON, "json/emf"))
    workload = _sets(["ClusterName", "Namespace", "PodName"], ["ClusterName"])
    # docs.aws.amazon.com/AmazonCloudWatch: Container Insights with enhanced observability. PodName is the workload's.
    insights = (
        Emitter(
            name="Container Insights, of workloads",
            namespace=INSIGHTS,
            metrics=frozenset(
                {
                    "pod_cpu_utilization_over_pod_limit",
                    "pod_number_of_container_restarts",
                    "replicas_desired",
                    "replicas_ready",
                }
            ),
            dimensions=workload,
            evidence=(add_on,),
        ),
        Emitter(
            name="Container Insights, of nodes",
            namespace=INSIGHTS,
            metrics=frozenset({"cluster_node_count", "node_status_condition_ready"}),
            dimensions=_sets(["ClusterName"]),
            evidence=(add_on,),
        ),
    )
    gpus = (
        Emitter(
            name="Container Insights, of GPUs",
            namespace=INSIGHTS,
            metrics=frozenset({"node_gpu_memory_utilization", "node_gpu_utilization"}),
            dimensions=_sets(["ClusterName"], ["ClusterName", "InstanceId", "NodeName"]),
            evidence=(add_on, Evidence(type="aws:eks/nodeGroup:NodeGroup", holds=("NVIDIA",))),
        ),
    )
    return (
        *insights,
        *(gpus if settings.gpu_pools else ()),
        # The add-on's Fluent Bit sends the pods' lines to CloudWatch Logs, which takes the metrics out of them.
        *(_application(stack, part, (fluent_bit, _deployment(stack, part))) for part in SERVICES),
    )


def _deployment(stack: str, part: str) -> Evidence:
    return Evidence(type="kubernetes:apps/v1:Deployment", holds=(PROGRAMS[part], EMF_VARIABLE, emf_namespace(stack)))


def _application(stack: str, part: str, evidence: tuple[Evidence, ...]) -> Emitter:
    return Emitter(
        name=f"the application's {part}",
        namespace=emf_namespace(stack),
        metrics=frozenset(metric.name for metric in METRICS if part in metric.services),
        dimensions=_sets([DIMENSION]),
        evidence=evidence,
        fixed={DIMENSION: part},
    )


def _sets(*sets: Iterable[str]) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(names) for names in sets)
