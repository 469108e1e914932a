"""CloudWatch's alarms: the catalogue's numbers, and metrics that something in the stack emits under these dimensions."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from aws_rendering import aws_settings, render_component

from infra.alarms import ALARMS, NOT_MEASURED, Measure
from infra.aws.alarm_metrics import Metric, evaluation_periods, renderings, threshold, unmeasured
from infra.aws.alarms import CloudWatchAlarms, CloudWatchAlarmsArgs
from infra.aws.emitters import Emitter, Evidence, emitters

PROFILES = ("dev", "staging", "prod", "serverless")
GPUS = [{"name": "l4", "instanceTypes": ["g6.xlarge"]}]
BY_MEASURE = {alarm.measure: alarm for alarm in ALARMS}
VALUES = {
    "load_balancer": "app/edge/1",
    "target_group_api": "targetgroup/api/1",
    "certificate": "the-certificate",
    "memorydb_cluster": "the-store",
    "eks_cluster": "the-cluster",
    "ecs_cluster": "the-cluster",
}


def settings_of(profile: str, **groups: Any):
    return aws_settings(profile, **({} if profile == "serverless" else {"gpuPools": GPUS}), **groups)


async def rendered(profile: str, **groups: Any):
    def make(context):
        return CloudWatchAlarms("alarms", CloudWatchAlarmsArgs(context=context, topic_arn="the-topic", dimensions=VALUES))

    result = await render_component(make, settings_of(profile, **groups), stack=profile)
    return SimpleNamespace(names=result.made.names, by_name={it.inputs["name"]: it.inputs for it in result.of("MetricAlarm")})


@pytest.mark.parametrize("profile", PROFILES)
def test_every_alarm_is_measured_or_says_why_not(profile):
    settings = settings_of(profile)
    assert set(renderings(settings, profile)) | set(unmeasured(settings)) == set(Measure)
    assert not set(renderings(settings, profile)) & set(unmeasured(settings))
    assert all(len(reason) > 20 for reason in unmeasured(settings).values())


def test_every_measure_is_measured_somewhere_on_aws_or_by_prometheus():
    for measure in Measure:
        assert any(measure not in NOT_MEASURED[platform] for platform in NOT_MEASURED), measure


@pytest.mark.parametrize("profile", PROFILES)
async def test_the_numbers_are_the_catalogues(profile):
    found = await rendered(profile)
    settings = settings_of(profile)
    assert sorted(found.names) == sorted(found.by_name)
    seen = set()
    for measure, several in renderings(settings, profile).items():
        alarm = BY_MEASURE[measure]
        for one in several:
            name = "-".join(["assistant", profile, alarm.name, *([one.part] if one.part else [])])
            inputs = found.by_name[name]
            seen.add(name)
            period = inputs.get("period") or next(
                query["period"] if "period" in query else query["metric"]["period"] for query in inputs["metricQueries"]
            )
            assert inputs["threshold"] == pytest.approx(alarm.threshold * one.scale)
            assert inputs["evaluationPeriods"] * period >= alarm.for_seconds
            assert inputs["comparisonOperator"] == {"above": "GreaterThanThreshold", "below": "LessThanThreshold"}[alarm.beyond]
            assert inputs["alarmActions"] == inputs["okActions"] == ["the-topic"]
            assert inputs["treatMissingData"] in ("notBreaching", "ignore", "missing")
            assert alarm.runbook in inputs["alarmDescription"]
    assert seen == set(found.by_name)


@pytest.mark.parametrize("profile", ["prod", "serverless"])
async def test_cpu_is_above_85_percent_for_five_minutes(profile):
    found = await rendered(profile)
    for part in ("gateway", "worker", "inference"):
        inputs = found.by_name[f"assistant-{profile}-CpuHigh-{part}"]
        assert (inputs["threshold"], inputs["period"], inputs["evaluationPeriods"]) == (85, 60, 5)
        assert inputs["dimensions"]["ClusterName"] == "the-cluster"
        assert part in inputs["dimensions"].values()


@pytest.mark.parametrize("profile", ["prod", "serverless"])
async def test_the_api_is_slow_without_what_generates_text(profile):
    inputs = (await rendered(profile)).by_name[f"assistant-{profile}-ApiSlow"]
    assert (inputs["threshold"], inputs["extendedStatistic"], inputs["metricName"]) == (2, "p99", "TargetResponseTime")
    assert inputs["dimensions"] == {"LoadBalancer": "app/edge/1", "TargetGroup": "targetgroup/api/1"}
    assert "statistic" not in inputs


async def test_messages_fail_below_95_percent_and_without_messages_nothing_does():
    inputs = (await rendered("prod")).by_name["assistant-prod-MessagesFailing"]
    assert (inputs["threshold"], inputs["comparisonOperator"]) == (0.95, "LessThanThreshold")
    assert inputs["treatMissingData"] == "notBreaching"
    assert {"namespace", "metricName", "period", "statistic"}.isdisjoint(inputs)
    share = expression(inputs)
    assert share(done=95, failed=5) == 0.95
    assert share(done=94, failed=6) < 0.95
    assert share(done=0, failed=0) is None


async def test_errors_are_a_share_of_all_requests_those_without_a_target_included():
    share = expression((await rendered("prod")).by_name["assistant-prod-ServerErrors"])
    assert share(edge=0, gateway=5, requests=100) == 0.05
    assert share(edge=7, gateway=0, requests=0) == 1
    assert share(edge=0, gateway=0, requests=0) is None


@pytest.mark.parametrize(("nodes", "ready", "missing"), [(3, 15, 0), (3, 14, 0), (3, 16, 0), (3, 10, 1), (3, 0, 3), (4, 10, 2)])
async def test_counts_the_nodes_that_do_not_say_that_they_are_ready(nodes, ready, missing):
    inputs = (await rendered("prod")).by_name["assistant-prod-NodeNotReady"]
    assert expression(inputs)(nodes=nodes, ready=ready) == missing


@pytest.mark.parametrize(("desired", "ready", "off"), [(1, 0, 1), (0, 0, 0), (2, 1, 0)])
async def test_a_part_that_should_stand_and_does_not_is_missed(desired, ready, off):
    inputs = (await rendered("prod")).by_name["assistant-prod-PartNotReady-worker"]
    assert expression(inputs)(desired=desired, ready=ready) == off


@pytest.mark.parametrize(("up", "off"), [(1, 0), (0, 1)])
async def test_a_store_that_does_not_answer_is_noticed(up, off):
    inputs = (await rendered("prod")).by_name["assistant-prod-QueueStoreDown"]
    assert expression(inputs)(up=up) == off
    assert inputs["threshold"] == 0


def expression(inputs: dict[str, Any]):
    """The metric math of an alarm as a function of its metrics: what CloudWatch documents of the functions that we use."""
    queries = {query["id"]: query for query in inputs["metricQueries"]}
    (result,) = (query for query in queries.values() if query.get("returnData"))
    text = re.sub(r"\bAND\b", "and", result["expression"])
    known = {
        "FILL": lambda value, other: other if value is None else value,
        "MAX": max,
        "IF": lambda condition, one, other: one if condition else other,
        "CEIL": lambda value: -(-value // 1),
    }

    def of(**metrics: float | None) -> float | None:
        assert set(metrics) == {id_ for id_, query in queries.items() if "metric" in query}
        try:
            return eval(text, {"__builtins__": {}}, {**known, **metrics})  # noqa: S307 - an expression of ours
        except ZeroDivisionError:
            return None  # no value

    return of


async def test_what_is_not_there_is_not_watched():
    assert not [name for name in (await rendered("serverless")).names if re.search("Gpu|Node|Crash", name)]
    plain = await render_component(
        lambda context: CloudWatchAlarms(
            "alarms", CloudWatchAlarmsArgs(context=context, topic_arn="the-topic", dimensions=VALUES)
        ),
        aws_settings("prod"),
    )
    assert "assistant-prod-GpuMemoryHigh" not in plain.made.names
    assert "assistant-prod-GpuMemoryHigh" in (await rendered("prod")).names
    own = await rendered("prod", redis={"url": "rediss://redis.example.com:6379"})
    assert "assistant-prod-RedisMemoryHigh" not in own.names


async def test_the_stores_memory_is_asked_of_all_its_nodes():
    (query,) = (await rendered("prod")).by_name["assistant-prod-RedisMemoryHigh"]["metricQueries"]
    assert query["expression"] == (
        "SELECT MAX(DatabaseMemoryUsagePercentage) FROM \"AWS/MemoryDB\" WHERE ClusterName = 'the-store'"
    )
    assert (query["period"], query["returnData"]) == (60, True)


def emits(emitter: Emitter, metric: Metric) -> bool:
    wanted = frozenset(metric.dimensions)
    under = [wanted <= names if metric.among else wanted == names for names in emitter.dimensions]
    values = all(metric.dimensions.get(name) == value for name, value in emitter.fixed.items())
    return emitter.namespace == metric.namespace and metric.name in emitter.metrics and any(under) and values


def all_metrics(profile: str, settings: Any) -> list[Metric]:
    return [
        metric
        for several in renderings(settings, profile).values()
        for rendering in several
        for metric in rendering.metrics.values()
    ]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("gpus", [True, False])
def test_each_metric_has_an_emitter_under_exactly_its_dimensions(profile, gpus):
    settings = settings_of(profile) if gpus else aws_settings(profile)
    known = emitters(settings, profile)
    for metric in all_metrics(profile, settings):
        assert any(emits(one, metric) for one in known), f"nothing emits {metric}"


@pytest.mark.parametrize("profile", PROFILES)
def test_an_emitter_less_and_an_alarm_has_no_metric(profile):
    """Or the test above would say nothing."""
    settings = settings_of(profile)
    known, used = emitters(settings, profile), all_metrics(profile, settings)
    for without in known:
        rest = [one for one in known if one is not without]
        assert not all(any(emits(one, metric) for one in rest) for metric in used), f"nothing needs {without.name}"


def test_evidence_is_a_resource_of_the_type_that_holds_the_words():
    evidence = Evidence(type="aws:eks/addon:Addon", holds=("amazon-cloudwatch-observability",))
    named = json.dumps({"addonName": "amazon-cloudwatch-observability"})
    assert evidence.among([("aws:eks/addon:Addon", named)])
    assert not evidence.among([("aws:eks/addon:Addon", "{}"), ("aws:eks/cluster:Cluster", named)])


def test_periods_in_a_row_make_the_time_of_the_catalogue():
    for profile in PROFILES:
        for measure, several in renderings(settings_of(profile), profile).items():
            for one in several:
                # PutMetricAlarm's limits: a day in all, a week where a period is an hour or more.
                seconds = evaluation_periods(BY_MEASURE[measure], one) * one.period
                assert seconds <= (7 * 86400 if one.period >= 3600 else 86400)
                assert threshold(BY_MEASURE[measure], one) == pytest.approx(BY_MEASURE[measure].threshold * one.scale)
