"""What needs an API server and a scheduler but no node: admission, strict dry run of all that settings render, GPU
scheduling; and what kube-score and Checkov say. Where no node can run, this is what is proved."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aws_rendering import eks_objects
from deployment import CHECKOUT
from kubectl import KUBECONFIG, Kubectl, bare_pod, wait_until
from rendering import render

from infra.kubernetes import names
from infra.settings import Settings
from infra.settings_reader import settings_from
from tools.kubernetes.addons import scoring

NEEDED_BY_PODS = ("Namespace", "PriorityClass", "ServiceAccount", "PersistentVolumeClaim")
GPU_NODE, PLAIN_NODE = "hand-made-gpu", "hand-made-plain"
EXPLAINED = Path(__file__).with_name("explained_findings.yaml")
# Each way that settings can turn what is rendered, besides the stack that is deployed.
HOST = "assistant.example.com"
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "ingress": {"exposure": {"kind": "ingress", "host": HOST, "ingressClass": "nginx", "controllerNamespace": "ingress-nginx"}},
    "gateway-api": {"exposure": {"kind": "gateway", "host": HOST, "gateway": "edge/public"}},
    "load-balancer": {"exposure": {"serviceType": "LoadBalancer", "host": HOST}},
    "gpu": {"inference": {"device": "cuda"}, "storage": {"modelAccess": "ReadWriteMany"}},
    "many-nodes": {"storage": {"modelAccess": "ReadWriteMany"}},
    "operators": {"autoscaling": {"keda": True}, "monitoring": {"prometheusOperator": True}},
    "external-redis": {"redis": {"url": "rediss://redis.example.com:6380", "passwordSecret": "external-redis"}},
}
PUBLISHED = {
    name: f"registry.example.com/assistant/{name}@sha256:{'0' * 63}{number}"
    for number, name in enumerate(("gateway", "inference", "redis"))
}


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    """A namespace with what the stack's pods need to be admitted and scheduled, and without any pod."""
    environment = {**os.environ, "KUBECONFIG": str(CHECKOUT / KUBECONFIG)}
    name = f"scheduling-{uuid.uuid4().hex[:8]}"
    kubectl = Kubectl(namespace=name, kubeconfig=CHECKOUT / KUBECONFIG, environment=environment)
    needed = [it for it in _rendered("gpu", name) if it["kind"] in NEEDED_BY_PODS]
    for document in sorted(needed, key=lambda it: it["kind"] != "Namespace"):
        kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(document))
    yield kubectl
    classes = [it["metadata"]["name"] for it in needed if it["kind"] == "PriorityClass"]
    kubectl("delete", "priorityclass", *classes)
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def empty_namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace in which nothing stands that could be immutable."""
    name = f"manifests-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def test_refuses_a_privileged_pod(kubectl: Kubectl) -> None:
    pod = bare_pod("privileged", _template("gpu", kubectl.namespace, "worker"), ["true"])
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    refused = kubectl("create", "--filename=-", stdin=json.dumps(pod), check=False)
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr
    assert "privileged" in refused.stderr


@pytest.fixture
def nodes(kubectl: Kubectl) -> Iterator[None]:
    """Two Node objects made by hand, one with GPUs and their taint: nothing runs there, the scheduler decides all the same."""
    room = {"cpu": "64", "memory": "256Gi", "pods": "110", "ephemeral-storage": "500Gi"}
    taint = {"key": names.GPU_TAINT_KEY, "value": "present", "effect": "NoSchedule"}
    _make_node(kubectl, GPU_NODE, {**room, names.GPU_RESOURCE: "4"}, {names.GPU_NODE_LABEL: "true"}, [taint])
    _make_node(kubectl, PLAIN_NODE, room, {}, [])
    yield
    kubectl("delete", "node", GPU_NODE, PLAIN_NODE, "--wait=false")


def test_puts_a_gpu_pod_only_onto_a_node_with_gpus(kubectl: Kubectl, nodes: None) -> None:
    wanted = bare_pod("gpu", _template("gpu", kubectl.namespace, "inference"), None)
    intolerant = copy.deepcopy(wanted)
    intolerant["metadata"]["name"] = "gpu-intolerant"
    intolerant["spec"]["tolerations"] = []
    elsewhere = bare_pod("no-gpu", _template("many-nodes", kubectl.namespace, "inference"), None)
    elsewhere["spec"]["nodeSelector"] = {"kubernetes.io/hostname": GPU_NODE}
    made = [pod["metadata"]["name"] for pod in (wanted, intolerant, elsewhere)]
    try:
        for pod in (wanted, intolerant, elsewhere):
            kubectl.create(pod)
        wait_until(lambda: bool(kubectl.get("pod", "gpu")["spec"].get("nodeName")), 20)
        assert kubectl.get("pod", "gpu")["spec"]["nodeName"] == GPU_NODE
        wait_until(lambda: "untolerated taint" in _why_pending(kubectl, "gpu-intolerant"), 20)
        wait_until(lambda: "untolerated taint" in _why_pending(kubectl, "no-gpu"), 20)
    finally:
        kubectl("delete", "pod", *made, "--grace-period=0", "--force", check=False)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_takes_every_object_strictly(kubectl: Kubectl, empty_namespace: str, variant: str) -> None:
    """Field by field, admission and custom kinds included; a field that it does not know would be an error, not a warning."""
    documents = _rendered(variant, empty_namespace)
    assert len(documents) >= 20
    done = _dry_run(kubectl, empty_namespace, documents)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(documents)  # a line for each that was taken


def test_the_api_server_takes_every_object_of_an_eks_stack_strictly(kubectl: Kubectl, empty_namespace: str) -> None:
    """The same components with other arguments, and what a cluster of the stack's own gets besides: controllers, the owner of
    GPUs, the gate. The kind of the bindings is the stack's own, so it is there meanwhile."""
    pool = {"name": "l4", "instanceTypes": ["g6.xlarge"], "minimum": 1}
    platform = {"generic": {"url": "https://platform.example.com"}}
    documents = eks_objects(empty_namespace, gpuPools=[pool], platforms=platform)
    kinds = {it["kind"] for it in documents}
    assert kinds >= {"CustomResourceDefinition", "TargetGroupBinding", "DaemonSet", "Deployment", "Job", "ClusterRole"}
    definitions = {it["metadata"]["name"]: it for it in documents if it["kind"] == "CustomResourceDefinition"}
    missing = [name for name in definitions if kubectl("get", "crd", name, check=False).returncode]
    for name in missing:
        kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(definitions[name]))
        kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=20s")
    places = {it["metadata"].get("namespace", empty_namespace) for it in documents}
    try:
        refused = [
            done.stderr for place in sorted(places) if (done := _dry_run(kubectl, place, _of(documents, place))).returncode
        ]
    finally:
        if missing:
            kubectl("delete", "crd", *missing)
    assert refused == []


def _of(documents: list[dict[str, Any]], place: str) -> list[dict[str, Any]]:
    """Those of one namespace. The stack's own namespace is there already; what belongs to none may go with any."""
    return [it for it in documents if it["metadata"].get("namespace", place) == place and it["kind"] != "Namespace"]


def _dry_run(kubectl: Kubectl, place: str, documents: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    return kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-"),
        f"--namespace={place}",
        stdin=yaml.safe_dump_all(documents),
        check=False,
    )


def test_kube_score_finds_nothing_unexplained(tmp_path: Path) -> None:
    manifests = _written(tmp_path)
    done = subprocess.run(
        [str(scoring.kube_score(print)), "score", "--output-format=json", str(manifests)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = {
        f"{check['check']['id']} {item['object_name'].split('/')[0]}"
        for item in json.loads(done.stdout)
        for check in item["checks"]
        if check["grade"] < 7 and not check["skipped"]  # 10 is all well, 7 nearly; kube-score counts the rest as findings
    }
    _same(found, "kube-score")


def test_checkov_finds_nothing_unexplained(tmp_path: Path) -> None:
    manifests = _written(tmp_path)
    done = subprocess.run(
        [str(scoring.checkov(print)), "--file", str(manifests), "--framework", "kubernetes", "--output", "json", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 100
    found = {f"{check['check_id']} {check['resource'].split('.')[0]}" for check in report["results"]["failed_checks"]}
    _same(found, "checkov")


def _same(found: set[str], tool: str) -> None:
    """Every finding has its explanation, and every explanation is still of use."""
    explained = set(yaml.safe_load(EXPLAINED.read_text(encoding="utf-8"))[tool] or {})
    assert found - explained == set()
    assert explained - found == set()


def _settings(variant: str, namespace: str) -> Settings:
    chosen = {"target": "cluster", "cluster": {"namespace": namespace}, "images": PUBLISHED, **VARIANTS[variant]}
    platform = {"platforms": {"generic": {"url": "https://platform.example.com"}}}
    config = {f"assistant:{key}": json.dumps(value) if not isinstance(value, str) else value for key, value in chosen.items()}
    return settings_from(config | {f"assistant:{key}": json.dumps(value) for key, value in platform.items()}, "cluster")


def _rendered(variant: str, namespace: str) -> list[dict[str, Any]]:
    return render(_settings(variant, namespace))


def _written(folder: Path) -> Path:
    """The manifests of the variant with most in it, in one file."""
    file = folder / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(_rendered("operators", "assistant")), encoding="utf-8")
    return file


def _template(variant: str, namespace: str, deployment: str) -> dict[str, Any]:
    found = (it for it in _rendered(variant, namespace) if (it["kind"], it["metadata"]["name"]) == ("Deployment", deployment))
    spec: dict[str, Any] = next(found)["spec"]["template"]["spec"]
    return spec


def _make_node(kubectl: Kubectl, name: str, room: dict[str, str], labels: dict[str, str], taints: list[dict[str, str]]) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
        "spec": {"taints": taints},
    }
    kubectl("create", "--filename=-", stdin=json.dumps(node))
    ready = {"type": "Ready", "status": "True", "reason": "ByHand", "message": "nothing runs here"}
    status = {"status": {"capacity": room, "allocatable": room, "conditions": [ready]}}
    kubectl("patch", "node", name, "--subresource=status", "--type=merge", f"--patch={json.dumps(status)}")


def _why_pending(kubectl: Kubectl, pod: str) -> str:
    conditions = kubectl.get("pod", pod)["status"].get("conditions", [])
    return " ".join(condition.get("message", "") for condition in conditions if condition["type"] == "PodScheduled")
