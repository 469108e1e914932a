"""What names the resources of a cluster stack in a user's state: another type, name or parent would replace what stands there,
the queue's volume among it."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime import mocks
from rendering import registered, settings_of

ASSISTANT = "assistant:kubernetes:Assistant assistant"
CHILDREN = {
    "Autoscaling autoscaling": {
        "autoscaling/v2:HorizontalPodAutoscaler": {"autoscaling-gateway", "autoscaling-worker", "autoscaling-inference"}
    },
    "Exposure exposure": {"core/v1:Service": {"exposure-service"}},
    "Gateway gateway": {
        "apps/v1:Deployment": {"gateway-deployment"},
        "core/v1:Secret": {"gateway-certificate", "gateway-secret"},
        "core/v1:Service": {"gateway-metrics"},
        "core/v1:ServiceAccount": {"gateway-account"},
        "policy/v1:PodDisruptionBudget": {"gateway-budget"},
    },
    "Inference inference": {
        "apps/v1:Deployment": {"inference-deployment"},
        "core/v1:Secret": {"inference-secret"},
        "core/v1:Service": {"inference-metrics", "inference-service"},
        "core/v1:ServiceAccount": {"inference-account"},
        "policy/v1:PodDisruptionBudget": {"inference-budget"},
    },
    "Model model": {
        "batch/v1:Job": {"model-job"},
        "core/v1:PersistentVolumeClaim": {"model-claim"},
        "core/v1:ServiceAccount": {"model-account"},
    },
    "Monitoring monitoring": {},
    "Namespace namespace": {"core/v1:Namespace": {"namespace"}},
    "NetworkPolicies policy": {
        "networking.k8s.io/v1:NetworkPolicy": {
            *(f"policy-{name}" for name in ("default-deny", "gateway", "inference", "model", "redis", "worker"))
        }
    },
    "PriorityClasses priority": {
        "scheduling.k8s.io/v1:PriorityClass": {"priority-background", "priority-serving", "priority-store"}
    },
    "Redis redis": {
        "apps/v1:StatefulSet": {"redis-server"},
        "core/v1:ConfigMap": {"redis-configuration"},
        "core/v1:PersistentVolumeClaim": {"redis-claim"},
        "core/v1:Secret": {"redis-secret"},
        "core/v1:Service": {"redis-nodes-service", "redis-service"},
        "core/v1:ServiceAccount": {"redis-account"},
        "policy/v1:PodDisruptionBudget": {"redis-budget"},
    },
    "Worker worker": {
        "apps/v1:Deployment": {"worker-deployment"},
        "core/v1:Secret": {"worker-secret"},
        "core/v1:Service": {"worker-metrics"},
        "core/v1:ServiceAccount": {"worker-account"},
        "policy/v1:PodDisruptionBudget": {"worker-budget"},
    },
    "Images images": {},
}
EXPECTED = {
    ("pulumi:pulumi:Stack assistant-cluster", ASSISTANT),
    *(
        (ASSISTANT, child)
        for child in (
            "pulumi:providers:kubernetes kubernetes",
            "pulumi-python:dynamic/generated:Secrets secrets",
            "pulumi-python:dynamic/generated:Certificate certificate",
            "pulumi-python:dynamic/cluster:ModelReport model-report",
        )
    ),
    *((ASSISTANT, f"assistant:kubernetes:{component}") for component in CHILDREN),
    *(
        (f"assistant:kubernetes:{component}", f"kubernetes:{kind} {name}")
        for component, kinds in CHILDREN.items()
        for kind, names in kinds.items()
        for name in names
    ),
}


async def test_types_names_and_parents_are_those_of_the_stacks_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    register = mocks.MockMonitor.RegisterResource

    def record(self: Any, request: Any) -> Any:
        if request.parent:
            types, _, parent = request.parent.partition("::")[2].partition("::")[2].partition("::")
            found.add((f"{types.rpartition('$')[2]} {parent}", f"{request.type} {request.name}"))
        return register(self, request)

    monkeypatch.setattr(mocks.MockMonitor, "RegisterResource", record)
    await registered(settings_of())
    assert found == EXPECTED
