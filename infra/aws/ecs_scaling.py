"""How many tasks: the gateway by its requests and CPU, inference by its CPU and what waits for it, workers by the backlog, to
none and back.

Workers are scaled by steps and not to a target: that is so much for each that runs, and of none there is no such number. While
no worker runs the gateway tells the backlog; each gateway task tells the whole of it, so the maximum counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import pulumi
import pulumi_aws as aws

from app.telemetry.emf_catalogue import DIMENSION
from infra.aws.context import AwsContext
from infra.aws.ecs_parts import SERVICES, Part
from infra.aws.ecs_service import floor
from infra.aws.naming import emf_namespace
from infra.aws_settings import Fargate

CPU_PERCENT = 70.0
SCALE_OUT_SECONDS, SCALE_IN_SECONDS = 60, 300
IDLE_MINUTES = 5
MOST_STEPS = 20  # of one policy, Application Auto Scaling's quota
BACKLOG, QUEUE_LENGTH = "QueueBacklog", "InferenceQueueLength"


@dataclass(frozen=True)
class Step:
    """``workers`` for a backlog of more than ``above`` and at most ``until`` (None: whatever it is)."""

    above: int
    until: int | None
    workers: int


def backlog_steps(per_worker: int, minimum: int, maximum: int) -> tuple[Step, ...]:
    """How many workers for which backlog, from the first event on; too many steps are drawn together, upwards. Pure."""
    lowest = max(1, minimum)
    wanted = maximum - lowest + 1
    steps = min(wanted, MOST_STEPS)
    counts = sorted({lowest + ceil((maximum - lowest) * index / max(1, steps - 1)) for index in range(steps)})
    bounds = [0, *(count * per_worker for count in counts[:-1])]
    return tuple(
        Step(above, None if count == counts[-1] else count * per_worker, count)
        for above, count in zip(bounds, counts, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class EcsScalingArgs:
    """``services``: their names by part. ``load_balancer`` and ``target_groups``: the suffixes of their ARNs."""

    context: AwsContext
    cluster_name: pulumi.Input[str]
    services: Mapping[Part, pulumi.Input[str]]
    load_balancer: pulumi.Input[str]
    target_groups: Mapping[str, pulumi.Input[str]]


class EcsScaling(pulumi.ComponentResource):
    """A scalable target for each service and the policies that move it."""

    def __init__(self, name: str, args: EcsScalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:EcsScaling", name, {}, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        for line in advice(args.context.settings.fargate.gateway.minimum, args.context.settings.fargate.inference.minimum):
            pulumi.log.info(line, self)
        self._targets = {part: self._target(part) for part in SERVICES}
        self._cpu("gateway")
        self._requests()
        self._cpu("inference")
        self._queue()
        self._backlog()
        self.register_outputs({})

    def _target(self, part: Part) -> aws.appautoscaling.Target:
        bounds = {
            "gateway": self._settings.gateway,
            "worker": self._settings.worker,
            "inference": self._settings.inference,
        }[part]
        return aws.appautoscaling.Target(
            f"{self._name}-{part}",
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.concat("service/", self._args.cluster_name, "/", self._args.services[part]),
            min_capacity=floor(part, bounds),
            max_capacity=bounds.maximum,
            opts=self._child,
        )

    def _cpu(self, part: Part) -> None:
        metric = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgs(
            predefined_metric_type="ECSServiceAverageCPUUtilization"
        )
        self._track(part, "cpu", CPU_PERCENT, predefined=metric)

    def _requests(self) -> None:
        for purpose, group in sorted(self._args.target_groups.items()):
            metric = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgs(
                predefined_metric_type="ALBRequestCountPerTarget",
                resource_label=pulumi.Output.concat(self._args.load_balancer, "/", group),
            )
            self._track("gateway", f"requests-{purpose}", float(self._settings.gateway_requests), predefined=metric)

    def _queue(self) -> None:
        """Requests that wait in each inference task, on average; half of what one answers at a time."""
        slots = self._args.context.settings.inference.slots
        metric = aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationArgs(
            namespace=emf_namespace(self._args.context.stack),
            metric_name=QUEUE_LENGTH,
            statistic="Average",
            dimensions=[
                aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationDimensionArgs(
                    name=DIMENSION, value="inference"
                )
            ],
        )
        self._track("inference", "queue", max(1.0, slots / 2), customized=metric)

    def _track(
        self,
        part: Part,
        why: str,
        value: float,
        *,
        predefined: aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationPredefinedMetricSpecificationArgs
        | None = None,
        customized: aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationCustomizedMetricSpecificationArgs
        | None = None,
    ) -> None:
        aws.appautoscaling.Policy(
            f"{self._name}-{part}-{why}",
            name=self._args.context.name(part, why),
            policy_type="TargetTrackingScaling",
            service_namespace=self._targets[part].service_namespace,
            scalable_dimension=self._targets[part].scalable_dimension,
            resource_id=self._targets[part].resource_id,
            target_tracking_scaling_policy_configuration=aws.appautoscaling.PolicyTargetTrackingScalingPolicyConfigurationArgs(
                target_value=value,
                scale_out_cooldown=SCALE_OUT_SECONDS,
                scale_in_cooldown=SCALE_IN_SECONDS,
                predefined_metric_specification=predefined,
                customized_metric_specification=customized,
            ),
            opts=self._child,
        )

    def _backlog(self) -> None:
        fargate = self._settings
        steps = backlog_steps(fargate.worker_backlog, fargate.worker.minimum, fargate.worker.maximum)
        busy = self._steps("busy", [_adjustment(step.workers, step.above, step.until) for step in steps])
        self._alarm("busy", "GreaterThanOrEqualToThreshold", 1, busy, "Events wait: as many workers as they need")
        idle = self._steps("idle", [_adjustment(fargate.worker.minimum, None, 0)])
        why = f"No event has waited for {IDLE_MINUTES} minutes: as few workers as may be"
        self._alarm("idle", "LessThanThreshold", IDLE_MINUTES, idle, why)

    def _steps(
        self, why: str, steps: Sequence[aws.appautoscaling.PolicyStepScalingPolicyConfigurationStepAdjustmentArgs]
    ) -> aws.appautoscaling.Policy:
        return aws.appautoscaling.Policy(
            f"{self._name}-worker-{why}",
            name=self._args.context.name("worker", why),
            policy_type="StepScaling",
            service_namespace=self._targets["worker"].service_namespace,
            scalable_dimension=self._targets["worker"].scalable_dimension,
            resource_id=self._targets["worker"].resource_id,
            step_scaling_policy_configuration=aws.appautoscaling.PolicyStepScalingPolicyConfigurationArgs(
                adjustment_type="ExactCapacity",
                metric_aggregation_type="Maximum",
                # Of going down alone: more are added at once.
                cooldown=SCALE_IN_SECONDS,
                step_adjustments=list(steps),
            ),
            opts=self._child,
        )

    def _alarm(self, why: str, comparison: str, minutes: int, policy: aws.appautoscaling.Policy, description: str) -> None:
        """What pulls a policy; it tells nobody. Where nobody tells the backlog, the number of workers stays."""
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-worker-{why}-alarm",
            name=self._args.context.name("worker", why),
            alarm_description=description,
            namespace=emf_namespace(self._args.context.stack),
            metric_name=BACKLOG,
            dimensions={DIMENSION: "gateway"},
            statistic="Maximum",
            comparison_operator=comparison,
            threshold=1,
            period=60,
            evaluation_periods=minutes,
            treat_missing_data="missing",
            alarm_actions=[policy.arn],
            opts=self._child,
        )

    @property
    def _settings(self) -> Fargate:
        return self._args.context.settings.fargate


def advice(gateway_minimum: int, inference_minimum: int) -> list[str]:
    """What a person should know of how this stack scales."""
    parts = {"gateway": gateway_minimum, "inference": inference_minimum}
    return [
        f"fargate.{part}.minimum is 0, but nothing could wake it: one task stays."
        for part, minimum in parts.items()
        if minimum == 0
    ]


def _adjustment(
    workers: int, above: int | None, until: int | None
) -> aws.appautoscaling.PolicyStepScalingPolicyConfigurationStepAdjustmentArgs:
    """Bounds are told from the alarm's threshold, which is 1: a backlog of ``above`` + 1 is at its lower end."""
    return aws.appautoscaling.PolicyStepScalingPolicyConfigurationStepAdjustmentArgs(
        scaling_adjustment=workers,
        metric_interval_lower_bound=None if above is None else str(above),
        metric_interval_upper_bound=None if until is None else str(until),
    )
