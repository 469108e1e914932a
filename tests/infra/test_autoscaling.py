"""What scales, by what, and between which bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.kubernetes.autoscaling import Autoscaling, AutoscalingArgs, advice
from infra.settings import Settings

Rendered = dict[str, dict[str, Any]]
MakeSettings = Callable[..., Settings]


@pytest.fixture
def render(kubernetes_objects: Any, cluster_settings: MakeSettings) -> Callable[..., Any]:
    async def render(**autoscaling: Any) -> dict[str, Rendered]:
        args = AutoscalingArgs(namespace="team-a", settings=cluster_settings(autoscaling=autoscaling))
        objects: dict[str, Rendered] = await kubernetes_objects.rendered(lambda: Autoscaling("autoscaling", args))
        return objects

    return render


async def test_without_keda_all_three_follow_their_cpu(render: Any) -> None:
    objects = await render(gateway={"target": 55})
    assert objects.keys() == {"HorizontalPodAutoscaler"}
    for part in ("gateway", "worker", "inference"):
        spec = objects["HorizontalPodAutoscaler"][part]["spec"]
        assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": part}
        (metric,) = spec["metrics"]
        target = {"type": "Utilization", "averageUtilization": 55}
        assert metric == {"type": "Resource", "resource": {"name": "cpu", "target": target}}


async def test_with_keda_workers_follow_the_backlog_and_inference_its_queue(render: Any) -> None:
    objects = await render(keda=True, worker={"target": 25}, inference={"target": 3})
    assert objects["HorizontalPodAutoscaler"].keys() == {"gateway"}
    scaled = objects["ScaledObject"]
    assert scaled["worker"]["apiVersion"] == "keda.sh/v1alpha1"
    assert scaled["worker"]["spec"]["scaleTargetRef"]["name"] == "worker"
    assert scaled["worker"]["spec"]["triggers"] == [
        {
            "type": "metrics-api",
            "metricType": "AverageValue",
            "metadata": {
                "url": "http://gateway-metrics.team-a.svc:9090/metrics",
                "format": "prometheus",
                "valueLocation": "assistant_queue_backlog",
                "targetValue": "25",
            },
        }
    ]
    (trigger,) = scaled["inference"]["spec"]["triggers"]
    assert trigger["metadata"] == {
        "url": "http://inference-metrics.team-a.svc:9090/metrics",
        "format": "prometheus",
        "valueLocation": "assistant_inference_queue_length",
        "targetValue": "3",
        "aggregateFromKubeServiceEndpoints": "true",
        "aggregationType": "sum",
    }


@pytest.mark.parametrize("keda", [False, True])
async def test_bounds_and_pace_are_the_settings(render: Any, keda: bool) -> None:
    objects = await render(keda=keda, worker={"minimum": 2, "maximum": 7}, pollingSeconds=5, scaleDownSeconds=45)
    if keda:
        spec = objects["ScaledObject"]["worker"]["spec"]
        assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 7)
        assert (spec["pollingInterval"], spec["cooldownPeriod"]) == (5, 45)
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    else:
        spec = objects["HorizontalPodAutoscaler"]["worker"]["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 7)
        behavior = spec["behavior"]
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 45
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0


async def test_where_the_metric_is_away_no_pod_is_taken(render: Any) -> None:
    objects = await render(keda=True, worker={"minimum": 0}, inference={"minimum": 2})
    fallbacks = {part: scaled["spec"]["fallback"] for part, scaled in objects["ScaledObject"].items()}
    assert {fallback["behavior"] for fallback in fallbacks.values()} == {"currentReplicasIfHigher"}
    assert {part: fallback["replicas"] for part, fallback in fallbacks.items()} == {"worker": 1, "inference": 2}


async def test_what_has_no_pod_is_woken_by_the_backlog(render: Any) -> None:
    objects = await render(keda=True, worker={"minimum": 0}, inference={"minimum": 0})
    scaled = objects["ScaledObject"]
    assert {part: one["spec"]["minReplicaCount"] for part, one in scaled.items()} == {"worker": 0, "inference": 0}
    for part in ("worker", "inference"):
        assert "assistant_queue_backlog" in [
            trigger["metadata"]["valueLocation"] for trigger in scaled[part]["spec"]["triggers"]
        ]
    waking = scaled["inference"]["spec"]["triggers"][1]["metadata"]
    # ceil(backlog / target) is 1 for every backlog that the queue can hold: this trigger never asks for a second pod.
    assert int(waking["targetValue"]) > 100_000


async def test_an_hpa_alone_keeps_one_pod_and_says_so(render: Any, cluster_settings: MakeSettings) -> None:
    objects = await render(worker={"minimum": 0})
    assert objects["HorizontalPodAutoscaler"]["worker"]["spec"]["minReplicas"] == 1
    lines = advice(cluster_settings(autoscaling={"worker": {"minimum": 0}}))
    assert any("autoscaling.worker.minimum is 0" in line for line in lines)


async def test_keda_may_take_over_from_the_hpas_of_an_earlier_up(render: Any) -> None:
    hpas = (await render())["HorizontalPodAutoscaler"]
    allowed = {part for part, hpa in hpas.items() if hpa["metadata"].get("annotations") is not None}
    assert allowed == {"worker", "inference"}
    assert hpas["worker"]["metadata"]["annotations"] == {"validations.keda.sh/hpa-ownership": "false"}


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({}, ["autoscaling.keda is off"]),
        ({"autoscaling": {"keda": True}}, []),
        ({"inference": {"device": "cuda"}}, ["autoscaling.keda is off", "The CPU of a pod says little of its GPU"]),
        ({"autoscaling": {"keda": True, "gateway": {"minimum": 0}}}, ["autoscaling.gateway.minimum is 0, but nothing"]),
        ({"autoscaling": {"keda": True, "inference": {"minimum": 0}}}, ["autoscaling.inference.minimum is 0: events"]),
    ],
)
def test_what_a_person_should_know_is_said(cluster_settings: MakeSettings, groups: Any, said: list[str]) -> None:
    lines = advice(cluster_settings(**groups))
    assert len(lines) == len(said)
    assert all(line.startswith(beginning) for line, beginning in zip(lines, said, strict=True))
