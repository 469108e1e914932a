"""Who goes first where a node or the cluster is full: the queue's store, then what people wait for, then the rest."""

from __future__ import annotations

from typing import Literal

import pulumi
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.scheduling.v1 import PriorityClass

from infra.kubernetes.names import APPLICATION, Part

Tier = Literal["store", "serving", "background"]
# Above 0, which is every pod's that says nothing, and far below the system's own (2 000 000 000).
VALUES: dict[Tier, int] = {"store": 3000, "serving": 2000, "background": 1000}
DESCRIPTIONS: dict[Tier, str] = {
    "store": "The assistant's queue: nothing works without it.",
    "serving": "What people wait for: the gateway and inference.",
    "background": "What can be taken up again: workers and the model's conversion.",
}
TIER_OF: dict[Part, Tier] = {
    "redis": "store",
    "gateway": "serving",
    "inference": "serving",
    "slack-transport": "serving",
    "feishu-transport": "serving",
    "worker": "background",
    "model": "background",
}


def class_name(namespace: str, part: Part) -> str:
    """Priority classes belong to the whole cluster: the namespace in the name keeps two stacks apart."""
    return f"{namespace}-{TIER_OF[part]}"


class PriorityClasses(pulumi.ComponentResource):
    """One for each :data:`Tier`. ``background`` waits for room; the others may take it from pods of lower priority."""

    def __init__(self, name: str, namespace: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:PriorityClasses", name, {}, opts)
        for tier, value in VALUES.items():
            PriorityClass(
                f"{name}-{tier}",
                metadata=ObjectMetaArgs(
                    name=f"{namespace}-{tier}",
                    labels={"app.kubernetes.io/part-of": APPLICATION, "app.kubernetes.io/managed-by": "pulumi"},
                ),
                value=value,
                global_default=False,
                preemption_policy="Never" if tier == "background" else "PreemptLowerPriority",
                description=DESCRIPTIONS[tier],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})
