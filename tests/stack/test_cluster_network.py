"""The edges of the picture, as the cluster's network plugin enforces them: what a pod outside of it can reach."""

from __future__ import annotations

import json
import uuid

from cluster_deployment import ClusterDeployment
from kubectl import bare_pod, wait_until

from infra.kubernetes import names

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
    pod = bare_pod(
        name, deployed.get("deployment", "worker")["spec"]["template"]["spec"], [python, "-c", CONNECT, *targets], labels
    )
    place = ["--namespace", namespace or deployed.namespace]
    deployed.kubectl("create", "--filename=-", *place, stdin=json.dumps(pod))
    try:
        wait_until(lambda: deployed.get("pod", name, *place)["status"]["phase"] in ("Succeeded", "Failed"), 60)
        said = deployed.kubectl("logs", name, *place).stdout
        return dict(line.rsplit(" ", 1) for line in said.splitlines())  # type: ignore[arg-type]
    finally:
        deployed.kubectl("delete", "pod", name, *place, "--grace-period=1", "--wait=false")
