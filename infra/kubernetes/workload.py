"""What every part of the assistant is given, and the objects that each has besides its pods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import Service, ServiceAccount, ServicePortArgs, ServiceSpecArgs
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget, PodDisruptionBudgetSpecArgs

from infra.kubernetes.names import METRICS_PORT, Part, labels, metrics_service, selector
from infra.settings import Settings

# For Pulumi's plugin, where it would wait for what comes later: a volume is bound when its first pod comes, and a Service has
# somebody behind it when its Deployment is ready, for which the program waits anyway.
UNAWAITED = {"pulumi.com/skipAwait": "true"}


@dataclass(frozen=True, kw_only=True)
class WorkloadArgs:
    """``namespace``: known once it is there, so that everything in it waits for it.
    ``environment``: what every process of ours is given besides, those before it in its pod included."""

    namespace: pulumi.Input[str]
    settings: Settings
    image: pulumi.Input[str]
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


def metadata(
    part: Part, namespace: pulumi.Input[str], name: str | None = None, annotations: dict[str, str] | None = None
) -> ObjectMetaArgs:
    return ObjectMetaArgs(name=name or part, namespace=namespace, labels=labels(part), annotations=annotations)


def service_account(part: Part, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> ServiceAccount:
    """An identity of its own, to which rights can be given in a cloud; nothing of the assistant speaks to the API server."""
    return ServiceAccount(
        f"{part}-account", metadata=metadata(part, namespace), automount_service_account_token=False, opts=opts
    )


def disruption_budget(
    part: Part, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions, *, max_unavailable: int | str = 1
) -> PodDisruptionBudget:
    """So many pods at a time are moved for a node's sake. Broken ones may always go: they would hold a node up for nothing."""
    return PodDisruptionBudget(
        f"{part}-budget",
        metadata=metadata(part, namespace),
        spec=PodDisruptionBudgetSpecArgs(
            max_unavailable=max_unavailable,
            unhealthy_pod_eviction_policy="AlwaysAllow",
            selector=LabelSelectorArgs(match_labels=selector(part)),
        ),
        opts=opts,
    )


def metrics_service_of(part: Part, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> Service:
    return Service(
        f"{part}-metrics",
        metadata=metadata(part, namespace, metrics_service(part), UNAWAITED),
        spec=ServiceSpecArgs(
            type="ClusterIP",
            selector=selector(part),
            ports=[ServicePortArgs(name="metrics", port=METRICS_PORT, target_port="metrics")],
        ),
        opts=opts,
    )
