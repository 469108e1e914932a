"""Alarms, log groups and the trail as a stack on EKS registers them (``recorded/alarms.json``: by a preview of `prod`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cases.theme import Bad, Cases, Good, Theme

from policies.values import UNKNOWN

RECORDED = Path(__file__).parents[1] / "recorded" / "alarms.json"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


def recorded(platform: str) -> dict[str, dict[str, Any]]:
    """The properties of the alarms by their names less ``assistant-<stack>-``."""
    alarms = json.loads(RECORDED.read_text(encoding="utf-8"))[platform]
    return {alarm["name"].split("-", 2)[2]: alarm for alarm in alarms}


def _alarm(properties: dict[str, Any]) -> Good:
    told = {**properties, "actionsEnabled": True, "alarmActions": [UNKNOWN]}
    return Good(type=ALARM, properties=told, refers={"alarmActions": ("topic",)})


SCALING = "arn:aws:autoscaling:eu-central-1:123456789012:scalingPolicy:6d8972f3:resource/ecs/service/a/b:policyName/c"
_GOOD = {
    "cluster": Good(type="aws:eks/cluster:Cluster", properties={"name": "assistant-prod"}),
    "queue": Good(type="aws:memorydb/cluster:Cluster", properties={"name": "assistant-prod-queue"}),
    "topic": Good(type="aws:sns/topic:Topic", properties={"name": "assistant-prod-alarms", "arn": UNKNOWN}),
    "email": Good(
        type="aws:sns/topicSubscription:TopicSubscription",
        properties={"topic": UNKNOWN, "protocol": "email", "endpoint": "oncall@example.com"},
        refers={"topic": ("topic",)},
    ),
    "key": Good(type="aws:kms/key:Key", properties={"enableKeyRotation": True}),
    "logs": Good(type="aws:cloudwatch/logGroup:LogGroup", properties={"name": "/assistant/prod/flow", "retentionInDays": 400}),
    "trails": Good(type="assistant:aws:Trail", properties={"arn": UNKNOWN}),
    "trail": Good(
        type="aws:cloudtrail/trail:Trail",
        properties={
            "name": "assistant-prod-trail",
            "isMultiRegionTrail": True,
            "enableLogFileValidation": True,
            "enableLogging": True,
            "kmsKeyId": UNKNOWN,
            "advancedEventSelectors": [
                {"name": "management", "fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]}]},
                {"name": "objects", "fieldSelectors": [{"field": "eventCategory", "equals": ["Data"]}]},
            ],
        },
        refers={"kmsKeyId": ("key",)},
    ),
    **{name: _alarm(properties) for name, properties in recorded("eks").items()},
}
_SELECTORS = "advancedEventSelectors/0/fieldSelectors/0"

THEME = Theme(
    good=_GOOD,
    cases={
        "R48": Cases(
            failing=(
                Bad("logs", {"retentionInDays": 364}, "retentionInDays is 364: logs are kept for 365 days at least"),
                Bad("logs", {"retentionInDays": 1}, "retentionInDays is 1:"),
            ),
            unknown=("logs", "retentionInDays"),
            malformed=("logs", "retentionInDays"),
        ),
        "R50": Cases(
            failing=(
                Bad("trail", {"isMultiRegionTrail": False}, "isMultiRegionTrail is false"),
                Bad("trail", {"isMultiRegionTrail": None}, "isMultiRegionTrail is not set"),
                Bad("trail", {"enableLogFileValidation": False}, "enableLogFileValidation is false"),
                Bad("trail", {"enableLogFileValidation": None}, "enableLogFileValidation is not set"),
                Bad("trail", {"enableLogging": False}, "nothing is recorded"),
                Bad("trail", {"kmsKeyId": None}, "kmsKeyId is not set"),
                Bad("trail", {f"{_SELECTORS}/equals": ["Data"]}, "leave management events out"),
                Bad("trail", {}, "the stack has no trail", without=("trail", "trails")),
            ),
            unknown=("trail", "kmsKeyId"),
            malformed=("trail", "advancedEventSelectors"),
        ),
        "R51": Cases(
            failing=(
                Bad("BacklogOld", {"actionsEnabled": False}, "actionsEnabled is false"),
                Bad("BacklogOld", {"alarmActions": []}, "alarmActions is empty"),
                Bad("BacklogOld", {"alarmActions": None}, "alarmActions is empty"),
                Bad(
                    "BacklogOld",
                    {"alarmActions": ["arn:aws:ssm:eu-central-1:123456789012:opsitem:3"]},
                    "leads to no topic",
                    unlinked=True,
                ),
                Bad("email", {}, "nobody subscribes to it", without=("email",)),
                Bad("email", {"topic": "arn:aws:sns:eu-central-1:123456789012:another"}, "nobody subscribes", unlinked=True),
            ),
            unknown=("email", "topic"),
            malformed=("BacklogOld", "actionsEnabled"),
        ),
        "R52": Cases(
            failing=(
                Bad("BacklogOld", {}, "the catalogue's alarm BacklogOld is missing", without=("BacklogOld",)),
                Bad("CpuHigh-worker", {}, "CpuHigh of worker is missing", without=("CpuHigh-worker",)),
                Bad("BacklogOld", {"name": "another"}, "the catalogue's alarm BacklogOld is missing"),
                Bad("BacklogOld", {"threshold": 301}, "threshold is 301; the catalogue says 300"),
                Bad("BacklogOld", {"threshold": None}, "threshold is not set"),
                Bad("BacklogOld", {"comparisonOperator": "LessThanThreshold"}, "comparisonOperator is LessThanThreshold"),
                Bad("BacklogOld", {"evaluationPeriods": 10}, "evaluationPeriods is 10"),
                Bad("BacklogOld", {"datapointsToAlarm": 2}, "datapointsToAlarm is 2"),
                Bad("BacklogOld", {"treatMissingData": "breaching"}, "treatMissingData is breaching"),
                Bad("BacklogOld", {"metricName": "QueueLength"}, "it does not look at Maximum of QueueOldestSeconds"),
                Bad("BacklogOld", {"metricName": None}, "it does not look at Maximum of QueueOldestSeconds"),
                Bad("BacklogOld", {"namespace": "Assistant/dev"}, "(Assistant/prod)"),
                Bad("BacklogOld", {"statistic": "Minimum"}, "it does not look at"),
                Bad("BacklogOld", {"period": 600}, "every 60 s"),
                Bad("BacklogOld", {"dimensions": {}}, "by the catalogue's dimensions"),
                Bad("BacklogOld", {"dimensions/Service": "worker"}, "by the catalogue's dimensions"),
                Bad("BacklogOld", {"dimensions/Other": "x"}, "by the catalogue's dimensions"),
                Bad("ApiSlow", {"extendedStatistic": "p50"}, "it does not look at p99"),
                Bad("RedisMemoryHigh", {"metricQueries/0/expression": "SELECT MIN(x) FROM y"}, "its query does not begin with"),
                Bad("MessagesFailing", {"metricQueries/2/expression": "1"}, "it computes something else than"),
                Bad("MessagesFailing", {"metricQueries/0/metric/metricName": "Other"}, "Sum of MessagesDone"),
                Bad("MessagesFailing", {"metricQueries/1/metric/stat": "Average"}, "Sum of MessagesFailed"),
                Bad("MessagesFailing", {"metricQueries": None}, "it computes something else than"),
            ),
            unknown=("BacklogOld", "name"),
            malformed=("BacklogOld", "threshold"),
        ),
    },
)
