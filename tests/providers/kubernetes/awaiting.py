"""Waits for objects to become ready or to be gone, and says on the way what they wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.api import Api
from kubernetes.naming import Reference, reference
from kubernetes.readiness import Related, Verdict, is_awaited, seconds, targets_pods, verdict

FIRST_PAUSE = 0.1  # seconds; doubled up to the last
LAST_PAUSE = 1.0
LOG_LINES = 10

Say = Callable[[str], None]


class NotReadyError(Exception):
    """The object exists, and is not what it should be. ``document``: as it was last seen."""

    def __init__(self, document: Mapping[str, Any], reasons: tuple[str, ...]) -> None:
        super().__init__("; ".join(reasons))
        self.document = document
        self.reasons = reasons


def until_ready(api: Api, document: dict[str, Any], *, timeout: float, cancelled: threading.Event, say: Say) -> dict[str, Any]:
    """The live object once it is ready. ``timeout``: the resource's own, 0 for none. Raises :class:`NotReadyError`."""
    if not is_awaited(document):
        return document
    limit = seconds(document, timeout)
    deadline, pause, said = time.monotonic() + limit, FIRST_PAUSE, ""
    while True:
        decision = look(api, document)
        if decision.ready:
            return document
        if decision.failed:
            raise NotReadyError(document, decision.failed)
        if time.monotonic() > deadline:
            raise NotReadyError(document, (f"timed out after {limit:.0f} s", *decision.waiting))
        if (line := "; ".join(decision.waiting)) != said:
            say(line)
            said = line
        if cancelled.wait(pause):
            raise NotReadyError(document, ("cancelled while it was waited for", *decision.waiting))
        pause = min(pause * 2, LAST_PAUSE)
        live = api.get(reference(document))
        if live is None:
            raise NotReadyError(document, ("somebody deleted it while it was waited for",))
        document = live


def look(api: Api, document: Mapping[str, Any]) -> Verdict:
    """One decision, with all that it needs asked for."""
    return verdict(document, _related(api, document))


def until_gone(api: Api, target: Reference, *, uid: str, limit: float, cancelled: threading.Event, say: Say) -> None:
    """Raises :class:`NotReadyError` where it is still there after ``limit`` seconds."""
    deadline, pause, said = time.monotonic() + limit, FIRST_PAUSE, ""
    while (live := api.get(target)) is not None and live["metadata"]["uid"] == uid:
        line = leftovers(live)
        if time.monotonic() > deadline:
            raise NotReadyError(live, (f"still there after {limit:.0f} s", line))
        if line != said:
            say(line)
            said = line
        if cancelled.wait(pause):
            raise NotReadyError(live, ("cancelled while its end was waited for",))
        pause = min(pause * 2, LAST_PAUSE)


def leftovers(document: Mapping[str, Any]) -> str:
    """Why an object that is being deleted is still there."""
    for condition in (document.get("status") or {}).get("conditions") or []:
        if condition["type"] in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining") and condition["status"] == "True":
            return str(condition["message"])
    finalizers = document["metadata"].get("finalizers")
    return f"waiting for its finalizers: {', '.join(finalizers)}" if finalizers else "waiting for its end"


def _related(api: Api, document: Mapping[str, Any]) -> Related:
    kind, metadata = document["kind"], document["metadata"]
    namespace = metadata.get("namespace", "")
    if kind == "Service":
        slices = (
            api.list("discovery.k8s.io/v1", "EndpointSlice", namespace, {"kubernetes.io/service-name": metadata["name"]})
            if targets_pods(document)
            else []
        )
        return Related(endpoint_slices=slices)
    if kind == "PersistentVolumeClaim":
        return Related(storage_classes=api.list("storage.k8s.io/v1", "StorageClass", "", {}))
    if kind not in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        return Related()
    labels = (document["spec"].get("selector") or {}).get("matchLabels") or {}
    pods = [
        {**pod, "apiVersion": "v1", "kind": "Pod"}
        for pod in (api.list("v1", "Pod", namespace, labels) if labels else [])
        if not pod["metadata"].get("deletionTimestamp")
    ]
    return Related(pods=pods, logs=_logs(api, pods) if kind == "Job" and _has_failed(document) else {})


def _has_failed(job: Mapping[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Failed" and condition["status"] == "True" for condition in conditions)


def _logs(api: Api, pods: list[dict[str, Any]]) -> dict[str, str]:
    """The last lines of the newest pod's containers: the others said the same."""
    newest = sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))[-1:]
    return {
        pod["metadata"]["name"]: "".join(api.log(pod, container["name"], LOG_LINES) for container in pod["spec"]["containers"])
        for pod in newest
    }
