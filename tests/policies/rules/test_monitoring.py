"""Alarms, logs and the trail beyond the cases of test_every_rule: by edges, on Fargate, in Prometheus, at the borders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cases.monitoring import ALARM, SCALING, THEME, recorded

from infra.alarms import ALARMS
from policies.alarm_catalogue import has_gpus
from policies.resource import Resource, Stack
from policies.rule import Outcome, Rule, Verdict, all_of, judge, judge_stack
from policies.rules.monitoring import RETENTIONS, RULES, longer
from policies.values import UNKNOWN

BY_ID = {rule.id: rule for rule in RULES}
TOPIC_ARN = "arn:aws:sns:eu-central-1:123456789012:assistant-prod-alarms"
OTHER_TOPIC = "arn:aws-cn:sns:cn-north-1:123456789012:of-another-stack"
TRAIL_ARN = "arn:aws:cloudtrail:eu-central-1:123456789012:trail/organisation"


def resource(kind: str, name: str, properties: Mapping[str, Any], stack: str = "prod", **options: Any) -> Resource:
    urn = f"urn:pulumi:{stack}::assistant::{kind}::{name}"
    return Resource(urn=urn, type=kind, name=name, properties=properties, **options)


def by_resource(rule_id: str, stack: Stack) -> dict[str, Verdict]:
    found = [finding for relation in BY_ID[rule_id].relations for finding in judge_stack(relation, stack)]
    return {finding.urn.rpartition("::")[2]: finding.verdict for finding in found}


def said(rule_id: str, *resources: Resource) -> Verdict:
    return all_of(by_resource(rule_id, Stack(resources)).values())


def checked(rule: Rule, made: Resource) -> Verdict:
    (check,) = rule.checks
    return judge(check, made)


@pytest.mark.parametrize("rule_id", ["R50", "R51", "R52"])
def test_nothing_is_said_of_a_stack_that_has_nothing_of_the_kind(rule_id: str) -> None:
    assert by_resource(rule_id, Stack((resource("aws:sqs/queue:Queue", "q", {}),))) == {}
    assert by_resource(rule_id, Stack(())) == {}


# How long logs are kept.


@pytest.mark.parametrize(
    ("days", "outcome"),
    [(0, Outcome.PASS), (None, Outcome.PASS), (365, Outcome.PASS), (400, Outcome.PASS), (364, Outcome.FAIL)],
)
def test_a_log_group_keeps_a_year_or_for_ever(days: int | None, outcome: Outcome) -> None:
    group = resource("aws:cloudwatch/logGroup:LogGroup", "logs", {"retentionInDays": days})
    assert checked(BY_ID["R48"], group).outcome is outcome


@pytest.mark.parametrize(("days", "outcome"), [(0, Outcome.FAIL), (364, Outcome.FAIL), (365, Outcome.PASS)])
def test_a_store_of_events_has_no_zero_for_ever(days: int, outcome: Outcome) -> None:
    store = resource("aws:cloudtrail/eventDataStore:EventDataStore", "events", {"retentionPeriod": days})
    assert checked(BY_ID["R48"], store).outcome is outcome


def test_how_long_is_the_configurations_to_say() -> None:
    rule = BY_ID["R48"]
    assert rule.configure
    ninety = rule.configure(rule, {"minimumDays": 90.0})  # the engine's numbers are floats
    for days, outcome in ((89, Outcome.FAIL), (90, Outcome.PASS), (91, Outcome.PASS)):
        group = resource("aws:cloudwatch/logGroup:LogGroup", "logs", {"retentionInDays": days})
        assert checked(ninety, group).outcome is outcome
    assert ninety.remediation
    assert ninety.remediation.propose(group) == {("retentionInDays",): 90}
    assert rule.schema["minimumDays"]["default"] == 365


@pytest.mark.parametrize(
    ("wanted", "proposed"), [(365, 365), (366, 400), (1, 1), (2, 3), (4, 5), (3653, 3653), (3654, 0), (8, 14), (61, 90)]
)
def test_what_is_proposed_is_a_retention_that_cloudwatch_has(wanted: int, proposed: int) -> None:
    assert longer(resource("x", "logs", {}), wanted) == {("retentionInDays",): proposed}


def test_the_retentions_are_those_of_the_settings() -> None:
    from infra.aws_settings import LOG_DAYS

    assert set(RETENTIONS) == {days for days in LOG_DAYS if days}


def test_a_group_is_mended_as_the_rule_itself_stands() -> None:
    remediation = BY_ID["R48"].remediation
    assert remediation
    assert remediation.types == ("aws:cloudwatch/logGroup:LogGroup",)
    assert remediation.propose(resource("x", "logs", {})) == {("retentionInDays",): 365}


# The trail.


def trail(**properties: Any) -> Resource:
    good = {"isMultiRegionTrail": True, "enableLogFileValidation": True, "kmsKeyId": "alias/audit"}
    return resource("aws:cloudtrail/trail:Trail", "trail", {**good, **properties})


@pytest.mark.parametrize(
    ("properties", "outcome"),
    [
        ({}, Outcome.PASS),
        ({"enableLogging": True}, Outcome.PASS),
        ({"enableLogging": UNKNOWN}, Outcome.UNDETERMINED),
        ({"eventSelectors": []}, Outcome.PASS),
        ({"eventSelectors": [{"readWriteType": "All"}]}, Outcome.PASS),
        ({"eventSelectors": [{"includeManagementEvents": True}]}, Outcome.PASS),
        ({"eventSelectors": [{"includeManagementEvents": False}]}, Outcome.FAIL),
        ({"eventSelectors": [{"includeManagementEvents": False}, {"readWriteType": "All"}]}, Outcome.PASS),
        ({"eventSelectors": [{"readWriteType": "WriteOnly"}]}, Outcome.FAIL),
        ({"advancedEventSelectors": []}, Outcome.PASS),
        ({"advancedEventSelectors": [{"fieldSelectors": [{"field": "eventCategory", "equals": ["Data"]}]}]}, Outcome.FAIL),
        (
            {"advancedEventSelectors": [{"fieldSelectors": [{"field": "resources.type", "equals": ["Management"]}]}]},
            Outcome.FAIL,
        ),
        ({"advancedEventSelectors": [{"fieldSelectors": []}]}, Outcome.FAIL),
        ({"advancedEventSelectors": [{}]}, Outcome.FAIL),
        (
            {
                "advancedEventSelectors": [
                    {
                        "fieldSelectors": [
                            {"field": "eventCategory", "equals": ["Management"]},
                            {"field": "readOnly", "equals": ["false"]},
                        ]
                    }
                ]
            },
            Outcome.FAIL,
        ),
    ],
)
def test_a_trail_records_who_changed_what(properties: dict[str, Any], outcome: Outcome) -> None:
    assert checked(BY_ID["R50"], trail(**properties)).outcome is outcome


def test_an_unknown_key_is_known_by_the_edge_to_it() -> None:
    unknown = trail(kmsKeyId=UNKNOWN)
    assert said("R50", unknown).outcome is Outcome.UNDETERMINED
    for kind in ("aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey", "aws:kms/alias:Alias"):
        key = resource(kind, "key", {})
        assert said("R50", replace(unknown, property_dependencies={"kmsKeyId": (key.urn,)}), key).outcome is Outcome.PASS
    bucket = resource("aws:s3/bucket:Bucket", "bucket", {})
    strange = replace(unknown, property_dependencies={"kmsKeyId": (bucket.urn,)})
    assert said("R50", strange, bucket).outcome is Outcome.UNDETERMINED
    assert said("R50", trail(kmsKeyId="")).outcome is Outcome.FAIL


@pytest.mark.parametrize("kind", ["aws:eks/cluster:Cluster", "aws:ecs/cluster:Cluster"])
def test_a_cluster_without_a_trail_is_a_finding_on_it(kind: str) -> None:
    cluster = resource(kind, "cluster", {})
    found = by_resource("R50", Stack((cluster,)))
    assert found["cluster"].outcome is Outcome.FAIL
    assert "the stack has no trail" in found["cluster"].reasons[0]
    assert by_resource("R50", Stack((cluster, trail())))["cluster"].outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("arn", "outcome"),
    [
        (TRAIL_ARN, Outcome.PASS),
        (TRAIL_ARN.replace("aws:", "aws-us-gov:", 1), Outcome.PASS),
        (UNKNOWN, Outcome.UNDETERMINED),
        (None, Outcome.FAIL),
        ("", Outcome.FAIL),
        (f"{TRAIL_ARN} ".replace("trail/", "channel/"), Outcome.FAIL),
        ([[1]], Outcome.FAIL),
    ],
)
def test_the_organisations_trail_is_named_by_the_component(arn: Any, outcome: Outcome) -> None:
    component = resource("assistant:aws:Trail", "trails", {"arn": arn})
    cluster = resource("aws:eks/cluster:Cluster", "cluster", {})
    found = by_resource("R50", Stack((cluster, component)))
    assert {name: verdict.outcome for name, verdict in found.items()} == {"trails": outcome}


# Who hears of an alarm.


def alarm(actions: Any, edges: tuple[Resource, ...] = (), kind: str = ALARM, **more: Any) -> Resource:
    told = {"alarmActions": tuple(each.urn for each in edges)} if edges else {}
    return resource(kind, "alarm", {"alarmActions": actions, **more}, property_dependencies=told)


TOPIC = resource("aws:sns/topic:Topic", "topic", {"arn": TOPIC_ARN})
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"


def subscription(topic: Any, kind: str = "aws:sns/topicSubscription:TopicSubscription", name: str = "topic") -> Resource:
    return resource(kind, "subscription", {name: topic})


@pytest.mark.parametrize("kind", [ALARM, COMPOSITE])
def test_an_alarm_and_its_topic_are_judged_each_by_itself(kind: str) -> None:
    found = by_resource("R51", Stack((alarm([TOPIC_ARN], kind=kind), TOPIC)))
    assert {name: verdict.outcome for name, verdict in found.items()} == {"alarm": Outcome.PASS, "topic": Outcome.FAIL}
    assert said("R51", alarm([TOPIC_ARN], kind=kind), TOPIC, subscription(TOPIC_ARN)).outcome is Outcome.PASS
    assert said("R51", alarm([TOPIC_ARN], kind=kind, actionsEnabled=False), TOPIC, subscription(TOPIC_ARN)).outcome is (
        Outcome.FAIL
    )


@pytest.mark.parametrize("platform", ["slackChannelConfiguration:Slack", "teamsChannelConfiguration:Teams"])
def test_a_chat_channel_is_a_subscriber_too(platform: str) -> None:
    kind = f"aws:chatbot/{platform}ChannelConfiguration"
    assert said("R51", alarm([TOPIC_ARN]), TOPIC, subscription([TOPIC_ARN], kind, "snsTopicArns")).outcome is Outcome.PASS
    assert said("R51", alarm([TOPIC_ARN]), TOPIC, subscription([OTHER_TOPIC], kind, "snsTopicArns")).outcome is Outcome.FAIL


def test_one_topic_without_a_subscriber_is_one_finding_however_many_alarms_lead_to_it() -> None:
    other = replace(alarm([TOPIC_ARN]), urn="urn:pulumi:prod::assistant::x::other")
    findings = [
        finding
        for relation in BY_ID["R51"].relations
        for finding in judge_stack(relation, Stack((alarm([TOPIC_ARN]), other, TOPIC)))
        if finding.verdict.outcome is Outcome.FAIL
    ]
    assert [finding.urn for finding in findings] == [TOPIC.urn]


def test_a_topic_to_which_no_alarm_leads_is_none_of_the_rules_business() -> None:
    assert by_resource("R51", Stack((TOPIC,))) == {}


def test_an_unknown_action_is_told_by_its_edges() -> None:
    assert said("R51", alarm([UNKNOWN])).outcome is Outcome.UNDETERMINED
    assert said("R51", alarm(UNKNOWN)).outcome is Outcome.UNDETERMINED
    assert said("R51", alarm([UNKNOWN], edges=(TOPIC,)), TOPIC, subscription(TOPIC_ARN)).outcome is Outcome.PASS
    function = resource("aws:lambda/function:Function", "function", {})
    assert said("R51", alarm([UNKNOWN], edges=(function,)), function).outcome is Outcome.FAIL


def test_an_unknown_subscription_is_told_by_its_edges() -> None:
    later = subscription(UNKNOWN)
    assert said("R51", alarm([TOPIC_ARN]), TOPIC, later).outcome is Outcome.UNDETERMINED
    ours = replace(later, property_dependencies={"topic": (TOPIC.urn,)})
    assert said("R51", alarm([TOPIC_ARN]), TOPIC, ours).outcome is Outcome.PASS
    another = replace(later, property_dependencies={"topic": ("urn:pulumi:prod::assistant::aws:sns/topic:Topic::other",)})
    assert said("R51", alarm([TOPIC_ARN]), TOPIC, another).outcome is Outcome.FAIL


def test_whether_a_topic_of_another_stack_has_subscribers_is_not_seen() -> None:
    verdict = said("R51", alarm([OTHER_TOPIC]))
    assert verdict.outcome is Outcome.UNDETERMINED
    assert "of another stack" in verdict.reasons[0]


@pytest.mark.parametrize("kind", ["aws:appautoscaling/policy:Policy", "aws:autoscaling/policy:Policy"])
def test_an_alarm_that_steers_a_scaler_is_for_nobody_to_hear(kind: str) -> None:
    policy = resource(kind, "policy", {"arn": UNKNOWN})
    assert said("R51", alarm([UNKNOWN], edges=(policy,)), policy).outcome is Outcome.PASS
    assert said("R51", alarm([SCALING])).outcome is Outcome.PASS
    assert said("R51", alarm([SCALING, "arn:aws:lambda:eu-central-1:123456789012:function:f"])).outcome is Outcome.FAIL
    assert said("R51", alarm([SCALING], actionsEnabled=False)).outcome is Outcome.FAIL


@pytest.mark.parametrize("actions", [[], None, [None], ""])
def test_an_alarm_that_tells_nobody_is_a_finding(actions: Any) -> None:
    assert said("R51", alarm(actions)).outcome is Outcome.FAIL


# The alarms of the catalogue.


def fargate(*left_out: str, without: str = "") -> list[Resource]:
    kinds = {"cluster": "aws:ecs/cluster:Cluster", "queue": "aws:memorydb/cluster:Cluster"}
    parts = [resource(kind, name, {"name": "a"}, "serverless") for name, kind in kinds.items() if name != without]
    alarms = recorded("fargate").items()
    return [*parts, *(resource(ALARM, name, given, "serverless") for name, given in alarms if name not in left_out)]


def test_a_stack_on_fargate_has_alarms_of_its_own() -> None:
    found = by_resource("R52", Stack(fargate()))
    assert {verdict.outcome for verdict in found.values()} == {Outcome.PASS}
    assert set(found) == {"cluster", *recorded("fargate")}
    verdict = by_resource("R52", Stack(fargate("PartNotReady-worker", "ServerErrors")))["cluster"]
    assert [reason.partition(" is missing")[0] for reason in verdict.reasons] == [
        "the catalogue's alarm PartNotReady of worker",
        "the catalogue's alarm ServerErrors",
    ]


def test_what_fargate_does_not_have_is_not_missed_there() -> None:
    names = set(recorded("fargate"))
    assert "NodeNotReady" not in names
    assert not any(name.startswith(("CrashLooping", "Gpu")) for name in names)


def test_a_queue_of_the_users_own_has_no_alarm_on_its_memory() -> None:
    assert by_resource("R52", Stack(fargate("RedisMemoryHigh")))["cluster"].outcome is Outcome.FAIL
    assert by_resource("R52", Stack(fargate("RedisMemoryHigh", without="queue")))["cluster"].outcome is Outcome.PASS


def test_nodes_with_gpus_want_the_alarm_on_their_memory() -> None:
    pool = resource("aws:eks/nodeGroup:NodeGroup", "pool", {"amiType": "AL2023_x86_64_NVIDIA"})
    stack = THEME.stack()
    assert by_resource("R52", stack)["cluster"].outcome is Outcome.PASS
    verdict = by_resource("R52", Stack((*stack.resources, pool)))["cluster"]
    assert "the catalogue's alarm GpuMemoryHigh is missing" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("properties", "has"),
    [
        ({"amiType": "AL2023_x86_64_NVIDIA"}, True),
        ({"amiType": "AL2_x86_64_GPU"}, True),
        ({"amiType": "AL2023_x86_64_STANDARD", "instanceTypes": ["m7i.large"]}, False),
        ({"instanceTypes": ["m7i.large", "g6.xlarge"]}, True),
        ({"instanceTypes": ["gr6.4xlarge"]}, True),
        ({"instanceTypes": ["p5.48xlarge"]}, True),
        ({"instanceTypes": ["r7g.large", "c7g.large"]}, False),
        ({"instanceTypes": UNKNOWN, "amiType": UNKNOWN}, False),
        ({"instanceTypes": [UNKNOWN, 7]}, False),
        ({}, False),
    ],
)
def test_gpus_are_known_by_the_image_or_the_kind_of_instance(properties: dict[str, Any], has: bool) -> None:
    assert has_gpus(resource("x", "pool", properties)) is has


def test_a_name_that_is_not_known_may_be_the_missing_alarms() -> None:
    stack = THEME.stack(THEME.resource("BacklogOld", {"name": UNKNOWN}))
    verdict = by_resource("R52", stack)["cluster"]
    assert verdict.outcome is Outcome.UNDETERMINED
    assert "assistant-prod-BacklogOld" in verdict.reasons[0]


def test_dimensions_that_only_the_update_knows_are_enough_by_their_names() -> None:
    later = THEME.resource("ApiSlow", {"dimensions/LoadBalancer": UNKNOWN, "dimensions/TargetGroup": UNKNOWN})
    assert by_resource("R52", THEME.stack(later))["ApiSlow"].outcome is Outcome.PASS
    lacking = THEME.resource("ApiSlow", {"dimensions/TargetGroup": None})
    assert by_resource("R52", THEME.stack(lacking))["ApiSlow"].outcome is Outcome.FAIL
    whole = THEME.resource("ApiSlow", {"dimensions": UNKNOWN})
    assert by_resource("R52", THEME.stack(whole))["ApiSlow"].outcome is Outcome.UNDETERMINED


def test_every_dimension_counts() -> None:
    other = THEME.resource("CrashLooping-worker", {"dimensions/PodName": "gateway"})
    assert by_resource("R52", THEME.stack(other))["CrashLooping-worker"].outcome is Outcome.FAIL
    later = THEME.resource("CrashLooping-worker", {"dimensions/PodName": UNKNOWN})
    assert by_resource("R52", THEME.stack(later))["CrashLooping-worker"].outcome is Outcome.UNDETERMINED


def test_what_decides_may_not_be_ignored_when_it_changes_the_name_included() -> None:
    assert {"name", "threshold", "metricQueries"} <= set(BY_ID["R52"].reads()[ALARM])


def test_the_namespace_of_kubernetes_is_the_stacks_own_affair() -> None:
    other = THEME.resource("CrashLooping-worker", {"dimensions/Namespace": "answers"})
    assert by_resource("R52", THEME.stack(other))["CrashLooping-worker"].outcome is Outcome.PASS


def test_a_percentile_stands_under_a_name_of_its_own() -> None:
    plain = THEME.resource("ApiSlow", {"extendedStatistic": None, "statistic": "p99"})
    assert by_resource("R52", THEME.stack(plain))["ApiSlow"].outcome is Outcome.PASS


def test_every_period_counts_where_their_number_is_said_again() -> None:
    again = THEME.resource("CpuHigh-worker", {"datapointsToAlarm": 5})
    assert by_resource("R52", THEME.stack(again))["CpuHigh-worker"].outcome is Outcome.PASS
    fewer = THEME.resource("CpuHigh-worker", {"datapointsToAlarm": 4})
    assert by_resource("R52", THEME.stack(fewer))["CpuHigh-worker"].outcome is Outcome.FAIL


# In Prometheus.

OPERATOR = "kubernetes:monitoring.coreos.com/v1"


def alert(name: str) -> dict[str, Any]:
    from infra.kubernetes.alarm_rules import groups

    (group,) = groups("assistant")
    return next(dict(rule) for rule in group["rules"] if rule["alert"] == name)


def prometheus_rule(*left_out: str, **changed: Mapping[str, Any]) -> Resource:
    rules = [{**alert(each.name), **changed.get(each.name, {})} for each in ALARMS if each.name not in left_out]
    spec = {"groups": [{"name": "assistant", "rules": rules[:3]}, {"name": "more", "rules": rules[3:]}]}
    return resource(f"{OPERATOR}:PrometheusRule", "rules", {"spec": spec})


def test_the_rules_that_the_stack_makes_are_the_catalogues() -> None:
    assert {name: verdict.outcome for name, verdict in by_resource("R52", Stack((prometheus_rule(),))).items()} == {
        "rules": Outcome.PASS
    }


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (prometheus_rule("DeadLetters"), "the catalogue's alarm DeadLetters is missing among the PrometheusRules"),
        (prometheus_rule(BacklogOld={"expr": "(x) > 301"}), "does not end in > 300"),
        (prometheus_rule(BacklogOld={"expr": "(x) < 300"}), "does not end in > 300"),
        (prometheus_rule(MessagesFailing={"expr": "(x) > 0.95"}), "does not end in < 0.95"),
        (prometheus_rule(BacklogOld={"for": "600s"}), "the alarm BacklogOld does not wait for 60s"),
        (prometheus_rule(BacklogOld={"for": None}), "the alarm BacklogOld does not wait for 60s"),
        (prometheus_rule(BacklogOld={"expr": None}), "does not end in > 300"),
        (resource(f"{OPERATOR}:PrometheusRule", "rules", {}), "alarm CpuHigh is missing"),
        (resource(f"{OPERATOR}:PrometheusRule", "rules", {"spec": {"groups": [{}]}}), "alarm CpuHigh is missing"),
        (resource(f"{OPERATOR}:ServiceMonitor", "rules", {"spec": {}}), "alarm CpuHigh is missing"),
        (resource(f"{OPERATOR}:PodMonitor", "rules", {"spec": {}}), "alarm CpuHigh is missing"),
        (resource(f"{OPERATOR}:PrometheusRule", "rules", {"spec": [1]}), "a mapping was expected"),
    ],
)
def test_where_the_operator_is_handed_anything_every_alarm_is(rule: Resource, words: str) -> None:
    found = by_resource("R52", Stack((rule,)))
    assert found["rules"].outcome is Outcome.FAIL
    assert any(words in reason for reason in found["rules"].reasons), found["rules"].reasons


def test_a_rule_that_is_not_known_yet_is_said_aloud() -> None:
    later = resource(f"{OPERATOR}:PrometheusRule", "rules", {"spec": UNKNOWN})
    assert said("R52", later).outcome is Outcome.UNDETERMINED
