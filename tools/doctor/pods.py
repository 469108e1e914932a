"""A stack in a cluster: the doctor in a pod of each part, by ``kubectl exec``; and what the cluster says of the pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.doctor.finding import Examination, Finding, error, note, ok, warning
from tools.doctor import inside
from tools.stack.cluster import PODS, Cluster
from tools.stack.engine import Engine, EngineError

SERVICES: Final = {
    "gateway": "gateway",
    "worker": "worker",
    "inference": "inference",
    "slack-transport": "transport",
    "feishu-transport": "transport",
}
NAME: Final = "app.kubernetes.io/name"
MANY_RESTARTS: Final = 3
OUTSIDE: Final = "the stack, from outside"
WHY: Final = {
    "CrashLoopBackOff": "It ends again and again. Its last words: kubectl logs --previous.",
    "ImagePullBackOff": "Its image cannot be pulled: is it in the registry, and may the node read it?",
    "ErrImagePull": "Its image cannot be pulled: is it in the registry, and may the node read it?",
    "CreateContainerConfigError": "A Secret or ConfigMap that it reads is not there: make up.",
    "OOMKilled": "It was ended for its memory: raise its memory limit (resources), or give it a smaller model.",
}


def examine(cluster: Cluster, engine: Engine, only: tuple[str, ...]) -> list[Examination]:
    """Raises :class:`EngineError` where the cluster does not answer or holds no such stack."""
    if why := cluster.problem():
        raise EngineError(f"The cluster does not answer ({cluster}): {why}")
    pods = cluster.read("pods", f"--selector={PODS}")["items"]
    deployments = [item["metadata"]["name"] for item in cluster.read("deployments", f"--selector={PODS}")["items"]]
    if not pods and not deployments:
        raise EngineError(f"No pods in {cluster}. Bring the stack up with: make up{engine.make_option}")
    outside = [] if only else [Examination(place=OUTSIDE, findings=tuple(judge_pods(pods)))]
    names = [name for name in SERVICES if name in deployments]
    return outside + [
        inside.ask(
            name,
            cluster.command("exec", f"deployment/{name}", f"--container={name}", "--", "python", *inside.arguments(name, only)),
            cluster.environment,
        )
        for name in names
    ]


def judge_pods(pods: list[Mapping[str, Any]]) -> list[Finding]:
    """``pods``: as the cluster's API lists them."""
    found = [finding for pod in pods for finding in _judge(pod)]
    return found or [ok("pods", "All pods are ready", f"{len(pods)} pods")]


def _judge(pod: Mapping[str, Any]) -> list[Finding]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if status.get("phase") == "Succeeded" or "deletionTimestamp" in pod["metadata"]:
        return []
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    found: list[Finding] = []
    for container in containers:
        waiting = container.get("state", {}).get("waiting", {}).get("reason", "")
        last = container.get("lastState", {}).get("terminated", {})
        reason, restarts = str(last.get("reason", "")), int(container.get("restartCount", 0))
        if waiting in WHY:
            found.append(error("pods", f"{name} does not run: {waiting}", f"container {container['name']}", WHY[waiting]))
        elif restarts and reason == "OOMKilled":
            found.append(warning("pods", f"{name} was ended for its memory", f"{restarts} restarts, {reason}", WHY[reason]))
        elif restarts >= MANY_RESTARTS:
            seen = f"{restarts} restarts, the last after {reason or 'an unknown end'} (exit code {last.get('exitCode', '?')})"
            found.append(warning("pods", f"{name} is restarted again and again", seen, WHY["CrashLoopBackOff"]))
        elif restarts:
            found.append(
                note("pods", f"{name} was restarted", f"{restarts} restarts, {reason} (exit code {last.get('exitCode', '?')})")
            )
    conditions = {one.get("type"): one for one in status.get("conditions", [])}
    scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
    if scheduled.get("status") == "False":
        message = str(scheduled.get("message", ""))[:300]
        found.append(
            error(
                "pods", f"{name} has no node", message, "Free or add capacity; a pod that asks for a GPU needs a node with one."
            )
        )
    elif ready.get("status") == "False" and not found:
        found.append(
            error("pods", f"{name} is not ready", str(ready.get("message", ""))[:300], "See the findings of its part below.")
        )
    return found
