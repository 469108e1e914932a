"""The pods that a resource of Kubernetes describes, read once for every rule: each specification with all its containers.

A workload holds the pod's template at a depth of its own, a list (``DeploymentList``, as Pulumi registers it) holds workloads,
and three lists of a specification run containers: ``initContainers``, ``containers``, ``ephemeralContainers``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from policies.relations import meant
from policies.resource import NotKnown, Resource, Stack, View
from policies.rule import Verdict, each

NAMESPACE: Final = "kubernetes:core/v1:Namespace"
CONTAINER_LISTS: Final = ("initContainers", "containers", "ephemeralContainers")
DEFAULT_NAMESPACE: Final = "default"

# Where the mapping of the pod's metadata and spec stands, by kind.
_TEMPLATES: Final = {
    "Pod": (),
    "PodTemplate": ("template",),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "ScaledJob": ("spec", "jobTargetRef", "template"),
    "Rollout": ("spec", "template"),
}
_KINDS: Final = {
    "core/v1": ("Pod", "PodTemplate", "ReplicationController"),
    "apps/v1": ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"),
    "apps/v1beta2": ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"),
    "apps/v1beta1": ("Deployment", "StatefulSet"),
    "extensions/v1beta1": ("Deployment", "DaemonSet", "ReplicaSet"),
    "batch/v1": ("Job", "CronJob"),
    "batch/v1beta1": ("CronJob",),
    "keda.sh/v1alpha1": ("ScaledJob",),
    "argoproj.io/v1alpha1": ("Rollout",),
}
_SINGLE: Final = {f"kubernetes:{group}:{kind}": kind for group, kinds in _KINDS.items() for kind in kinds}
_LISTS: Final = {f"{name}List": kind for name, kind in _SINGLE.items()}
_PATCHES: Final = {f"{name}Patch": kind for name, kind in _SINGLE.items()}
_KIND_OF: Final = {**_SINGLE, **_LISTS, **_PATCHES}

# Resources that describe one pod.
SINGLE: Final = tuple(_SINGLE)
# Resources that describe whole pods, and those that change some fields of pods which somebody else made.
WORKLOADS: Final = (*_SINGLE, *_LISTS)
PATCHES: Final = tuple(_PATCHES)
# The inputs that a pod stands in, whichever of these the type has.
PROPERTIES: Final = ("items", "spec", "template")


@dataclass(frozen=True)
class Pod:
    """``kind``: of what makes it (``Deployment``); ``owner``: that whole object; ``template``: the pod's metadata and spec."""

    kind: str
    owner: View
    template: View
    spec: View

    @property
    def name(self) -> str:
        metadata = self.owner.mapping("metadata")
        return (metadata.text("name") if metadata else None) or ""

    def labels(self) -> dict[str, str]:
        return labels_of(self.template.mapping("metadata"))

    def containers(self, *lists: str) -> list[View]:
        """All of them, or those of the lists that are named."""
        return [container for name in lists or CONTAINER_LISTS for container in self.spec.mappings(name) or []]


def pods_of(resource: Resource) -> list[Pod]:
    """One pod of a workload, one an item of a list; none of any other resource, or where there is no specification."""
    kind = _KIND_OF.get(resource.type)
    if kind is None:
        return []
    owners = (resource.view.mappings("items") or []) if resource.type in _LISTS else [resource.view]
    return [pod for owner in owners if (pod := _pod(kind, owner))]


def specification_of(resource_type: str) -> tuple[str, ...]:
    """The names that lead to the pod's specification in a resource of one of :data:`SINGLE`."""
    return (*_TEMPLATES[_SINGLE[resource_type]], "spec")


def each_pod(resource: Resource, judge: Callable[[Pod], Verdict]) -> Verdict:
    return each(*(partial(judge, pod) for pod in pods_of(resource)))


def each_container(resource: Resource, judge: Callable[[Pod, View], Verdict], *lists: str) -> Verdict:
    """What cannot be read of one container does not hide what is found in another."""
    return each_pod(resource, lambda pod: each(*(partial(judge, pod, container) for container in pod.containers(*lists))))


def namespace_of(stack: Stack, resource: Resource, owner: View | None = None) -> str:
    """The name of the namespace that ``resource`` (or ``owner``, an item of it) lies in, ``default`` where it says none.

    On a first preview that is not known, as the namespace is made by the same stack: then the engine's edges lead to it.
    Raises :class:`policies.resource.NotKnown` where they do not.
    """
    metadata = (owner or resource.view).mapping("metadata")
    try:
        return (metadata.text("namespace") if metadata else None) or DEFAULT_NAMESPACE
    except NotKnown:
        found = meant(stack, resource, "metadata", (NAMESPACE,))
        if len(found) != 1:
            raise
        return name_of_namespace(found[0])


def name_of_namespace(namespace: Resource) -> str:
    """Its name, or its URN where only the provider will know the name."""
    try:
        metadata = namespace.view.mapping("metadata")
        return (metadata.text("name") if metadata else None) or namespace.urn
    except NotKnown:
        return namespace.urn


def labels_of(metadata: View | None) -> dict[str, str]:
    labels = metadata.mapping("labels") if metadata else None
    return {name: labels.text(name) or "" for name in labels.names()} if labels else {}


def _pod(kind: str, owner: View) -> Pod | None:
    template = owner.within(*_TEMPLATES[kind])
    spec = template.mapping("spec") if template else None
    return Pod(kind, owner, template, spec) if template and spec else None
