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

from infra.kubernetes.names import GPU_NODE_LABEL, GPU_TAINT_KEY, MODEL_VOLUME_LABEL, Part, selector
from infra.settings import Settings

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
MOUNTS_MODELS: tuple[Part, ...] = ("model", "inference")
MOUNTED = {MODEL_VOLUME_LABEL: "mounted"}


def on_gpu_nodes(part: Part, settings: Settings) -> bool:
    """Inference itself; and the model Job where their volume can be on one node alone, which then must be a GPU's."""
    if settings.inference.device != "cuda":
        return False
    return part == "inference" or (part == "model" and one_node(settings))


def pod_labels(part: Part) -> dict[str, str]:
    return dict(MOUNTED) if part in MOUNTS_MODELS else {}


def tolerations(part: Part, settings: Settings) -> list[TolerationArgs] | None:
    if not on_gpu_nodes(part, settings):
        return None
    return [TolerationArgs(key=GPU_TAINT_KEY, operator="Exists", effect="NoSchedule")]


def affinity(part: Part, settings: Settings) -> AffinityArgs | None:
    node = pods = None
    if on_gpu_nodes(part, settings):
        has_gpu = NodeSelectorRequirementArgs(key=GPU_NODE_LABEL, operator="In", values=["true"])
        node = NodeAffinityArgs(
            required_during_scheduling_ignored_during_execution=NodeSelectorArgs(
                node_selector_terms=[NodeSelectorTermArgs(match_expressions=[has_gpu])]
            )
        )
    if part in MOUNTS_MODELS and one_node(settings):
        # The scheduler itself does not know that a ReadWriteOnce volume is attached elsewhere. The first pod may go anywhere,
        # since it matches its own term.
        beside = PodAffinityTermArgs(topology_key=HOST, label_selector=LabelSelectorArgs(match_labels=dict(MOUNTED)))
        pods = PodAffinityArgs(required_during_scheduling_ignored_during_execution=[beside])
    return AffinityArgs(node_affinity=node, pod_affinity=pods) if node or pods else None


def spread(part: Part, settings: Settings) -> list[TopologySpreadConstraintArgs] | None:
    """Over zones, then over nodes, as evenly as can be: ``ScheduleAnyway``, because a pod beside its like is better than
    none. Pods of one revision count, so that a rolling update ends as even as it began."""
    if part == "model" or part == "redis" or (part in MOUNTS_MODELS and one_node(settings)):
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


def one_node(settings: Settings) -> bool:
    return settings.storage.model_access == "ReadWriteOnce"
