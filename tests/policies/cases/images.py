"""Pods and a Fargate task by the digests of their images, and the repository that these are pushed to."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme
from kubernetes_resources import DIGEST, changed_task, deployment, task

IMAGE = "spec/template/spec/containers/0/image"
FIRST = "spec/template/spec/initContainers/0/image"
AGENT = "spec/template/spec/containers/0/image"
TASK = "containerDefinitions"
SCANNING = "imageScanningConfiguration"

_CASES = {
    "R24": Cases(
        failing=(
            Bad("repository", {f"{SCANNING}/scanOnPush": False}, "scanOnPush is not true"),
            Bad("repository", {SCANNING: None}, "scanOnPush is not true"),
            Bad("repository", {SCANNING: {}}, "scanOnPush is not true"),
        ),
        unknown=("repository", SCANNING),
        malformed=("repository", f"{SCANNING}/scanOnPush"),
    ),
    "R53": Cases(
        failing=(
            Bad("gateway", {IMAGE: "registry.k8s.io/pause:3.10"}, "containers[0].image is registry.k8s.io/pause:3.10, which"),
            Bad("gateway", {FIRST: "registry.k8s.io/pause"}, "initContainers[0].image"),
            Bad("gateway", {IMAGE: f"registry.k8s.io/pause@{DIGEST[:-1]}"}, "names no digest"),
            Bad("gateway", {IMAGE: "localhost/assistant/gateway:latest"}, "names no digest"),
            Bad("gateway", {IMAGE: f"busybox@{DIGEST}"}, "containers[0].image comes from docker.io/busybox"),
            Bad("gateway", {FIRST: f"ghcr.io/team/x:1@{DIGEST}"}, "initContainers[0].image comes from ghcr.io/team/x"),
            Bad("gateway", {IMAGE: f"registry.k8s.io.example.org/x@{DIGEST}"}, "registry.k8s.io.example.org"),
            Bad("agent", {AGENT: "public.ecr.aws/eks/x:1"}, "names no digest"),
            Bad("task", {TASK: changed_task(image="public.ecr.aws/eks/x:1")}, "containerDefinitions[0].image"),
            Bad("task", {TASK: changed_task(image=f"quay.io/x/y@{DIGEST}")}, "comes from quay.io/x/y"),
        ),
        unknown=("gateway", IMAGE),
        malformed=("gateway", IMAGE),
    ),
}

THEME = Theme(
    good={
        "gateway": Good(type="kubernetes:apps/v1:Deployment", properties=deployment("gateway", "deliver-secrets")),
        "agent": Good(
            type="kubernetes:apps/v1:DaemonSetPatch",
            properties={
                "metadata": {"name": "aws-node", "namespace": "kube-system"},
                "spec": {"template": {"spec": {"containers": [{"name": "aws-node"}]}}},
            },
        ),
        "task": Good(type="aws:ecs/taskDefinition:TaskDefinition", properties=task()),
        "repository": Good(
            type="aws:ecr/repository:Repository",
            properties={"name": "assistant-prod/gateway", SCANNING: {"scanOnPush": True}, "imageTagMutability": "IMMUTABLE"},
        ),
    },
    cases=_CASES,
)
