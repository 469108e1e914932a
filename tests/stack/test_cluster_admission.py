"""What the cluster refuses and where it puts things: Pod Security, GPU nodes, the edges of the picture."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from cluster_deployment import ClusterDeployment, wait_until

from infra.kubernetes import names

GPU_NODE, PLAIN_NODE = "hand-made-gpu", "hand-made-plain"
SETTLE_SECONDS = 5
CONNECT = f"""
import socket, sys, time
time.sleep({SETTLE_SECONDS})  # a network plugin learns of a pod when it runs, and a policy holds a moment later
for target in sys.argv[1:]:
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        print(target, "open")
    except OSError as error:
        print(target, "closed")
"""


def test_refuses_a_privileged_pod(deployed: ClusterDeployment) -> None:
    pod = _pod("privileged", deployed.get("deployment", "worker")["spec"]["template"]["spec"], ["true"])
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    refused = deployed.kubectl("create", "--filename=-", stdin=json.dumps(pod), check=False)
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr
    assert "privileged" in refused.stderr


@pytest.fixture
def nodes(deployed: ClusterDeployment) -> Iterator[None]:
    """Two Node objects made by hand, one with GPUs and their taint: nothing runs there, the scheduler decides all the same."""
    room = {"cpu": "64", "memory": "256Gi", "pods": "110", "ephemeral-storage": "500Gi"}
    taint = {"key": names.GPU_TAINT_KEY, "value": "present", "effect": "NoSchedule"}
    gpu_labels = {names.GPU_NODE_LABEL: "true"}
    _make_node(deployed, GPU_NODE, {**room, names.GPU_RESOURCE: "4"}, gpu_labels, [taint])
    _make_node(deployed, PLAIN_NODE, room, {}, [])
    yield
    deployed.kubectl("delete", "node", GPU_NODE, PLAIN_NODE, "--wait=false")


def test_puts_a_gpu_pod_only_onto_a_node_with_gpus(deployed: ClusterDeployment, nodes: None) -> None:
    inference = _rendered_gpu_inference(deployed)
    wanted = _pod("gpu", inference["spec"]["template"]["spec"], None)
    intolerant = copy.deepcopy(wanted)
    intolerant["metadata"]["name"] = "gpu-intolerant"
    intolerant["spec"]["tolerations"] = []
    elsewhere = _pod("no-gpu", deployed.get("deployment", "inference")["spec"]["template"]["spec"], None)
    elsewhere["spec"]["nodeSelector"] = {"kubernetes.io/hostname": GPU_NODE}
    made = [pod["metadata"]["name"] for pod in (wanted, intolerant, elsewhere)]
    try:
        for pod in (wanted, intolerant, elsewhere):
            deployed.kubectl("create", "--filename=-", stdin=json.dumps(pod))
        wait_until(lambda: bool(deployed.get("pod", "gpu")["spec"].get("nodeName")), 20)
        assert deployed.get("pod", "gpu")["spec"]["nodeName"] == GPU_NODE
        wait_until(lambda: "untolerated taint" in _why_pending(deployed, "gpu-intolerant"), 20)
        wait_until(lambda: "untolerated taint" in _why_pending(deployed, "no-gpu"), 20)
    finally:
        deployed.kubectl("delete", "pod", *made, "--grace-period=0", "--force", check=False)


def test_a_pod_outside_the_picture_reaches_nothing_but_the_gateway(deployed: ClusterDeployment) -> None:
    """Enforced by the test cluster's network plugin. The same pod with a part's labels is let through: the policy decides."""
    targets = ["gateway:443", "redis:6379", "ai-service:8080", "gateway-metrics:9090"]
    stranger = _connections(deployed, targets, {})
    assert set(stranger.values()) == {"closed"}, stranger  # the default denies its way out, too
    worker = _connections(deployed, targets, names.labels("worker"))
    assert worker == {
        "gateway:443": "closed",
        "redis:6379": "open",
        "ai-service:8080": "open",
        "gateway-metrics:9090": "closed",
    }


def test_a_pod_of_another_namespace_reaches_the_gateway_alone(deployed: ClusterDeployment) -> None:
    namespace = f"stranger-{uuid.uuid4().hex[:8]}"
    suffix = f".{deployed.namespace}.svc"
    targets = [f"gateway{suffix}:443", f"redis{suffix}:6379", f"ai-service{suffix}:8080", f"gateway-metrics{suffix}:9090"]
    deployed.kubectl("create", "namespace", namespace)
    try:
        found = _connections(deployed, targets, {}, namespace)
        assert found == {target: "open" if target.startswith("gateway.") else "closed" for target in targets}
    finally:
        deployed.kubectl("delete", "namespace", namespace, "--wait=false")


def _connections(
    deployed: ClusterDeployment, targets: list[str], labels: dict[str, str], namespace: str | None = None
) -> dict[str, str]:
    """Which of ``host:port`` a pod with these labels can open a TCP connection to."""
    name = f"probe-{uuid.uuid4().hex[:8]}"
    python = "/opt/assistant/bin/python"
    pod = _pod(
        name, deployed.get("deployment", "worker")["spec"]["template"]["spec"], [python, "-c", CONNECT, *targets], labels
    )
    pod["metadata"]["labels"].pop("app.kubernetes.io/instance", None) if not labels else None
    place = ["--namespace", namespace or deployed.namespace]
    deployed.kubectl("create", "--filename=-", *place, stdin=json.dumps(pod))
    try:
        wait_until(lambda: deployed.get("pod", name, *place)["status"]["phase"] in ("Succeeded", "Failed"), 60)
        said = deployed.kubectl("logs", name, *place).stdout
        return dict(line.rsplit(" ", 1) for line in said.splitlines())  # type: ignore[arg-type]
    finally:
        deployed.kubectl("delete", "pod", name, *place, "--grace-period=1", "--wait=false")


def _pod(
    name: str, template: dict[str, Any], command: list[str] | None, labels: dict[str, str] | None = None
) -> dict[str, Any]:
    """A bare pod like those of a Deployment; with ``command``, one container that needs none of its volumes."""
    spec = copy.deepcopy(template)
    spec["restartPolicy"] = "Never"
    if command is not None:
        container = spec["containers"][0]
        for field in ("volumeMounts", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "args"):
            container.pop(field, None)
        container["command"] = command
        for field in ("volumes", "initContainers", "serviceAccountName", "serviceAccount", "priorityClassName", "priority"):
            spec.pop(field, None)
        spec["terminationGracePeriodSeconds"] = 1
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def _rendered_gpu_inference(deployed: ClusterDeployment) -> dict[str, Any]:
    from rendering import render

    settings = deployed.engine.settings()
    # A volume that is mounted once keeps all who read it on the node of the first.
    cuda = settings.model_copy(
        update={
            "inference": settings.inference.model_copy(update={"device": "cuda"}),
            "storage": settings.storage.model_copy(update={"model_access": "ReadWriteMany"}),
        }
    )
    return next(it for it in render(cuda) if (it["kind"], it["metadata"]["name"]) == ("Deployment", "inference"))


def _make_node(
    deployed: ClusterDeployment, name: str, room: dict[str, str], labels: dict[str, str], taints: list[dict[str, str]]
) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
        "spec": {"taints": taints},
    }
    deployed.kubectl("create", "--filename=-", stdin=json.dumps(node))
    ready = {"type": "Ready", "status": "True", "reason": "ByHand", "message": "nothing runs here"}
    status = {"status": {"capacity": room, "allocatable": room, "conditions": [ready]}}
    deployed.kubectl("patch", "node", name, "--subresource=status", "--type=merge", f"--patch={json.dumps(status)}")


def _why_pending(deployed: ClusterDeployment, pod: str) -> str:
    conditions = deployed.get("pod", pod)["status"].get("conditions", [])
    return " ".join(condition.get("message", "") for condition in conditions if condition["type"] == "PodScheduled")
