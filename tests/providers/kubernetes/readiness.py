"""When the real plugin takes an object for done: decisions over objects, with nothing asked and nothing waited for.

Each function takes the live object and what belongs to it, and gives a :class:`Verdict`. Source: the awaiters in
provider/pkg/await of pulumi-kubernetes, version 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]

SKIP = "pulumi.com/skipAwait"
TIMEOUT = "pulumi.com/timeoutSeconds"
DEFAULT_SECONDS = 600.0
SECONDS_BY_KIND = {"PersistentVolumeClaim": 300.0, "Namespace": 300.0}
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
# A container that waits for one of these is only being started.
STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Ready; or failed for good, with the reasons; or still to be waited for, with what is missing."""

    failed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        return not self.failed and not self.waiting


READY = Verdict()


def waiting(*reasons: str) -> Verdict:
    return Verdict(waiting=reasons)


@dataclass(frozen=True, kw_only=True)
class Related:
    """What a decision needs beside the object: its pods, its Service's addresses, the StorageClasses."""

    pods: Sequence[Object] = ()
    endpoint_slices: Sequence[Object] = ()
    storage_classes: Sequence[Object] = ()
    logs: Mapping[str, str] = field(default_factory=dict)  # the last lines of a failed Job's pods, by pod


def verdict(document: Object, related: Related) -> Verdict:
    """Whether ``document`` is done. A kind that is not waited for always is."""
    if skips_await(document):
        return READY
    decide = _DECISIONS.get((document["apiVersion"], document["kind"]))
    return decide(document, related) if decide else READY


def is_awaited(document: Object) -> bool:
    return (document["apiVersion"], document["kind"]) in _DECISIONS and not skips_await(document)


def skips_await(document: Object) -> bool:
    return bool(_annotations(document).get(SKIP) == "true")


def seconds(document: Object, given: float) -> float:
    """How long to wait: the resource's customTimeouts (``given``, 0 for none), its annotation, the kind's own."""
    annotated = _annotations(document).get(TIMEOUT)
    if given > 0:
        return given
    return float(annotated) if annotated else SECONDS_BY_KIND.get(document["kind"], DEFAULT_SECONDS)


def pod_problems(pods: Sequence[Object]) -> tuple[str, ...]:
    """What keeps pods from running, in the words of kubelet and scheduler."""
    problems = [problem for pod in pods for problem in (*_unscheduled(pod), *_broken_containers(pod))]
    return tuple(dict.fromkeys(problems))


def _unscheduled(pod: Object) -> Iterator[str]:
    condition = _condition(pod, "PodScheduled")
    if condition.get("status") == "False":
        yield f"pod {pod['metadata']['name']}: {condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}"


def _broken_containers(pod: Object) -> Iterator[str]:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state = container.get("state") or {}
        held = state.get("waiting") or {}
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
        if held.get("reason", "") in STARTING and not ended.get("exitCode"):
            continue
        reason = held.get("reason") or ended.get("reason") or "Error"
        code = f"exit code {ended['exitCode']}" if ended.get("exitCode") else ""
        words = ", ".join(filter(None, (reason, code, held.get("message") or ended.get("message"))))
        yield f"pod {pod['metadata']['name']}, container {container['name']}: {words}"


def _deployment(document: Object, related: Related) -> Verdict:
    spec, status = document["spec"], document.get("status") or {}
    if not _observed(document):
        return waiting("the rollout has not been noticed yet")
    if _condition(document, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        deadline = spec.get("progressDeadlineSeconds", 600)
        return Verdict(failed=(f"not available within its progressDeadlineSeconds ({deadline})", *pod_problems(related.pods)))
    wanted, updated = spec.get("replicas", 1), status.get("updatedReplicas", 0)
    if spec.get("paused"):
        return READY
    if updated < wanted:
        return waiting(f"{updated} of {wanted} replicas updated", *pod_problems(related.pods))
    if status.get("replicas", 0) > updated:
        return waiting(f"{status['replicas'] - updated} old replicas still end", *pod_problems(related.pods))
    if status.get("availableReplicas", 0) < updated:
        return waiting(f"{status.get('availableReplicas', 0)} of {updated} replicas available", *pod_problems(related.pods))
    return READY


def _stateful_set(document: Object, related: Related) -> Verdict:
    spec, status = document["spec"], document.get("status") or {}
    if not _observed(document):
        return waiting("the rollout has not been noticed yet")
    wanted = spec.get("replicas", 1)
    strategy = spec.get("updateStrategy") or {}
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    to_update = max(wanted - partition, 0) if strategy.get("type") != "OnDelete" else 0
    if status.get("readyReplicas", 0) < wanted:
        return waiting(f"{status.get('readyReplicas', 0)} of {wanted} replicas ready", *pod_problems(related.pods))
    if status.get("updateRevision") != status.get("currentRevision") and status.get("updatedReplicas", 0) < to_update:
        return waiting(f"{status.get('updatedReplicas', 0)} of {to_update} replicas updated", *pod_problems(related.pods))
    return READY


def _daemon_set(document: Object, related: Related) -> Verdict:
    status = document.get("status") or {}
    if not _observed(document):
        return waiting("the rollout has not been noticed yet")
    wanted = status.get("desiredNumberScheduled", 0)
    done = min(status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0))
    return READY if done >= wanted else waiting(f"{done} of {wanted} pods updated and available", *pod_problems(related.pods))


def _job(document: Object, related: Related) -> Verdict:
    if _condition(document, "Complete").get("status") == "True" or document["spec"].get("suspend"):
        return READY
    failure = _condition(document, "Failed")
    if failure.get("status") == "True":
        words = tuple(f"last lines of pod {pod}:\n{text.rstrip()}" for pod, text in related.logs.items() if text.strip())
        reason = f"{failure.get('reason', 'Failed')}: {failure.get('message', '')}"
        return Verdict(failed=(reason, *pod_problems(related.pods), *words))
    return waiting("not complete yet", *pod_problems(related.pods))


def _pod(document: Object, _related: Related) -> Verdict:
    phase = (document.get("status") or {}).get("phase")
    if phase == "Failed":
        return Verdict(failed=("the pod failed", *pod_problems([document])))
    if phase == "Succeeded" or _condition(document, "Ready").get("status") == "True":
        return READY
    return waiting("not ready yet", *pod_problems([document]))


def _service(document: Object, related: Related) -> Verdict:
    spec = document["spec"]
    reasons = []
    addressed = any(
        (endpoint.get("conditions") or {}).get("ready", True) and endpoint.get("addresses")
        for piece in related.endpoint_slices
        for endpoint in piece.get("endpoints") or []
    )
    if targets_pods(document) and not addressed:
        reasons.append("it targets no ready pods yet (one of them must become ready)")
    if spec.get("type") == "LoadBalancer" and not _ingress_addresses(document):
        reasons.append("the load balancer has no address yet")
    return waiting(*reasons) if reasons else READY


def targets_pods(service: Object) -> bool:
    """Whether a Service is waited for until it has an endpoint: not one by name alone, headless or without selector."""
    spec = service["spec"]
    return bool(spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None" and spec.get("selector"))


def _volume_claim(document: Object, related: Related) -> Verdict:
    if (document.get("status") or {}).get("phase") == "Bound":
        return READY
    chosen = document["spec"].get("storageClassName")
    for storage_class in related.storage_classes:
        by_default = chosen is None and _annotations(storage_class).get(DEFAULT_CLASS) == "true"
        if by_default or storage_class["metadata"]["name"] == chosen:
            # Bound only when a pod uses it, so nothing would come of waiting.
            return READY if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" else waiting("not bound yet")
    return waiting("not bound yet: the cluster has no such StorageClass")


def _ingress(document: Object, _related: Related) -> Verdict:
    if _ingress_addresses(document):
        return READY
    return waiting(f"no controller has given it an address; annotate it {SKIP}: 'true' where none does")


def _definition(document: Object, _related: Related) -> Verdict:
    return READY if _condition(document, "Established").get("status") == "True" else waiting("not established yet")


def _volume(document: Object, _related: Related) -> Verdict:
    phase = (document.get("status") or {}).get("phase")
    return READY if phase in ("Available", "Bound") else waiting(f"its phase is {phase or 'unknown'}")


_DECISIONS: Mapping[tuple[str, str], Callable[[Object, Related], Verdict]] = {
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): _definition,
    ("apps/v1", "DaemonSet"): _daemon_set,
    ("apps/v1", "Deployment"): _deployment,
    ("apps/v1", "StatefulSet"): _stateful_set,
    ("batch/v1", "Job"): _job,
    ("networking.k8s.io/v1", "Ingress"): _ingress,
    ("v1", "PersistentVolume"): _volume,
    ("v1", "PersistentVolumeClaim"): _volume_claim,
    ("v1", "Pod"): _pod,
    ("v1", "Service"): _service,
}


def _observed(document: Object) -> bool:
    observed: int = (document.get("status") or {}).get("observedGeneration", 0)
    return bool(observed >= document["metadata"].get("generation", 0))


def _condition(document: Object, kind: str) -> Mapping[str, Any]:
    conditions = (document.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == kind), {})


def _annotations(document: Object) -> Mapping[str, str]:
    return (document.get("metadata") or {}).get("annotations") or {}


def _ingress_addresses(document: Object) -> Sequence[Any]:
    return ((document.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
