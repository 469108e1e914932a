"""A Deployment behind a Service with its scaler and budget, a Fargate service with its target, and all else that scales."""

from __future__ import annotations

from typing import Any

from cases.theme import Bad, Cases, Good, Theme
from kubernetes_resources import budget, deployment, job, scaler, service, task

RESOURCES = "spec/template/spec/containers/0/resources"
FIRST = "spec/template/spec/initContainers/0/resources"
SPREAD = "spec/template/spec/topologySpreadConstraints"
OBJECT = {"name": "inference", "namespace": "assistant"}
NAME = "app.kubernetes.io/name"


def keda(**spec: Any) -> dict[str, Any]:
    target = {"name": "inference"}
    return {"metadata": OBJECT, "spec": {"minReplicaCount": 2, "maxReplicaCount": 10, "scaleTargetRef": target, **spec}}


_CASES = {
    "R22": Cases(
        failing=(
            Bad("gateway", {f"{RESOURCES}/limits/cpu": None}, "containers[0].resources.limits.cpu is not set"),
            Bad("gateway", {f"{RESOURCES}/limits/memory": None}, "resources.limits.memory is not set"),
            Bad("gateway", {f"{FIRST}/limits/ephemeral-storage": None}, "initContainers[0].resources.limits.ephemeral-storage"),
            Bad("gateway", {f"{RESOURCES}/limits/memory": "0"}, "limits.memory is not set"),
            Bad("gateway", {f"{RESOURCES}/limits/memory": "0Mi"}, "limits.memory is not set"),
            Bad("gateway", {RESOURCES: None}, "resources.requests.memory is not set"),
            Bad("gateway", {f"{RESOURCES}/limits": None}, "limits.ephemeral-storage is not set"),
            Bad("job", {RESOURCES: {}}, "resources.limits.cpu is not set"),
            Bad("task", {"cpu": None}, "cpu is set neither for the task nor as containerDefinitions[0].cpu"),
            Bad("task", {"memory": None}, "memory is set neither"),
            Bad("task", {"memory": "0"}, "memory is set neither"),
        ),
        unknown=("gateway", RESOURCES),
        malformed=("gateway", f"{RESOURCES}/limits/cpu"),
    ),
    "R23": Cases(
        failing=(
            Bad("scaler", {"spec/maxReplicas": None}, "spec.maxReplicas is not set"),
            Bad("scaler", {"spec/maxReplicas": 101}, "spec.maxReplicas is 101; it is 100 at most"),
            Bad("scaler", {"spec/minReplicas": 7}, "spec.minReplicas is 7, more than maxReplicas, 6"),
            Bad("scaler", {"spec": None}, "spec.maxReplicas is not set"),
            Bad("keda", {"spec/maxReplicaCount": None}, "spec.maxReplicaCount is not set"),
            Bad("keda", {"spec/maxReplicaCount": 1000}, "maxReplicaCount is 1000"),
            Bad("keda", {"spec/minReplicaCount": 11}, "minReplicaCount is 11"),
            Bad("nodes", {"scalingConfig/maxSize": 1000}, "scalingConfig.maxSize is 1000"),
            Bad("nodes", {"scalingConfig": None}, "scalingConfig.maxSize is not set"),
            Bad("nodes", {"scalingConfig/minSize": 9}, "scalingConfig.minSize is 9, more than maxSize, 6"),
            Bad("group", {"maxSize": 500}, "maxSize is 500"),
            Bad("group", {"maxSize": None}, "maxSize is not set"),
            Bad("group", {"minSize": 9}, "minSize is 9"),
            Bad("pool", {"spec/limits": None}, "spec.limits is not set"),
            Bad("pool", {"spec/limits": {}}, "spec.limits is not set"),
            Bad("target", {"maxCapacity": 1000}, "maxCapacity is 1000"),
            Bad("target", {"maxCapacity": None}, "maxCapacity is not set"),
            Bad("target", {"minCapacity": 5}, "minCapacity is 5"),
        ),
        unknown=("scaler", "spec/maxReplicas"),
        malformed=("keda", "spec/maxReplicaCount"),
    ),
    "R43": Cases(
        failing=(
            Bad("scaler", {"spec/minReplicas": 1}, "there may be 1 of its pods"),
            Bad("scaler", {"spec/minReplicas": None}, "there may be 1 of its pods"),
            Bad("scaler", {"spec/scaleTargetRef/name": "other"}, "there may be 1 of its pods"),
            Bad("scaler", {}, "there may be 1 of its pods", ("scaler",)),
            Bad("keda", {"spec/minReplicaCount": 0}, "there may be 0 of its pods"),
            Bad("budget", {}, "no PodDisruptionBudget selects its pods", ("budget",)),
            Bad("budget", {"spec/selector": {"matchLabels": {NAME: "other"}}}, "no PodDisruptionBudget selects its pods"),
            Bad("budget", {"metadata/namespace": "other"}, "no PodDisruptionBudget selects its pods"),
            Bad("budget", {"spec/maxUnavailable": "100%"}, "lets all of its pods go at once"),
            Bad("budget", {"spec/maxUnavailable": 2}, "lets all of its pods go at once"),
            Bad("budget", {"spec/maxUnavailable": None, "spec/minAvailable": 0}, "lets all of its pods go at once"),
            Bad("budget", {"spec/maxUnavailable": None, "spec/minAvailable": "0%"}, "lets all of its pods go at once"),
            Bad("budget", {"spec/maxUnavailable": None}, "lets all of its pods go at once"),
            Bad("gateway", {SPREAD: None}, "topologySpreadConstraints spreads its pods over nothing"),
            Bad("gateway", {f"{SPREAD}/0/labelSelector": {"matchLabels": {NAME: "other"}}}, "over nothing"),
            Bad("gateway", {f"{SPREAD}/0/labelSelector": None}, "over nothing"),
            Bad("gateway", {f"{SPREAD}/0/topologyKey": None}, "over nothing"),
            Bad("target", {"minCapacity": 1}, "there may be 1 of its tasks (minCapacity)"),
            Bad("target", {"resourceId": "service/assistant-prod/other"}, "(desiredCount)", unlinked=True),
            Bad("tasks", {"deploymentMinimumHealthyPercent": 49}, "deploymentMinimumHealthyPercent is 49"),
            Bad("tasks", {"networkConfiguration/subnets": ["subnet-1"]}, "one subnet, and so one zone"),
        ),
        unknown=("budget", "spec"),
        malformed=("scaler", "spec/minReplicas"),
    ),
}

THEME = Theme(
    good={
        "gateway": Good(type="kubernetes:apps/v1:Deployment", properties=deployment("gateway", "deliver-secrets")),
        "service": Good(type="kubernetes:core/v1:Service", properties=service("gateway")),
        "scaler": Good(type="kubernetes:autoscaling/v2:HorizontalPodAutoscaler", properties=scaler("gateway")),
        "budget": Good(type="kubernetes:policy/v1:PodDisruptionBudget", properties=budget("gateway")),
        # A worker serves nobody but the monitoring: it may go down to none.
        "worker": Good(type="kubernetes:apps/v1:Deployment", properties=deployment("worker")),
        "metrics": Good(type="kubernetes:core/v1:Service", properties=service("worker", "metrics")),
        "inference": Good(type="kubernetes:apps/v1:Deployment", properties=deployment("inference")),
        "ai-service": Good(type="kubernetes:core/v1:Service", properties=service("inference", "http")),
        "inference-budget": Good(type="kubernetes:policy/v1:PodDisruptionBudget", properties=budget("inference")),
        "keda": Good(type="kubernetes:keda.sh/v1alpha1:ScaledObject", properties=keda()),
        "job": Good(type="kubernetes:batch/v1:Job", properties=job("model")),
        "nodes": Good(
            type="aws:eks/nodeGroup:NodeGroup",
            properties={"clusterName": "assistant-prod", "scalingConfig": {"desiredSize": 3, "maxSize": 6, "minSize": 3}},
        ),
        "group": Good(type="aws:autoscaling/group:Group", properties={"minSize": 1, "maxSize": 4}),
        "pool": Good(
            type="kubernetes:karpenter.sh/v1:NodePool",
            properties={"metadata": {"name": "general"}, "spec": {"limits": {"cpu": "64"}}},
        ),
        "task": Good(type="aws:ecs/taskDefinition:TaskDefinition", properties=task()),
        "tasks": Good(
            type="aws:ecs/service:Service",
            properties={
                "name": "gateway",
                "desiredCount": 1,
                "deploymentMinimumHealthyPercent": 100,
                "networkConfiguration": {"assignPublicIp": False, "subnets": ["subnet-1", "subnet-2"]},
                "loadBalancers": [{"containerName": "gateway", "containerPort": 8443, "targetGroupArn": "arn:x"}],
            },
        ),
        "target": Good(
            type="aws:appautoscaling/target:Target",
            properties={
                "minCapacity": 2,
                "maxCapacity": 4,
                "resourceId": "service/assistant-prod/gateway",
                "serviceNamespace": "ecs",
            },
            refers={"resourceId": ("tasks",)},
        ),
    },
    cases=_CASES,
)
