"""The real engine, a real API server, real pods: a destroy that runs the program drains first, and ends, whatever is stuck."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.cluster]

PROGRAM = """
    import pathlib
    import pulumi
    import pulumi_kubernetes as k8s
    import infra.kubernetes.drain as drain
    from infra.kubernetes.names import selector

    config = pulumi.Config()
    name, image = config.require("name"), config.require("image")
    drain.PATIENCE = {**drain.PATIENCE, "bindings": 4}  # nobody here clears a finalizer
    text = config.get("text") or pathlib.Path(config.require("file")).read_text()
    provider = k8s.Provider("cluster", namespace=name)
    space = k8s.core.v1.Namespace("space", metadata={"name": name}, opts=pulumi.ResourceOptions(provider=provider))
    namespace = space.metadata["name"]
    parts = []
    for part in ("gateway", "worker"):
        script = "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(4), sys.exit(0))); time.sleep(600)"
        container = {"name": part, "image": image, "command": ["python", "-c", script], "imagePullPolicy": "IfNotPresent"}
        parts.append(k8s.apps.v1.Deployment(part, metadata={"name": part, "namespace": namespace}, spec={
            "selector": {"matchLabels": selector(part)},
            "template": {"metadata": {"labels": selector(part)}, "spec": {"containers": [container]}},
        }, opts=pulumi.ResourceOptions(provider=provider)))
    binding = k8s.apiextensions.CustomResource("binding", api_version="elbv2.k8s.aws/v1beta1", kind="TargetGroupBinding",
        metadata={"name": "gateway-api", "namespace": namespace, "finalizers": ["elbv2.k8s.aws/resources"]},
        spec={"targetGroupARN": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/x/1",
            "serviceRef": {"name": "gateway", "port": 443}, "targetType": "ip"},
        opts=pulumi.ResourceOptions(provider=provider, depends_on=parts))
    # As in a real stack: known from a resource alone, and so at a destroy from the state.
    kubeconfig = parts[0].metadata["name"].apply(lambda _: text)
    drain.Drain("drain", drain.DrainArgs(namespace=namespace, kubeconfig=kubeconfig),
        pulumi.ResourceOptions(providers=[provider], depends_on=[binding, *parts]))
"""
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "targetgroupbindings.elbv2.k8s.aws"},
    "spec": {
        "group": "elbv2.k8s.aws",
        "scope": "Namespaced",
        "names": {"kind": "TargetGroupBinding", "plural": "targetgroupbindings", "singular": "targetgroupbinding"},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
Kubectl = Callable[..., str]


@pytest.fixture
def kubectl(kubeconfig: Path) -> Kubectl:
    def run(*arguments: str, given: Any = None) -> str:
        command = ["kubectl", f"--kubeconfig={kubeconfig}", *arguments]
        text = json.dumps(given) if given else None
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        return done.stdout

    return run


@pytest.fixture
def image(kubectl: Kubectl, has_node: bool) -> str:
    if not has_node:
        pytest.skip("no node runs pods here")
    nodes = json.loads(kubectl("get", "nodes", "--output=json"))["items"]
    names = [name for node in nodes for it in node["status"].get("images", []) for name in it["names"]]
    found = [name for name in names if name.startswith("localhost/assistant/gateway:")]
    if not found:
        pytest.skip("the node has no image of the gateway; `make up` of a cluster stack brings it")
    return found[0]


@pytest.fixture
def trial(project: Any, kubectl: Kubectl, kubeconfig: Path, image: str) -> Iterator[str]:
    """A namespace's name; it is gone afterwards, and so is the definition of bindings, unless it was there."""
    name = f"drain-{secrets.token_hex(4)}"
    there = kubectl("get", "crd", CRD["metadata"]["name"], "--ignore-not-found")
    if not there:
        kubectl("apply", "--filename=-", given=CRD)
        kubectl("wait", "crd", CRD["metadata"]["name"], "--for=condition=Established", "--timeout=30s")
    project.program(PROGRAM)
    for key, value in (("name", name), ("image", image), ("file", str(kubeconfig))):
        project.pulumi("config", "set", key, value)
    yield name
    patch = '--patch={"metadata": {"finalizers": null}}'
    kubectl("patch", "targetgroupbindings.elbv2.k8s.aws", "gateway-api", "--namespace", name, "--type=merge", patch)
    kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=60s")
    if not there:
        kubectl("delete", "crd", CRD["metadata"]["name"])


@pytest.mark.timeout(400)
def test_a_destroy_takes_the_assistant_out_of_service_before_it_deletes_anything(
    project: Any, trial: str, kubectl: Kubectl, kubeconfig: Path
) -> None:
    settings = {"KUBECONFIG": str(kubeconfig)}
    done = project.pulumi("up", "--yes", "--skip-preview", **settings)
    assert done.returncode == 0, done.stdout

    begun = time.monotonic()
    done = project.pulumi("destroy", "--yes", "--skip-preview", "--run-program", **settings)
    assert done.returncode == 0, done.stdout
    said = [
        "Takes the gateway out of service.",
        "Takes the worker out of service.",
        "Takes gateway-api out of the load balancer's target groups.",
        "TargetGroupBinding gateway-api is still there after 4 s",
        f"Nothing of the assistant is in service in {trial} any more.",
    ]
    places = [done.stdout.find(line) for line in said]
    assert -1 not in places, done.stdout
    assert places == sorted(places), done.stdout
    assert time.monotonic() - begun > 8  # both pods were given their four seconds
    assert kubectl("get", "namespace", trial, "--ignore-not-found") == ""


@pytest.mark.timeout(400)
def test_a_cluster_that_does_not_answer_the_hook_does_not_keep_the_stack(
    project: Any, trial: str, kubectl: Kubectl, kubeconfig: Path
) -> None:
    settings = {"KUBECONFIG": str(kubeconfig)}
    nowhere = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        }
    )
    project.pulumi("config", "set", "text", nowhere)
    done = project.pulumi("up", "--yes", "--skip-preview", **settings)
    assert done.returncode == 0, done.stdout
    patch = '--patch={"metadata": {"finalizers": null}}'  # what the controller would do when it is deleted
    kubectl("patch", "targetgroupbindings.elbv2.k8s.aws", "gateway-api", "--namespace", trial, "--type=merge", patch)
    done = project.pulumi("destroy", "--yes", "--skip-preview", "--run-program", **settings)
    assert done.returncode == 0, done.stdout
    assert "passed over" in done.stdout
    assert "Takes the gateway" not in done.stdout
