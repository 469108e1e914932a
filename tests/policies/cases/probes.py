"""A Deployment behind its Service and a Fargate service behind its load balancer, asked how they are."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme
from kubernetes_resources import changed_task, deployment, service, task

MAIN = "spec/template/spec/containers/0"
READY_CHECK = {"command": ["CMD", "python", "-c", "c.request('GET','/readyz')"]}

_CASES = {
    "R73": Cases(
        failing=(
            Bad("gateway", {f"{MAIN}/livenessProbe/httpGet/path": "/readyz"}, "livenessProbe asks the same as readinessProbe"),
            Bad("gateway", {f"{MAIN}/livenessProbe": None}, "livenessProbe is missing, though a Service leads to it"),
            Bad("gateway", {f"{MAIN}/readinessProbe": None}, "readinessProbe is missing, though a Service leads to it"),
            Bad("task", {"containerDefinitions": changed_task(healthCheck=READY_CHECK)}, "healthCheck asks /readyz, as the"),
            Bad("group", {"healthCheck/path": "/healthz"}, "healthCheck asks /healthz, as the load balancer does"),
        ),
        unknown=("gateway", f"{MAIN}/livenessProbe"),
        malformed=("gateway", f"{MAIN}/readinessProbe"),
    ),
}

THEME = Theme(
    good={
        "gateway": Good(type="kubernetes:apps/v1:Deployment", properties=deployment("gateway", "deliver-secrets")),
        "service": Good(type="kubernetes:core/v1:Service", properties=service("gateway")),
        "task": Good(type="aws:ecs/taskDefinition:TaskDefinition", properties={**task(), "arn": "arn:task:1"}),
        "group": Good(
            type="aws:lb/targetGroup:TargetGroup",
            properties={"arn": "arn:group", "healthCheck": {"path": "/readyz", "protocol": "HTTPS"}},
        ),
        "tasks": Good(
            type="aws:ecs/service:Service",
            properties={
                "name": "gateway",
                "taskDefinition": "arn:task:1",
                "loadBalancers": [{"containerName": "gateway", "targetGroupArn": "arn:group"}],
            },
            refers={"taskDefinition": ("task",), "loadBalancers": ("group",)},
        ),
    },
    cases=_CASES,
)
