"""What a proof on a pool of GPUs left behind, as kubectl and AWS' API give it, and what a diagnosis asks of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.aws_settings import GpuPool
from infra.kubernetes.names import GPU_RESOURCE, POOL_LABEL

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """``job``, ``pods``, ``serving`` (inference's, which may have the GPUs), ``events``, ``nodes``, ``system_pods`` (of
    kube-system), ``plugin_log``: from kubectl.

    ``issues``: ``health.issues`` of EKS' DescribeNodegroup; ``activities``: of Auto Scaling's DescribeScalingActivities, newest
    first. ``unread``: what could not be asked, and why.
    """

    pool: GpuPool
    region: str
    cluster_name: str
    node_group: str
    namespace: str
    job_name: str
    job: Document | None = None
    pods: Sequence[Document] = ()
    serving: Sequence[Document] = ()
    events: Sequence[Document] = ()
    nodes: Sequence[Document] = ()
    system_pods: Sequence[Document] = ()
    plugin_log: str = ""
    issues: Sequence[Document] = ()
    activities: Sequence[Document] = ()
    unread: Sequence[str] = ()

    @property
    def tried(self) -> list[Document]:
        """The pods of this attempt, newest first: a Job that was held back keeps those of earlier ones."""
        begun = ((self.job or {}).get("status") or {}).get("startTime") or ""
        return sorted((pod for pod in self.pods if _created(pod) >= begun), key=_created, reverse=True)

    @property
    def pool_nodes(self) -> list[Document]:
        return [node for node in self.nodes if node["metadata"].get("labels", {}).get(POOL_LABEL) == self.pool.name]

    def said(self, *reasons: str) -> list[str]:
        """What events with these reasons say of the Job and of this attempt's pods, newest first, each sentence once."""
        names = {self.job_name, *(pod["metadata"]["name"] for pod in self.tried)}
        found = [
            event
            for event in self.events
            if event.get("reason") in reasons and (event.get("involvedObject") or {}).get("name") in names
        ]
        found.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""), reverse=True)
        return list(dict.fromkeys(str(event.get("message", "")).strip() for event in found))

    @property
    def failed_launches(self) -> list[str]:
        """What Auto Scaling said of launches that failed since the last that did not, newest first; then what EKS says."""
        launches = []
        for activity in self.activities:
            if _is_launch(activity):
                break
            if activity.get("StatusCode") == "Failed":
                launches.append(str(activity.get("StatusMessage", "")))
        issues = [
            f"{it.get('code')}: {it.get('message')}" for it in self.issues if it.get("code") == "AsgInstanceLaunchFailures"
        ]
        return [line for line in dict.fromkeys([*launches, *issues]) if line]

    @property
    def launched(self) -> list[str]:
        """Instances that Auto Scaling did launch, newest first."""
        return [str(activity["Description"]) for activity in self.activities if _is_launch(activity)]


@dataclass(frozen=True)
class Refusal:
    """How one run of the probe ended: ``code`` is app.inference.gpu_probe's exit status, or the kernel's."""

    pod: str
    node: str
    code: int
    said: str


def refusals(evidence: Evidence) -> list[Refusal]:
    found = []
    for pod in evidence.tried:
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            ended = (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get("terminated")
            if ended and ended.get("exitCode") and ended.get("reason") != "StartError":
                node = str((pod.get("spec") or {}).get("nodeName", "?"))
                found.append(Refusal(str(pod["metadata"]["name"]), node, int(ended["exitCode"]), _words(ended)))
    return found


def waiting(pods: Sequence[Document]) -> list[tuple[str, str]]:
    """Reason and message of each container that waits to run, or that could not be started at all."""
    found = []
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            state = status.get("state") or {}
            held = state.get("waiting") or (state.get("terminated") if _start_error(state) else None)
            if held:
                found.append((str(held.get("reason", "")), str(held.get("message", "")).strip()))
    return found


def gpus_of(node: Document) -> int:
    """How many GPUs the node offers; 0 also where it does not know of the resource."""
    return int(((node.get("status") or {}).get("allocatable") or {}).get(GPU_RESOURCE, 0))


def condition(node: Document, kind: str) -> Document:
    conditions = (node.get("status") or {}).get("conditions") or []
    return next((it for it in conditions if it.get("type") == kind), {})


def is_ready(item: Document) -> bool:
    return bool(condition(item, "Ready").get("status") == "True")


def is_complete(job: Document) -> bool:
    return condition(job, "Complete").get("status") == "True"


def is_failed(job: Document) -> bool:
    return condition(job, "Failed").get("status") == "True"


def _is_launch(activity: Document) -> bool:
    return activity.get("StatusCode") == "Successful" and str(activity.get("Description", "")).startswith("Launching")


def _start_error(state: Document) -> bool:
    return (state.get("terminated") or {}).get("reason") == "StartError"


def _created(pod: Document) -> str:
    return str(pod["metadata"].get("creationTimestamp", ""))


def _words(ended: Document) -> str:
    """The probe's report, or the last lines that it left, or what the kubelet calls its end."""
    message = str(ended.get("message") or "").strip()
    try:
        return str(json.loads(message)["error"])
    except (ValueError, KeyError, TypeError):
        return " ".join(message.split())[-500:] or str(ended.get("reason", "no word"))
