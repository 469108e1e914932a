"""Which nodes a pod may go to: apart from its like, together with its volume, and onto GPUs where it computes on them."""

from __future__ import annotations

from pulumi_kubernetes.core.v1 import (
    AffinityArgs,
    NodeAffinityArgs,
    NodeSelectorArgs,
    NodeSelectorRequirementArgs,
    NodeSelectorTermArgs,
    PodAffinityArgs,
    PodAffinityTermArgs,
    TolerationArgs,
    TopologySpreadConstraintArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs

from infra.kubernetes.model_store import ModelStore
from infra.kubernetes.names import GPU_NODE_LABEL, GPU_TAINT_KEY, Part, selector
from infra.settings import Settings

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def on_gpu_nodes(part: Part, settings: Settings, models: ModelStore | None) -> bool:
    """Inference itself; and the model Job where their volume can be on one node alone, which then must be a GPU's."""
    if settings.inference.device != "cuda":
        return False
    return part == "inference" or (part == "model" and _on_one_node(models))


def tolerations(part: Part, settings: Settings, models: ModelStore | None) -> list[TolerationArgs] | None:
    if not on_gpu_nodes(part, settings, models):
        return None
    return [TolerationArgs(key=GPU_TAINT_KEY, operator="Exists", effect="NoSchedule")]


def affinity(part: Part, settings: Settings, models: ModelStore | None) -> AffinityArgs | None:
    node = pods = None
    if on_gpu_nodes(part, settings, models):
        has_gpu = NodeSelectorRequirementArgs(key=GPU_NODE_LABEL, operator="In", values=["true"])
        node = NodeAffinityArgs(
            required_during_scheduling_ignored_during_execution=NodeSelectorArgs(
                node_selector_terms=[NodeSelectorTermArgs(match_expressions=[has_gpu])]
            )
        )
    if models is not None and models.on_one_node:
        # The scheduler itself does not know that a ReadWriteOnce volume is attached elsewhere. The first pod may go anywhere,
        # since it matches its own term.
        beside = PodAffinityTermArgs(topology_key=HOST, label_selector=LabelSelectorArgs(match_labels=models.pod_labels))
        pods = PodAffinityArgs(required_during_scheduling_ignored_during_execution=[beside])
    return AffinityArgs(node_affinity=node, pod_affinity=pods) if node or pods else None


def spread(part: Part, models: ModelStore | None) -> list[TopologySpreadConstraintArgs] | None:
    """Over zones, then over nodes, as evenly as can be: ``ScheduleAnyway``, because a pod beside its like is better than
    none. Pods of one revision count, so that a rolling update ends as even as it began."""
    if part == "model" or part == "redis" or _on_one_node(models):
        return None
    return [
        TopologySpreadConstraintArgs(
            topology_key=key,
            max_skew=1,
            when_unsatisfiable="ScheduleAnyway",
            label_selector=LabelSelectorArgs(match_labels=selector(part)),
            match_label_keys=["pod-template-hash"],
        )
        for key in (ZONE, HOST)
    ]


def _on_one_node(models: ModelStore | None) -> bool:
    return models is not None and models.on_one_node
