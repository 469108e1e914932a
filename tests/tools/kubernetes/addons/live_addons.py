"""The addons on the cluster that `make cluster` brought up: `pytest tests/tools/kubernetes/addons/live_addons.py`.

A program of our own (probe/) serves one gauge, opens connections when it is asked to, and burns CPU.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tools.kubernetes import cluster as clusters
from tools.kubernetes import images
from tools.kubernetes.address import API_PORT, HOST_ADDRESS
from tools.kubernetes.cluster import Cluster
from tools.kubernetes.golang_build import GoProgram, binaries

IMAGE = "localhost/assistant/test-probe:1"
PROBE = GoProgram("test-probe", "1", Path(__file__).with_name("probe"), ("assistant-stack/tests/probe",))
NAMESPACE = "test-addons"
PORT, OTHER_PORT = 8080, 8081
pytestmark = pytest.mark.timeout(300)


def until(done: Callable[[], bool], seconds: float, what: str) -> float:
    """Seconds that it took."""
    begin = time.monotonic()
    while not done():
        assert time.monotonic() - begin < seconds, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.5)
    return time.monotonic() - begin


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = clusters.require()
    archive = tmp_path_factory.mktemp("probe") / "probe.tar"
    images.write_archive(archive, IMAGE, binaries(PROBE, print)["probe"], user="10001:10001")
    found.load(archive)
    found.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    found.run("create", "namespace", NAMESPACE)
    yield found
    found.run("delete", "namespace", NAMESPACE, "--wait")


def container(cpu: str = "20m") -> dict[str, Any]:
    return {
        "name": "probe",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "ports": [{"name": "web", "containerPort": PORT}],
        "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": "200m"}},
        "readinessProbe": {"httpGet": {"path": "/metrics", "port": PORT}, "periodSeconds": 1},
    }


def thing(api: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": spec,
    }


def deployment(name: str) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container()], "terminationGracePeriodSeconds": 0},
    }
    # No replicas: they are the autoscaler's.
    return thing("apps/v1", "Deployment", name, {"selector": {"matchLabels": {"app": name}}, "template": template})


def service(name: str) -> dict[str, Any]:
    ports = [{"name": "web", "port": PORT, "targetPort": PORT}]
    return thing("v1", "Service", name, {"selector": {"app": name}, "ports": ports})


def addresses(cluster: Cluster, name: str) -> list[str]:
    found = cluster.get("pods", f"--namespace={NAMESPACE}", f"--selector=app={name}")["items"]
    alive = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    return [pod["status"]["podIP"] for pod in alive if pod["status"].get("podIP")]


def ready(cluster: Cluster, name: str) -> int:
    found = cluster.get("deployment", name, f"--namespace={NAMESPACE}")["status"]
    return int(found.get("readyReplicas", 0))


def ask(address: str, path: str, **query: str) -> tuple[int, str]:
    """The host reaches every pod, whatever policies say."""
    connection = http.client.HTTPConnection(address, PORT, timeout=15)
    try:
        connection.request("GET", f"{path}?{urlencode(query)}")
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_an_autoscaler_follows_the_cpu_that_metrics_server_reports(cluster: Cluster) -> None:
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "burner"},
        "minReplicas": 1,
        "maxReplicas": 2,
        "metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
        ],
    }
    cluster.apply([deployment("burner"), thing("autoscaling/v2", "HorizontalPodAutoscaler", "burner", spec)])
    until(lambda: ready(cluster, "burner") == 1, 60, "a pod")
    ask(addresses(cluster, "burner")[0], "/burn")

    seconds = until(lambda: ready(cluster, "burner") == 2, 120, "a second pod")

    measured = cluster.run("top", "pods", f"--namespace={NAMESPACE}", "--selector=app=burner")
    print(f"1 -> 2 pods in {seconds:.0f} s; {measured}")
    assert "burner" in measured


@pytest.mark.parametrize(
    ("name", "more"),
    [
        pytest.param("one", {}, id="one address"),
        pytest.param("all", {"aggregateFromKubeServiceEndpoints": "true", "aggregationType": "sum"}, id="sum over the pods"),
    ],
)
def test_keda_scales_by_a_gauge_up_and_down_again(cluster: Cluster, name: str, more: dict[str, str]) -> None:
    metered, scaled = f"{name}-metered", f"{name}-scaled"
    metadata = {
        "url": f"http://{metered}.{NAMESPACE}.svc:{PORT}/metrics",
        "format": "prometheus",
        "valueLocation": "test_backlog",
        "targetValue": "10",
        **more,
    }
    behaviour = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    spec = {
        "scaleTargetRef": {"name": scaled},
        "minReplicaCount": 1,
        "maxReplicaCount": 3,
        "pollingInterval": 2,
        "cooldownPeriod": 1,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behaviour}},
        "triggers": [{"type": "metrics-api", "metricType": "AverageValue", "metadata": metadata}],
    }
    source = deployment(metered)
    source["spec"]["replicas"] = 2 if more else 1
    cluster.apply([source, service(metered), deployment(scaled), thing("keda.sh/v1alpha1", "ScaledObject", scaled, spec)])
    until(lambda: ready(cluster, metered) == source["spec"]["replicas"] and ready(cluster, scaled) == 1, 60, "the pods")

    def load(value: int) -> None:
        for address in addresses(cluster, metered):
            ask(address, "/set", value=str(value))

    load(15 if more else 30)  # 30 in all, either way: three pods
    up = until(lambda: ready(cluster, scaled) == 3, 120, "three pods")
    load(0)
    down = until(lambda: ready(cluster, scaled) == 1, 180, "one pod again")
    print(f"{name}: 1 -> 3 in {up:.0f} s, 3 -> 1 in {down:.0f} s")


def test_only_what_a_policy_opens_is_open(cluster: Cluster) -> None:
    for name in ("server", "friend", "stranger"):
        cluster.apply([thing("v1", "Pod", name, {"containers": [container()], "terminationGracePeriodSeconds": 0})])
    cluster.run("wait", "--for=condition=Ready", "pod/server", "pod/friend", "pod/stranger", f"--namespace={NAMESPACE}")
    (server,), (friend,), (stranger,) = (addresses(cluster, name) for name in ("server", "friend", "stranger"))

    def connects(source: str, target: str, port: int) -> bool:
        return ask(source, "/dial", to=f"{target}:{port}")[0] == http.HTTPStatus.OK

    def reached() -> list[bool]:
        return [
            connects(friend, server, PORT),
            connects(friend, server, OTHER_PORT),
            connects(stranger, server, PORT),
            connects(friend, HOST_ADDRESS, API_PORT),
        ]

    assert reached() == [True, True, True, True]

    parts = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["server", "friend", "stranger"]}]}
    deny = {"podSelector": parts, "policyTypes": ["Ingress", "Egress"]}
    cluster.apply([thing("networking.k8s.io/v1", "NetworkPolicy", "deny", deny)])
    until(lambda: reached() == [False, False, False, False], 20, "default deny")

    def selector(name: str) -> dict[str, Any]:
        return {"podSelector": {"matchLabels": {"app": name}}}

    arrive = {**selector("server"), "ingress": [{"from": [selector("friend")], "ports": [{"port": "web"}]}]}
    leave = {"podSelector": parts, "policyTypes": ["Egress"], "egress": [{"to": [selector("server")]}]}
    cluster.apply([thing("networking.k8s.io/v1", "NetworkPolicy", "arrive", arrive)])
    cluster.apply([thing("networking.k8s.io/v1", "NetworkPolicy", "leave", leave)])
    until(lambda: reached() == [True, False, False, False], 20, "the one open edge")

    cluster.run("delete", "networkpolicy", "--all", f"--namespace={NAMESPACE}")
    until(lambda: reached() == [True, True, True, True], 20, "open doors again")


@pytest.mark.parametrize(
    "resource", ["scaledobjects.keda.sh", "servicemonitors.monitoring.coreos.com", "httproutes.gateway.networking.k8s.io"]
)
def test_strict_dry_run_knows_the_custom_kinds(cluster: Cluster, resource: str) -> None:
    group = resource.partition(".")[2]
    versions = json.loads(cluster.run("get", "crd", resource, "--output=json"))["spec"]["versions"]
    (version,) = [each["name"] for each in versions if each["storage"]]
    kind = cluster.get("crd", resource)["spec"]["names"]["kind"]
    wrong = thing(f"{group}/{version}", kind, "wrong", {"thisFieldDoesNotExist": 1})
    done = cluster.try_run("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(wrong))
    assert done.returncode != 0
    assert "thisFieldDoesNotExist" in done.stderr
