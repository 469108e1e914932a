"""Good resources as the targets on Kubernetes and Fargate register them, less what no rule reads."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

NAMESPACE = "assistant"
DIGEST = f"sha256:{'4b' * 32}"
IMAGE = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/assistant-prod/gateway@{DIGEST}"


def labels(part: str) -> dict[str, str]:
    return {"app.kubernetes.io/instance": "assistant", "app.kubernetes.io/name": part}


def metadata(name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": labels(name)}


def container(name: str, image: str = IMAGE) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "command": ["python", "-m", f"app.{name}"],
        "env": [{"name": "HOST", "value": "10.0.0.1"}],
        "ports": [{"containerPort": 8443, "name": "https"}],
        "resources": {
            "limits": {"cpu": "1", "ephemeral-storage": "512Mi", "memory": "384Mi"},
            "requests": {"cpu": "250m", "ephemeral-storage": "128Mi", "memory": "384Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsGroup": 10001,
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "https", "scheme": "HTTPS"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"}},
        "volumeMounts": [{"mountPath": "/tmp", "name": "tmp"}],
    }


def first(name: str) -> dict[str, Any]:
    """A container that runs before the others, which nobody asks how it is."""
    return {key: value for key, value in container(name).items() if key not in ("livenessProbe", "readinessProbe", "ports")}


def pod(part: str, *before: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": {**labels(part), "app.kubernetes.io/part-of": "assistant"}},
        "spec": {
            "automountServiceAccountToken": False,
            "serviceAccountName": part,
            "containers": [container(part)],
            "initContainers": [first(name) for name in before],
            "securityContext": {
                "fsGroup": 10001,
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "topologySpreadConstraints": [
                {"labelSelector": {"matchLabels": labels(part)}, "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone"}
            ],
            "volumes": [{"emptyDir": {"sizeLimit": "64Mi"}, "name": "tmp"}],
        },
    }


def deployment(part: str, *before: str, namespace: str = NAMESPACE, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(part, namespace),
        "spec": {"selector": {"matchLabels": labels(part)}, "template": pod(part, *before), **spec},
    }


def job(part: str) -> dict[str, Any]:
    template = pod(part)
    template["spec"]["containers"] = [first(part)]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(part), "spec": {"template": template}}


def service(part: str, port: str = "https", namespace: str = NAMESPACE) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(part, namespace),
        "spec": {"selector": labels(part), "ports": [{"name": port, "port": 443, "targetPort": port}], "type": "ClusterIP"},
    }


def scaler(part: str, minimum: int = 2, maximum: int = 6) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": part}
    return {"metadata": metadata(part), "spec": {"minReplicas": minimum, "maxReplicas": maximum, "scaleTargetRef": target}}


def budget(part: str) -> dict[str, Any]:
    return {"metadata": metadata(part), "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels(part)}}}


def namespace() -> dict[str, Any]:
    enforced = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "v1.30"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": enforced}}


def default_deny() -> dict[str, Any]:
    return {
        "metadata": {"name": "default-deny", "namespace": NAMESPACE},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }


def policy(part: str) -> dict[str, Any]:
    return {
        "metadata": metadata(part),
        "spec": {
            "podSelector": {"matchLabels": labels(part)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"ipBlock": {"cidr": "10.40.0.0/16"}}], "ports": [{"port": 8443, "protocol": "TCP"}]}],
            "egress": [{"to": [{"podSelector": {"matchLabels": labels("inference")}}], "ports": [{"port": 8080}]}],
        },
    }


def ecs_container() -> dict[str, Any]:
    return {
        "name": "gateway",
        "image": IMAGE,
        "essential": True,
        "user": "10001:10001",
        "readonlyRootFilesystem": True,
        "linuxParameters": {"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": True},
        "healthCheck": {"command": ["CMD", "python", "-c", "c.request('GET','/healthz')"]},
    }


def task(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``changes``: of the container; None removes."""
    made = copy.deepcopy(ecs_container()) | dict(changes or {})
    return {
        "family": "assistant-prod-gateway",
        "cpu": "256",
        "memory": "512",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "volumes": [{"name": "models"}],
        "containerDefinitions": definitions(made),
    }


def definitions(*containers: Mapping[str, Any]) -> str:
    kept = [{key: value for key, value in each.items() if value is not None} for each in containers]
    return json.dumps(kept, sort_keys=True)


def changed_task(**changes: Any) -> str:
    return definitions({**ecs_container(), **changes})
