"""The alarms are those of the catalogue, and somebody hears of them. Listed by :mod:`policies.rules.monitoring`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from policies.alarm_catalogue import DECIDING, ECS, EKS, MEMORYDB, NODE_GROUP, Wanted, differences, platform_of, wanted_of
from policies.relations import means, meant
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Finding, Relation, Verdict, all_of, fail, found, undetermined
from policies.values import UNKNOWN, leaves

ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE: Final = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
TOPIC: Final = "aws:sns/topic:Topic"
TOPIC_ARN: Final = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:.+")
# Who hears of a topic, and the property that says of which.
SUBSCRIBERS: Final[Mapping[str, str]] = {
    "aws:sns/topicSubscription:TopicSubscription": "topic",
    "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration": "snsTopicArns",
    "aws:chatbot/teamsChannelConfiguration:TeamsChannelConfiguration": "snsTopicArns",
}
# An alarm that steers the number of instances is for nobody to hear.
SCALERS: Final = ("aws:appautoscaling/policy:Policy", "aws:autoscaling/policy:Policy")
SCALER_ARN: Final = re.compile(r"arn:aws[a-z-]*:autoscaling:[^:]*:\d{12}:scalingPolicy:.+")

_OPERATOR: Final = "kubernetes:monitoring.coreos.com/v1"
PROMETHEUS_RULE: Final = f"{_OPERATOR}:PrometheusRule"
SCRAPED: Final = (f"{_OPERATOR}:ServiceMonitor", f"{_OPERATOR}:PodMonitor")
COMPARISON: Final = {"above": ">", "below": "<"}


def alarms_reach_somebody(stack: Stack) -> list[Finding]:
    """A finding on each alarm, and one on each topic to which an alarm leads: it is one mistake that nobody subscribes."""
    alarms = stack.of_type(ALARM, COMPOSITE)
    topics = {topic.urn: topic for alarm in alarms for topic in meant(stack, alarm, "alarmActions", (TOPIC,))}
    return [
        *(found(alarm, partial(_told, stack, alarm)) for alarm in alarms),
        *(found(topic, partial(_subscribed, stack, topic)) for topic in topics.values()),
    ]


def _told(stack: Stack, alarm: Resource) -> Verdict:
    if alarm.view.boolean("actionsEnabled") is False:
        return fail("actionsEnabled is false: the alarm goes off and nobody hears of it")
    actions = [leaf.value for leaf in leaves(alarm.view.raw("alarmActions")) if leaf.value is not None]
    if not actions:
        return fail("alarmActions is empty: the alarm goes off and nobody hears of it")
    if meant(stack, alarm, "alarmActions", (TOPIC, *SCALERS)):
        return PASS  # whether anybody subscribes is the topic's to say
    if all(isinstance(action, str) and SCALER_ARN.fullmatch(action) for action in actions):
        return PASS
    if any(isinstance(action, str) and TOPIC_ARN.fullmatch(action) for action in actions):
        return undetermined("alarmActions leads to a topic of another stack: whether anybody subscribes to it is not seen here")
    if UNKNOWN in actions and not alarm.property_dependencies.get("alarmActions"):
        return undetermined("alarmActions is not known before the update")
    return fail("alarmActions leads to no topic that people could subscribe to")


def _subscribed(stack: Stack, topic: Resource) -> Verdict:
    told = [means(subscriber, name, topic) for kind, name in SUBSCRIBERS.items() for subscriber in stack.of_type(kind)]
    if any(told):
        return PASS
    if None in told:
        return undetermined("whether a subscription is one to this topic is not known before the update")
    return fail("alarms lead to this topic, and nobody subscribes to it")


def alarms_of_the_catalogue(stack: Stack) -> list[Finding]:
    """One finding on the cluster, for those that are missing, and one on each that stands there."""
    platform = platform_of(stack)
    if platform is None:
        return []
    wanted = wanted_of(stack, platform)
    names = [(alarm.view.raw("name"), alarm) for alarm in stack.of_type(ALARM)]
    by_name = {name: alarm for name, alarm in names if isinstance(name, str)}
    unnamed = any(name is UNKNOWN for name, _alarm in names)
    missing = [_missing(one, unnamed=unnamed) for one in wanted if one.name not in by_name]
    standing = [(by_name[one.name], one) for one in wanted if one.name in by_name]
    return [
        Finding(stack.of_type(EKS, ECS)[0].urn, all_of(missing)),
        *(found(alarm, partial(_as_wanted, one, alarm)) for alarm, one in standing),
    ]


def _missing(wanted: Wanted, *, unnamed: bool) -> Verdict:
    if unnamed:
        return undetermined(f"{wanted.name}: an alarm has a name that is not known before the update; it may be this one")
    return fail(f"the catalogue's alarm {wanted.alarm} is missing ({wanted.name}): {wanted.summary}")


def _as_wanted(wanted: Wanted, alarm: Resource) -> Verdict:
    found_wrong = differences(wanted, alarm)
    return fail(*found_wrong) if found_wrong else PASS


def rules_of_the_catalogue(stack: Stack) -> list[Finding]:
    """In Prometheus, where the stack hands anything over to its operator."""
    rules, scraped = stack.of_type(PROMETHEUS_RULE), stack.of_type(*SCRAPED)
    if not rules and not scraped:
        return []
    return [found((rules or scraped)[0], partial(_all_there, rules))]


def _all_there(rules: Sequence[Resource]) -> Verdict:
    from infra.alarms import ALARMS  # late: only this rule needs it

    alerts = {
        alert.text("alert"): alert
        for rule in rules
        for group in _mappings(rule.view.mapping("spec"), "groups")
        for alert in _mappings(group, "rules")
    }
    return all_of(
        _alert(
            alerts.get(alarm.name), alarm.name, f"{COMPARISON[alarm.beyond]} {alarm.threshold:.12g}", f"{alarm.for_seconds}s"
        )
        for alarm in ALARMS
    )


def _alert(alert: View | None, name: str, ends: str, lasts: str) -> Verdict:
    if alert is None:
        return fail(f"the catalogue's alarm {name} is missing among the PrometheusRules")
    wrong = []
    if not (alert.text("expr") or "").endswith(f" {ends}"):
        wrong.append(f"the expression of the alarm {name} does not end in {ends}, as the catalogue says")
    if alert.text("for") != lasts:
        wrong.append(f"the alarm {name} does not wait for {lasts}, as the catalogue says")
    return fail(*wrong) if wrong else PASS


def _mappings(view: View | None, name: str) -> list[View]:
    return (view.mappings(name) or []) if view is not None else []


REACHING: Final = Relation(
    reads={
        ALARM: ("actionsEnabled", "alarmActions"),
        COMPOSITE: ("actionsEnabled", "alarmActions"),
        TOPIC: (),
        **{kind: (name,) for kind, name in SUBSCRIBERS.items()},
    },
    judge=alarms_reach_somebody,
)
IN_CLOUDWATCH: Final = Relation(
    reads={ALARM: DECIDING, EKS: (), ECS: (), MEMORYDB: (), NODE_GROUP: ()}, judge=alarms_of_the_catalogue
)
IN_PROMETHEUS: Final = Relation(reads={PROMETHEUS_RULE: ("spec",), **dict.fromkeys(SCRAPED, ())}, judge=rules_of_the_catalogue)
