"""The alarm catalogue as CloudWatch alarms, which tell the stack's topic when they go off and when all is well again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.alarms import ALARMS
from infra.aws.alarm_metrics import (
    COMPARISON,
    From,
    Metric,
    Rendering,
    alarm_name,
    evaluation_periods,
    renderings,
    selection,
    threshold,
)
from infra.aws.context import AwsContext

_RESULT = "result"


@dataclass(frozen=True, kw_only=True)
class CloudWatchAlarmsArgs:
    """``dimensions``: by :data:`infra.aws.emitters.Source`; what the stack has no such thing of may be left out."""

    context: AwsContext
    topic_arn: pulumi.Input[str]
    dimensions: Mapping[str, pulumi.Input[str]]


class CloudWatchAlarms(pulumi.ComponentResource):
    """``names``: of the alarms, as CloudWatch shows them."""

    names: list[str]

    def __init__(self, name: str, args: CloudWatchAlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:CloudWatchAlarms", name, {}, opts)
        stack, child = args.context.stack, pulumi.ResourceOptions(parent=self)
        known = renderings(args.context.settings, stack)
        self.names = []
        for alarm in ALARMS:
            for rendering in known.get(alarm.measure, ()):
                shown = alarm_name(stack, alarm, rendering)
                aws.cloudwatch.MetricAlarm(
                    f"{name}-{alarm.name}" + (f"-{rendering.part}" if rendering.part else ""),
                    name=shown,
                    alarm_description=f"{alarm.severity}: {alarm.summary}. What to do: {alarm.runbook}",
                    comparison_operator=COMPARISON[alarm.beyond],
                    threshold=threshold(alarm, rendering),
                    evaluation_periods=evaluation_periods(alarm, rendering),
                    treat_missing_data=rendering.missing,
                    alarm_actions=[args.topic_arn],
                    ok_actions=[args.topic_arn],
                    tags={"Severity": alarm.severity},
                    **_measured(rendering, args.dimensions),
                    opts=child,
                )
                self.names.append(shown)
        self.register_outputs({"names": self.names})


def _measured(rendering: Rendering, values: Mapping[str, pulumi.Input[str]]) -> dict[str, Any]:
    """What CloudWatch wants of one metric, and of what is computed, which are told apart by their arguments."""
    ((first, metric), *others) = rendering.metrics.items()
    if rendering.expression is None and not others:
        if metric.among:
            query = {"id": first, "expression": _query(metric, values), "period": rendering.period, "return_data": True}
            return {"metric_queries": [query]}
        percentile = metric.statistic.startswith("p")
        return {
            "namespace": metric.namespace,
            "metric_name": metric.name,
            "dimensions": _dimensions(metric, values),
            "period": rendering.period,
            "extended_statistic" if percentile else "statistic": metric.statistic,
        }
    queries: list[dict[str, Any]] = [
        {
            "id": id_,
            "return_data": False,
            "metric": {
                "namespace": one.namespace,
                "metric_name": one.name,
                "dimensions": _dimensions(one, values),
                "period": rendering.period,
                "stat": one.statistic,
            },
        }
        for id_, one in rendering.metrics.items()
    ]
    return {"metric_queries": [*queries, {"id": _RESULT, "expression": rendering.expression, "return_data": True}]}


def _dimensions(metric: Metric, values: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
    return {name: _value(value, values) for name, value in metric.dimensions.items()}


def _value(value: str | From, values: Mapping[str, pulumi.Input[str]]) -> pulumi.Input[str]:
    return values[value.source] if isinstance(value, From) else value


def _query(metric: Metric, values: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """Metrics Insights: over all metrics that have these dimensions, whatever else they have."""
    conditions: list[pulumi.Input[str]] = []
    for name, value in metric.dimensions.items():
        conditions += [" AND " if conditions else " WHERE ", f"{name} = '", _value(value, values), "'"]
    return pulumi.Output.concat(selection(metric), *conditions)
