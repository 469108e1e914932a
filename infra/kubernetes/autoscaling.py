"""How many pods: the gateway by its CPU; workers and inference by what waits for them (KEDA), or by their CPU as well.

KEDA is not installed by the stack: it belongs to the cluster, not to one tenant of it (docs/kubernetes.md). The Deployments
leave their ``replicas`` out, so that an ``up`` never undoes what a scaler did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.autoscaling.v2 import (
    CrossVersionObjectReferenceArgs,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehaviorArgs,
    HorizontalPodAutoscalerSpecArgs,
    HPAScalingPolicyArgs,
    HPAScalingRulesArgs,
    MetricSpecArgs,
    MetricTargetArgs,
    ResourceMetricSourceArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.cluster_settings import Autoscaling as Scaling
from infra.cluster_settings import Bounds
from infra.kubernetes.names import METRICS_PORT, Part, labels, metrics_service
from infra.settings import Settings

Scaled = Literal["gateway", "worker", "inference"]

BACKLOG_METRIC = "assistant_queue_backlog"
QUEUE_METRIC = "assistant_inference_queue_length"
# KEDA refuses to scale what an HPA already scales, unless that HPA says so: then `autoscaling.keda` can be switched on later.
YIELDS_TO_KEDA = {"validations.keda.sh/hpa-ownership": "false"}
# Reads that fail one after another before KEDA falls back.
FAILURES_BEFORE_FALLBACK = 3
# A backlog so large never is: such a trigger wakes a part that has no pod, and asks for no more than one.
WAKE_ONLY = 1_000_000
# Kubernetes' own defaults, written out: within a period twice as many pods, or four more; down to what is needed at once,
# when the load has been lower for long enough.
PERIOD_SECONDS = 15
UP_PODS = 4


@dataclass(frozen=True, kw_only=True)
class AutoscalingArgs:
    namespace: pulumi.Input[str]
    settings: Settings


class Autoscaling(pulumi.ComponentResource):
    """A HorizontalPodAutoscaler or a ScaledObject for each of gateway, worker and inference, named as its Deployment."""

    def __init__(self, name: str, args: AutoscalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Autoscaling", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        settings = args.settings
        for line in advice(settings):
            pulumi.log.info(line, self)

        def by_its_cpu(part: Scaled) -> HorizontalPodAutoscaler:
            annotations = None if part == "gateway" else YIELDS_TO_KEDA
            return HorizontalPodAutoscaler(
                f"{name}-{part}",
                metadata=ObjectMetaArgs(name=part, namespace=args.namespace, labels=labels(part), annotations=annotations),
                spec=by_cpu(part, settings),
                opts=child,
            )

        def by_what_waits(part: Scaled) -> CustomResource:
            return CustomResource(
                f"{name}-{part}",
                api_version="keda.sh/v1alpha1",
                kind="ScaledObject",
                metadata=ObjectMetaArgs(name=part, namespace=args.namespace, labels=labels(part)),
                spec=scaled_object(part, args.namespace, settings),
                opts=child,
            )

        self.gateway = by_its_cpu("gateway")
        by_load = by_what_waits if settings.autoscaling.keda else by_its_cpu
        self.worker: pulumi.CustomResource = by_load("worker")
        self.inference: pulumi.CustomResource = by_load("inference")
        self.register_outputs({})


def advice(settings: Settings) -> list[str]:
    """What a person should know of how this stack scales."""
    scaling = settings.autoscaling
    lines = []
    if not scaling.keda:
        lines.append(
            "autoscaling.keda is off: workers and inference follow their CPU, not the queue. "
            "Install KEDA in the cluster (docs/kubernetes.md) and set it to true."
        )
        if settings.inference.device == "cuda":
            lines.append("The CPU of a pod says little of its GPU: without KEDA, inference on GPUs hardly scales.")
    bounds = {"gateway": scaling.gateway, "worker": scaling.worker, "inference": scaling.inference}
    for part, bound in bounds.items():
        if bound.minimum == 0 and (part == "gateway" or not scaling.keda):
            lines.append(f"autoscaling.{part}.minimum is 0, but nothing could wake it: one pod stays.")
    if scaling.keda and scaling.inference.minimum == 0:
        lines.append("autoscaling.inference.minimum is 0: events wake inference, but a question to the answer API does not.")
    return lines


def by_cpu(part: Scaled, settings: Settings) -> HorizontalPodAutoscalerSpecArgs:
    """CPU in percent of what the pod asks for; the gateway's target serves for all, since the others' are of other things."""
    scaling = settings.autoscaling
    bounds = _bounds(part, scaling)
    target = MetricTargetArgs(type="Utilization", average_utilization=scaling.gateway.target)
    return HorizontalPodAutoscalerSpecArgs(
        scale_target_ref=CrossVersionObjectReferenceArgs(api_version="apps/v1", kind="Deployment", name=part),
        min_replicas=max(1, bounds.minimum),
        max_replicas=bounds.maximum,
        metrics=[MetricSpecArgs(type="Resource", resource=ResourceMetricSourceArgs(name="cpu", target=target))],
        behavior=behavior(scaling.scale_down_seconds),
    )


def scaled_object(part: Scaled, namespace: pulumi.Input[str], settings: Settings) -> dict[str, Any]:
    """The ``spec`` of a ScaledObject (keda.sh/docs/latest/reference/scaledobject-spec)."""
    scaling = settings.autoscaling
    bounds = _bounds(part, scaling)
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": part},
        "minReplicaCount": bounds.minimum,
        "maxReplicaCount": bounds.maximum,
        "pollingInterval": scaling.polling_seconds,
        # From one pod to none; among more, the behaviour below holds.
        "cooldownPeriod": scaling.scale_down_seconds,
        # Blind, it keeps what there is and lets nothing fall below the floor.
        "fallback": {
            "failureThreshold": FAILURES_BEFORE_FALLBACK,
            "replicas": max(1, bounds.minimum),
            "behavior": "currentReplicasIfHigher",
        },
        "advanced": {
            "horizontalPodAutoscalerConfig": {"behavior": behavior(scaling.scale_down_seconds)},
            # A part that stands at 0 when KEDA is switched off would stay there: an HPA leaves 0 alone.
            **({} if bounds.minimum else {"restoreToOriginalReplicaCount": True}),
        },
        "triggers": _triggers(part, namespace, bounds),
    }


def behavior(scale_down_seconds: int) -> HorizontalPodAutoscalerBehaviorArgs:
    def percent(value: int) -> HPAScalingPolicyArgs:
        return HPAScalingPolicyArgs(type="Percent", value=value, period_seconds=PERIOD_SECONDS)

    return HorizontalPodAutoscalerBehaviorArgs(
        scale_up=HPAScalingRulesArgs(
            stabilization_window_seconds=0,
            select_policy="Max",
            policies=[percent(100), HPAScalingPolicyArgs(type="Pods", value=UP_PODS, period_seconds=PERIOD_SECONDS)],
        ),
        scale_down=HPAScalingRulesArgs(
            stabilization_window_seconds=scale_down_seconds, select_policy="Max", policies=[percent(100)]
        ),
    )


def _triggers(part: Scaled, namespace: pulumi.Input[str], bounds: Bounds) -> list[dict[str, Any]]:
    if part == "worker":
        # Every gateway pod reads the same queue, so any of them answers for all.
        return [_trigger("gateway", namespace, BACKLOG_METRIC, bounds.target)]
    # Each inference pod has a queue of its own. KEDA before 2.20 does not know how to add up just them.
    adding_up = {"aggregateFromKubeServiceEndpoints": "true", "aggregationType": "sum"}
    own = _trigger("inference", namespace, QUEUE_METRIC, bounds.target, **adding_up)
    # Without a pod there is no queue to read.
    return [own] if bounds.minimum else [own, _trigger("gateway", namespace, BACKLOG_METRIC, WAKE_ONLY)]


def _trigger(part: Part, namespace: pulumi.Input[str], metric: str, target: int, **more: str) -> dict[str, Any]:
    # With `.svc`: KEDA takes Service and namespace from the words between the dots, and a port would stick to the last one.
    url = pulumi.Output.concat("http://", metrics_service(part), ".", namespace, f".svc:{METRICS_PORT}/metrics")
    metadata = {"url": url, "format": "prometheus", "valueLocation": metric, "targetValue": str(target), **more}
    # The value over the pods, so ceil(value / target) pods are wanted; the only type that knows a fallback.
    return {"type": "metrics-api", "metricType": "AverageValue", "metadata": metadata}


def _bounds(part: Scaled, scaling: Scaling) -> Bounds:
    return {"gateway": scaling.gateway, "worker": scaling.worker, "inference": scaling.inference}[part]
