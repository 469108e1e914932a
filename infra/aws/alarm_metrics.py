"""The alarm catalogue in CloudWatch's language: of which metrics each measure is made, on EKS and on Fargate. Pure.

Each metric is one of :mod:`infra.aws.emitters`. Missing data means something else for each measure, so each says what.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.telemetry.emf_catalogue import DIMENSION
from infra.alarms import DAY, NOT_MEASURED, Alarm, Measure
from infra.aws.emitters import (
    CERTIFICATES,
    ECS,
    ECS_INSIGHTS,
    INSIGHTS,
    LOAD_BALANCER,
    MEMORYDB,
    Source,
)
from infra.aws.naming import emf_namespace
from infra.kubernetes.names import APPLICATION, Part
from infra.settings import Settings

PARTS: tuple[Part, ...] = ("gateway", "worker", "inference")
MINUTE, QUARTER = 60, 900
PERCENT = 100.0
Missing = Literal["notBreaching", "ignore", "missing"]
COMPARISON = {"above": "GreaterThanThreshold", "below": "LessThanThreshold"}
# The statistics by which a Metrics Insights query puts many metrics together.
_AGGREGATE = {"Maximum": "MAX", "Minimum": "MIN", "Sum": "SUM", "Average": "AVG"}


@dataclass(frozen=True)
class From:
    """The value of a dimension that is known once its source is made."""

    source: Source


@dataclass(frozen=True, kw_only=True)
class Metric:
    """``statistic``: also a percentile, p99. ``among``: the metrics that have these dimensions and others as well, together."""

    namespace: str
    name: str
    dimensions: Mapping[str, str | From]
    statistic: str
    among: bool = False


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """One measure of one part, or of the whole. ``expression``: of the metrics by their ids; None where there is one metric.
    ``scale``: what CloudWatch counts for one of the catalogue's. ``period``: seconds."""

    metrics: Mapping[str, Metric]
    expression: str | None = None
    part: Part | None = None
    scale: float = 1.0
    period: int = MINUTE
    # notBreaching: nothing to measure is nothing wrong. ignore: what was known last still holds. missing: something should
    # always be there, and its absence shows as INSUFFICIENT_DATA.
    missing: Missing = field(kw_only=True)


def unmeasured(settings: Settings) -> Mapping[Measure, str]:
    """What this stack does not measure, and why. Its target is one on AWS."""
    reasons = dict(NOT_MEASURED["fargate" if settings.target == "fargate" else "eks"])
    if settings.redis.url is not None:
        reasons[Measure.REDIS_MEMORY] = "the queue's store is one of yours, whose metrics the stack does not know"
    if settings.target == "eks" and not settings.gpu_pools:
        reasons[Measure.GPU_MEMORY] = "the stack has no pool of GPUs"
    return reasons


def renderings(settings: Settings, stack: str) -> Mapping[Measure, tuple[Rendering, ...]]:
    """Every measure that the stack has, in the catalogue's order."""
    known = measurable("fargate" if settings.target == "fargate" else "eks", settings.cluster.namespace, stack)
    return {measure: known[measure] for measure in Measure if measure not in unmeasured(settings)}


def measurable(platform: Literal["eks", "fargate"], namespace: str, stack: str) -> Mapping[Measure, tuple[Rendering, ...]]:
    """Every measure that such a platform has at all. ``namespace``: the assistant's, of Kubernetes."""
    return {**(_fargate() if platform == "fargate" else _eks(namespace)), **_everywhere(stack)}


def alarm_name(stack: str, alarm: Alarm, rendering: Rendering) -> str:
    return "-".join([APPLICATION, stack, alarm.name, *([rendering.part] if rendering.part else [])])


def threshold(alarm: Alarm, rendering: Rendering) -> float:
    """In the metric's unit, without the dust of floating point."""
    return round(alarm.threshold * rendering.scale, 9)


def evaluation_periods(alarm: Alarm, rendering: Rendering) -> int:
    """So many periods in a row, each beyond the threshold, are at least ``for_seconds``."""
    return max(1, math.ceil(alarm.for_seconds / rendering.period))


def selection(metric: Metric) -> str:
    """How a Metrics Insights query over many metrics begins; conditions may follow."""
    return f'SELECT {_AGGREGATE[metric.statistic]}({metric.name}) FROM "{metric.namespace}"'  # noqa: S608 - names of ours alone


def _everywhere(stack: str) -> dict[Measure, tuple[Rendering, ...]]:
    balancer: Mapping[str, str | From] = {"LoadBalancer": From("load_balancer")}

    def edge(name: str) -> Metric:
        return Metric(namespace=LOAD_BALANCER, name=name, dimensions=balancer, statistic="Sum")

    def own(name: str, part: Part, statistic: str) -> Metric:
        return Metric(namespace=emf_namespace(stack), name=name, dimensions={DIMENSION: part}, statistic=statistic)

    api = Metric(
        namespace=LOAD_BALANCER,
        name="TargetResponseTime",
        dimensions={**balancer, "TargetGroup": From("target_group_api")},
        statistic="p99",
    )
    errors = {"edge": edge("HTTPCode_ELB_5XX_Count"), "gateway": edge("HTTPCode_Target_5XX_Count")}
    # A gateway always runs, and all see the same queue. While Redis is away nobody knows the queue: what was known still holds.
    queue = {"queue": own("QueueOldestSeconds", "gateway", "Maximum")}
    dead, unknown = own("DeadLetters", "gateway", "Maximum"), own("UnknownOutcomes", "gateway", "Maximum")
    finished = {"done": own("MessagesDone", "worker", "Sum"), "failed": own("MessagesFailed", "worker", "Sum")}
    memory = Metric(
        namespace=MEMORYDB,
        name="DatabaseMemoryUsagePercentage",
        dimensions={"ClusterName": From("memorydb_cluster")},
        statistic="Maximum",
        among=True,
    )
    expiry = Metric(
        namespace=CERTIFICATES, name="DaysToExpiry", dimensions={"CertificateArn": From("certificate")}, statistic="Minimum"
    )
    return {
        # What generates text has a target group of its own.
        Measure.API_LATENCY_P99: (Rendering(metrics={"latency": api}, missing="notBreaching"),),
        Measure.TIME_TO_FIRST_TOKEN_P99: (
            Rendering(metrics={"first": own("TimeToFirstTokenSeconds", "inference", "p99")}, missing="notBreaching"),
        ),
        # Without a message there is no share, and nothing wrong. The window is that of the rule for Prometheus.
        Measure.MESSAGE_SUCCESS: (
            Rendering(
                metrics=finished,
                expression="FILL(done, 0) / (FILL(done, 0) + FILL(failed, 0))",
                period=QUARTER,
                missing="notBreaching",
            ),
        ),
        Measure.BACKLOG_AGE: (Rendering(metrics=queue, missing="ignore"),),
        Measure.DEAD_LETTERS: (Rendering(metrics={"dead": dead}, missing="ignore"),),
        Measure.UNKNOWN_OUTCOMES: (Rendering(metrics={"unknown": unknown}, missing="ignore"),),
        Measure.QUEUE_STORE_UNREACHABLE: (
            Rendering(metrics={"up": own("QueueUp", "gateway", "Minimum")}, expression="1 - up", missing="missing"),
        ),
        # The load balancer counts a request only once it has found a target for it.
        Measure.SERVER_ERRORS: (
            Rendering(
                metrics={**errors, "requests": edge("RequestCount")},
                expression="(FILL(edge, 0) + FILL(gateway, 0)) / MAX([FILL(requests, 0), FILL(edge, 0) + FILL(gateway, 0)])",
                missing="notBreaching",
            ),
        ),
        Measure.REDIS_MEMORY: (Rendering(metrics={"memory": memory}, scale=PERCENT, missing="missing"),),
        # Told twice a day.
        Measure.CERTIFICATE_LIFETIME: (Rendering(metrics={"days": expiry}, scale=1 / DAY, period=DAY, missing="ignore"),),
    }


def _eks(namespace: str) -> dict[Measure, tuple[Rendering, ...]]:
    cluster: Mapping[str, str | From] = {"ClusterName": From("eks_cluster")}

    def of(name: str, part: Part, statistic: str) -> Metric:
        dimensions = {**cluster, "Namespace": namespace, "PodName": part}
        return Metric(namespace=INSIGHTS, name=name, dimensions=dimensions, statistic=statistic)

    def nodes(name: str, statistic: str) -> Metric:
        return Metric(namespace=INSIGHTS, name=name, dimensions=cluster, statistic=statistic)

    return {
        Measure.CPU_UTILISATION: tuple(
            Rendering(
                metrics={"cpu": of("pod_cpu_utilization_over_pod_limit", part, "Maximum")},
                part=part,
                scale=PERCENT,
                missing="notBreaching",
            )
            for part in PARTS
        ),
        Measure.PARTS_NOT_READY: tuple(
            Rendering(
                metrics={"desired": of("replicas_desired", part, "Minimum"), "ready": of("replicas_ready", part, "Maximum")},
                expression="IF(desired > 0 AND FILL(ready, 0) < 1, 1, 0)",
                part=part,
                missing="missing",
            )
            for part in PARTS
        ),
        # Each value is of the restarts since the value before.
        Measure.RESTARTS: tuple(
            Rendering(
                metrics={"restarts": of("pod_number_of_container_restarts", part, "Sum")},
                part=part,
                period=QUARTER,
                missing="notBreaching",
            )
            for part in PARTS
        ),
        Measure.GPU_MEMORY: (
            Rendering(metrics={"gpu": nodes("node_gpu_memory_utilization", "Maximum")}, scale=PERCENT, missing="notBreaching"),
        ),
        # A dead node says nothing: each that is ready says 1 a minute, and the cluster knows how many there should be. What a
        # minute's border moves from one period to the next is less than half a node in five minutes.
        Measure.NODES_NOT_READY: (
            Rendering(
                metrics={
                    "nodes": nodes("cluster_node_count", "Minimum"),
                    "ready": nodes("node_status_condition_ready", "Sum"),
                },
                expression="CEIL(nodes - FILL(ready, 0) / 5 - 0.5)",
                period=5 * MINUTE,
                missing="missing",
            ),
        ),
    }


def _fargate() -> dict[Measure, tuple[Rendering, ...]]:
    def of(namespace: str, name: str, part: Part, statistic: str) -> Metric:
        dimensions: Mapping[str, str | From] = {"ClusterName": From("ecs_cluster"), "ServiceName": part}
        return Metric(namespace=namespace, name=name, dimensions=dimensions, statistic=statistic)

    return {
        Measure.CPU_UTILISATION: tuple(
            Rendering(
                metrics={"cpu": of(ECS, "CPUUtilization", part, "Maximum")}, part=part, scale=PERCENT, missing="notBreaching"
            )
            for part in PARTS
        ),
        Measure.PARTS_NOT_READY: tuple(
            Rendering(
                metrics={
                    "desired": of(ECS_INSIGHTS, "DesiredTaskCount", part, "Minimum"),
                    "running": of(ECS_INSIGHTS, "RunningTaskCount", part, "Maximum"),
                },
                expression="IF(desired > 0 AND FILL(running, 0) < 1, 1, 0)",
                part=part,
                missing="missing",
            )
            for part in PARTS
        ),
    }
