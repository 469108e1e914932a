"""What the alarm catalogue (``infra/alarms.py``) gives for a stack, and in what an alarm that stands there differs from it.

The catalogue's own modules say it, so that what was deployed and what is checked cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from policies.resource import NotKnown, Resource, Stack, View
from policies.show import show
from policies.values import UNKNOWN

if TYPE_CHECKING:
    from infra.alarms import Alarm, Measure
    from infra.aws.alarm_metrics import Metric, Rendering

EKS: Final = "aws:eks/cluster:Cluster"
ECS: Final = "aws:ecs/cluster:Cluster"
MEMORYDB: Final = "aws:memorydb/cluster:Cluster"
NODE_GROUP: Final = "aws:eks/nodeGroup:NodeGroup"
GPU_INSTANCE: Final = re.compile(r"(?:g|gr|p)\d")  # g6.xlarge, gr6.4xlarge, p5.48xlarge
ANY_NAMESPACE: Final = "*"  # the one of Kubernetes is a setting, which the stack's resources need not show
# What of an alarm decides whether it is the catalogue's.
DECIDING: Final = (
    "name",
    "comparisonOperator",
    "threshold",
    "evaluationPeriods",
    "datapointsToAlarm",
    "treatMissingData",
    "namespace",
    "metricName",
    "statistic",
    "extendedStatistic",
    "period",
    "dimensions",
    "metricQueries",
)

Platform = Literal["eks", "fargate"]
# Namespace, name, statistic, period in seconds, and dimensions: None where the value is known once something is made.
Measured = tuple[str | None, str | None, str | None, int | None, Mapping[str, str | None]]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """``alarm``: as the catalogue names it. ``name``: as CloudWatch does. ``begins``: of the expression over many metrics."""

    alarm: str
    name: str
    summary: str
    properties: Mapping[str, str | float]
    measured: tuple[Measured, ...]
    expression: str | None = None
    begins: str | None = None


def platform_of(stack: Stack) -> Platform | None:
    """None: neither EKS nor ECS runs there."""
    return "eks" if stack.of_type(EKS) else "fargate" if stack.of_type(ECS) else None


def wanted_of(stack: Stack, platform: Platform) -> list[Wanted]:
    """In the catalogue's order."""
    from infra.alarms import ALARMS  # late: only this rule needs it
    from infra.aws.alarm_metrics import measurable

    known = measurable(platform, ANY_NAMESPACE, stack.name)
    left_out = _not_measured(stack, platform)
    return [
        _wanted(stack.name, alarm, rendering)
        for alarm in ALARMS
        if alarm.measure not in left_out
        for rendering in known.get(alarm.measure, ())
    ]


def _not_measured(stack: Stack, platform: Platform) -> set[Measure]:
    from infra.alarms import NOT_MEASURED, Measure

    left_out = set(NOT_MEASURED[platform])
    if not stack.of_type(MEMORYDB):
        left_out.add(Measure.REDIS_MEMORY)
    if not any(has_gpus(group) for group in stack.of_type(NODE_GROUP)):
        left_out.add(Measure.GPU_MEMORY)
    return left_out


def has_gpus(group: Resource) -> bool:
    """Of what is known of a group of nodes; what is not says nothing of GPUs."""
    image, kinds = group.view.raw("amiType"), group.view.raw("instanceTypes")
    by_image = isinstance(image, str) and ("NVIDIA" in image or "GPU" in image)
    listed = kinds if isinstance(kinds, list) else []
    return by_image or any(isinstance(kind, str) and bool(GPU_INSTANCE.match(kind)) for kind in listed)


def _wanted(stack: str, alarm: Alarm, rendering: Rendering) -> Wanted:
    from infra.aws.alarm_metrics import COMPARISON, alarm_name, evaluation_periods, selection, threshold

    metrics = list(rendering.metrics.values())
    among = next((selection(metric) for metric in metrics if metric.among), None)
    return Wanted(
        alarm=alarm.name + (f" of {rendering.part}" if rendering.part else ""),
        name=alarm_name(stack, alarm, rendering),
        summary=alarm.summary,
        properties={
            "comparisonOperator": COMPARISON[alarm.beyond],
            "threshold": threshold(alarm, rendering),
            "evaluationPeriods": evaluation_periods(alarm, rendering),
            "treatMissingData": rendering.missing,
        },
        measured=() if among else tuple(_measured(metric, rendering.period) for metric in metrics),
        expression=rendering.expression,
        begins=among,
    )


def _measured(metric: Metric, period: int) -> Measured:
    known = {name: value if isinstance(value, str) else None for name, value in metric.dimensions.items()}
    return metric.namespace, metric.name, metric.statistic, period, known


def differences(wanted: Wanted, alarm: Resource) -> list[str]:
    """In what ``alarm`` is another than the catalogue's. Raises what reading its properties raises."""
    view = alarm.view
    return [*_of_values(wanted, view), *_of_metrics(wanted, view)]


def _of_values(wanted: Wanted, view: View) -> Iterator[str]:
    came: Mapping[str, str | float | None] = {
        "comparisonOperator": view.text("comparisonOperator"),
        "threshold": view.number("threshold"),
        "evaluationPeriods": view.integer("evaluationPeriods"),
        "treatMissingData": view.text("treatMissingData"),
    }
    for name, expected in wanted.properties.items():
        value = came[name]
        if value != expected:
            yield f"{name} is {'not set' if value is None else show(value)}; the catalogue says {expected}"
    points = view.integer("datapointsToAlarm")
    if points is not None and points != wanted.properties["evaluationPeriods"]:
        yield f"datapointsToAlarm is {points}; the catalogue wants every period to count"


def _of_metrics(wanted: Wanted, view: View) -> Iterator[str]:
    queries = view.mappings("metricQueries") or []
    asked = [metric for query in queries if (metric := query.mapping("metric"))]
    found = [_of_metric(metric, "stat") for metric in asked]
    if "metricName" in view:
        found.append(_of_metric(view, "extendedStatistic" if "extendedStatistic" in view else "statistic"))
    for measured in wanted.measured:
        if not any(_same(measured, each) for each in found):
            namespace, name, statistic, period, _dimensions = measured
            yield f"it does not look at {statistic} of {name} ({namespace}) every {period} s by the catalogue's dimensions"
    expression = next((query.text("expression") for query in queries if query.boolean("returnData")), None)
    if wanted.begins:
        if expression is None or not expression.startswith(wanted.begins):
            yield f"its query does not begin with {wanted.begins}"
    elif expression != wanted.expression:
        yield f"it computes something else than {wanted.expression or 'the metric itself'}"


def _of_metric(view: View, statistic: str) -> Measured:
    name, namespace = view.text("metricName"), view.text("namespace")
    return namespace, name, view.text(statistic), view.integer("period"), _dimensions(view)


def _dimensions(view: View) -> dict[str, str | None]:
    """None for what is not known yet: its name stands there, which shows that something was handed over."""
    dimensions = view.mapping("dimensions")
    if dimensions is None:
        return {}
    return {name: None if dimensions.raw(name) is UNKNOWN else dimensions.text(name) for name in dimensions.names()}


def _same(wanted: Measured, found: Measured) -> bool:
    *fields, dimensions = wanted
    *others, came = found
    return (
        fields == others and set(dimensions) == set(came) and all(_fits(value, came[key]) for key, value in dimensions.items())
    )


def _fits(wanted: str | None, came: str | None) -> bool:
    if wanted in (None, ANY_NAMESPACE):
        return True
    if came is None:
        raise NotKnown("dimensions")
    return wanted == came
