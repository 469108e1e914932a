"""How many tasks for how much work."""

from __future__ import annotations

from typing import Any

import pytest
from aws_rendering import Rendered, aws_settings, render_component

from app.telemetry.emf_catalogue import DIMENSION, metrics_of
from infra.aws.context import AwsContext
from infra.aws.ecs_scaling import MOST_STEPS, EcsScaling, EcsScalingArgs, backlog_steps

SMALL = {"cpu": 256, "memory": 512}


async def scaling(**fargate: Any) -> Rendered:
    def make(context: AwsContext) -> EcsScaling:
        services = {part: part for part in ("gateway", "worker", "inference")}
        return EcsScaling(
            "scaling",
            EcsScalingArgs(
                context=context,
                cluster_name="assistant-serverless",
                services=services,  # type: ignore[arg-type]
                load_balancer="app/edge/1",
                target_groups={"api": "targetgroup/api/2", "generating": "targetgroup/generating/3"},
            ),
        )

    return await render_component(make, aws_settings("serverless", fargate=fargate), stack="serverless")


def workers(backlog: int, per_worker: int, minimum: int, maximum: int) -> int:
    """What the steps say for a backlog, read as Application Auto Scaling reads them."""
    found = [
        step.workers
        for step in backlog_steps(per_worker, minimum, maximum)
        if step.above < backlog and (step.until is None or backlog <= step.until)
    ]
    assert len(found) == 1, "steps must neither overlap nor leave a gap"
    return found[0]


@pytest.mark.parametrize(
    ("backlog", "wanted"), [(1, 1), (20, 1), (21, 2), (40, 2), (41, 3), (61, 4), (80, 4), (81, 4), (100_000, 4)]
)
def test_as_many_workers_as_the_backlog_needs(backlog: int, wanted: int) -> None:
    assert workers(backlog, 20, 0, 4) == wanted


def test_a_floor_and_a_ceiling_are_kept() -> None:
    assert workers(1, 10, 3, 5) == 3
    assert workers(31, 10, 3, 5) == 4
    assert workers(10_000, 10, 3, 5) == 5
    assert backlog_steps(10, 2, 2) == backlog_steps(99, 2, 2)


@pytest.mark.parametrize("maximum", [19, 20, 21, 50, 100])
def test_many_workers_fit_into_one_policy_and_never_too_few_run(maximum: int) -> None:
    steps = backlog_steps(10, 0, maximum)
    assert len(steps) <= MOST_STEPS
    assert steps[-1].workers == maximum
    for backlog in range(1, 10 * maximum):
        assert workers(backlog, 10, 0, maximum) * 10 >= backlog


async def test_the_first_event_wakes_a_worker_and_an_empty_queue_lets_the_last_one_go() -> None:
    found = await scaling(worker={**SMALL, "minimum": 0, "maximum": 4})
    busy, idle = (found.one("MetricAlarm", f"scaling-worker-{why}-alarm").inputs for why in ("busy", "idle"))
    assert (busy["comparisonOperator"], busy["threshold"]) == ("GreaterThanOrEqualToThreshold", 1)
    assert (idle["comparisonOperator"], idle["evaluationPeriods"]) == ("LessThanThreshold", 5)
    up = found.one("Policy", "scaling-worker-busy").inputs["stepScalingPolicyConfiguration"]
    down = found.one("Policy", "scaling-worker-idle").inputs["stepScalingPolicyConfiguration"]
    assert up["adjustmentType"] == down["adjustmentType"] == "ExactCapacity"
    first = up["stepAdjustments"][0]
    assert (first["scalingAdjustment"], first["metricIntervalLowerBound"]) == (1, "0")
    assert "metricIntervalUpperBound" not in up["stepAdjustments"][-1]
    assert [(it["scalingAdjustment"], it["metricIntervalUpperBound"]) for it in down["stepAdjustments"]] == [(0, "0")]
    assert busy["alarmActions"] == ["arn:aws:appautoscaling:eu-central-1:123456789012:scaling-worker-busy"]


async def test_workers_follow_a_metric_that_somebody_tells_while_none_of_them_runs() -> None:
    for why in ("busy", "idle"):
        alarm = (await scaling()).one("MetricAlarm", f"scaling-worker-{why}-alarm").inputs
        assert alarm["namespace"] == "Assistant/serverless"
        assert alarm["dimensions"] == {DIMENSION: "gateway"}
        assert alarm["metricName"] in {metric.name for metric in metrics_of("gateway")}
        # What every gateway task tells is the one backlog; and silence moves nothing.
        assert (alarm["statistic"], alarm["treatMissingData"]) == ("Maximum", "missing")


async def test_inference_follows_its_cpu_and_its_queue() -> None:
    found = await scaling()
    cpu = found.one("Policy", "scaling-inference-cpu").inputs["targetTrackingScalingPolicyConfiguration"]
    assert cpu["predefinedMetricSpecification"]["predefinedMetricType"] == "ECSServiceAverageCPUUtilization"
    queue = found.one("Policy", "scaling-inference-queue").inputs["targetTrackingScalingPolicyConfiguration"]
    metric = queue["customizedMetricSpecification"]
    assert metric["metricName"] in {it.name for it in metrics_of("inference")}
    assert metric["dimensions"] == [{"name": DIMENSION, "value": "inference"}]
    assert queue["targetValue"] == 4


async def test_the_gateway_follows_the_requests_of_both_its_target_groups() -> None:
    found = await scaling(gatewayRequests=90)
    labels = set()
    for purpose in ("api", "generating"):
        policy = found.one("Policy", f"scaling-gateway-requests-{purpose}").inputs["targetTrackingScalingPolicyConfiguration"]
        assert policy["targetValue"] == 90
        labels.add(policy["predefinedMetricSpecification"]["resourceLabel"])
    assert labels == {"app/edge/1/targetgroup/api/2", "app/edge/1/targetgroup/generating/3"}


async def test_what_nothing_could_wake_keeps_one_task() -> None:
    zero = {**SMALL, "minimum": 0, "maximum": 3}
    found = await scaling(gateway=zero, worker=zero, inference={**zero, "cpu": 1024, "memory": 2048})
    targets = {it.name.removeprefix("scaling-"): it.inputs for it in found.of("aws:appautoscaling/target:Target")}
    assert {part: int(inputs["minCapacity"]) for part, inputs in targets.items()} == {"gateway": 1, "worker": 0, "inference": 1}
    assert targets["worker"]["resourceId"] == "service/assistant-serverless/worker"
