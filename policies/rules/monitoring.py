"""Alarms that reach somebody, logs that are kept, a trail of every call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from policies.relations import meant
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Remediation, Rule, Severity, Verdict, each, fail, found, undetermined
from policies.rules import alarms, links
from policies.show import show
from policies.values import UNKNOWN

LOG_GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"
EVENT_STORE: Final = "aws:cloudtrail/eventDataStore:EventDataStore"
KEPT_DAYS: Final = 365
FOR_EVER: Final = 0
# docs.aws.amazon.com/AmazonCloudWatchLogs, PutRetentionPolicy: what retentionInDays may be.
RETENTIONS: Final = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)

TRAIL: Final = "aws:cloudtrail/trail:Trail"
TRAIL_COMPONENT: Final = "assistant:aws:Trail"  # its output `arn` names the organisation's trail where there is one
TRAIL_ARN: Final = re.compile(r"arn:aws[a-z-]*:cloudtrail:[a-z0-9-]+:\d{12}:trail/.+")
KEYS: Final = ("aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey", "aws:kms/alias:Alias")
CLUSTERS: Final = ("aws:eks/cluster:Cluster", "aws:ecs/cluster:Cluster")


def kept(resource: Resource, days: int) -> Verdict:
    """A log group without a retention keeps everything; CloudTrail Lake's store has one of its own by default, of years."""
    name = "retentionPeriod" if resource.type == EVENT_STORE else "retentionInDays"
    came = resource.view.integer(name)
    if came is None or came >= days or (came == FOR_EVER and resource.type == LOG_GROUP):
        return PASS
    return fail(f"{name} is {came}: logs are kept for {days} days at least")


def retention_check(days: int) -> Check:
    return Check(
        types=(LOG_GROUP, EVENT_STORE),
        properties=("retentionInDays", "retentionPeriod"),
        judge=partial(kept, days=days),
    )


def longer(_resource: Resource, days: int) -> Mapping[tuple[str, ...], int]:
    """The shortest retention that CloudWatch has and that is long enough; for ever beyond the longest."""
    return {("retentionInDays",): next((known for known in RETENTIONS if known >= days), FOR_EVER)}


def retention_of(rule: Rule, given: Mapping[str, Any]) -> Rule:
    days = int(given.get("minimumDays", KEPT_DAYS))
    remediation = Remediation(types=(LOG_GROUP,), propose=partial(longer, days=days))
    return replace(rule, checks=(retention_check(days),), remediation=remediation)


def trail_records(resource: Resource) -> Verdict:
    view = resource.view
    return each(
        lambda: _is_set(view, "isMultiRegionTrail", "what is done in another region leaves no trace"),
        lambda: _is_set(view, "enableLogFileValidation", "nobody could tell whether a file was changed or removed"),
        lambda: fail("enableLogging is false: nothing is recorded") if view.boolean("enableLogging") is False else PASS,
        lambda: _management(view),
    )


def _is_set(view: View, name: str, else_: str) -> Verdict:
    value = view.boolean(name)
    return PASS if value else fail(f"{name} is {'not set' if value is None else 'false'}: {else_}")


def _management(view: View) -> Verdict:
    """Without selectors a trail records every management event."""
    plain, advanced = view.mappings("eventSelectors") or [], view.mappings("advancedEventSelectors") or []
    if not plain and not advanced:
        return PASS
    recorded = any(
        selector.boolean("includeManagementEvents") is not False and selector.text("readWriteType") in (None, "All")
        for selector in plain
    )
    if recorded or any(_selects_management(selector) for selector in advanced):
        return PASS
    return fail("the event selectors leave management events out: who changed what in the account is not recorded")


def _selects_management(selector: View) -> bool:
    fields = {field.text("field"): field for field in selector.mappings("fieldSelectors") or []}
    category = fields.get("eventCategory")
    return category is not None and "Management" in (category.texts("equals") or []) and "readOnly" not in fields


def trails_are_encrypted(stack: Stack) -> list[Finding]:
    return [found(trail, partial(_encrypted, stack, trail)) for trail in stack.of_type(TRAIL)]


def _encrypted(stack: Stack, trail: Resource) -> Verdict:
    if trail.view.raw("kmsKeyId") is UNKNOWN:
        known = meant(stack, trail, "kmsKeyId", KEYS)
        return PASS if known else undetermined("kmsKeyId is not known before the update")
    return (
        PASS
        if trail.view.text("kmsKeyId")
        else fail("kmsKeyId is not set: the trail's files are not encrypted with a key of yours")
    )


def a_trail_is_there(stack: Stack) -> list[Finding]:
    """On the component that was to make or to name one, else on the cluster whose account nobody watches."""
    places = stack.of_type(TRAIL_COMPONENT) or stack.of_type(*CLUSTERS)
    return [found(place, partial(_recorded, stack, place)) for place in places[:1]]


def _recorded(stack: Stack, place: Resource) -> Verdict:
    if stack.of_type(TRAIL):
        return PASS  # each of them is judged by itself
    arn = place.view.text("arn") if place.type == TRAIL_COMPONENT else None
    if arn is None:
        return fail("the stack has no trail, and none of the organisation's is named (audit.trail: external)")
    return PASS if TRAIL_ARN.fullmatch(arn) else fail(f"audit.externalTrailArn is {show(arn)}, which is no trail")


RULES: Final[tuple[Rule, ...]] = (
    retention_of(
        Rule(
            id="R48",
            name="logs-kept",
            title="Logs are kept for a year at least",
            severity=Severity.MEDIUM,
            controls=("8.15", "5.28", "5.33"),
            remedy="set retention.logsDays (retentionInDays) to 365 or more, or to what the rule's minimumDays says",
            link=links.LOG_RETENTION,
            checks=(retention_check(KEPT_DAYS),),
            schema={"minimumDays": {"type": "integer", "minimum": 1, "maximum": RETENTIONS[-1], "default": KEPT_DAYS}},
            configure=retention_of,
        ),
        {},
    ),
    Rule(
        id="R50",
        name="trail-of-calls",
        title="A trail records every region, is validated and encrypted, or is declared external",
        severity=Severity.HIGH,
        controls=("8.15", "5.28"),
        remedy="give the trail all regions, log file validation and a KMS key, or name the organisation's (audit.trail)",
        link=links.TRAIL,
        checks=(
            Check(
                types=(TRAIL,),
                properties=(
                    "isMultiRegionTrail",
                    "enableLogFileValidation",
                    "enableLogging",
                    "eventSelectors",
                    "advancedEventSelectors",
                ),
                judge=trail_records,
            ),
        ),
        relations=(
            Relation(reads={TRAIL: ("kmsKeyId",), **dict.fromkeys(KEYS, ())}, judge=trails_are_encrypted),
            Relation(reads={TRAIL: (), TRAIL_COMPONENT: (), **dict.fromkeys(CLUSTERS, ())}, judge=a_trail_is_there),
        ),
    ),
    Rule(
        id="R51",
        name="alarms-reach-somebody",
        title="Every alarm has an enabled action on a topic that somebody subscribes to",
        severity=Severity.HIGH,
        controls=("8.16", "5.24"),
        remedy="name who is to hear of it: notifications.emails, or a subscription to the topic of alarmActions",
        link=links.ALARM_ACTIONS,
        relations=(alarms.REACHING,),
    ),
    Rule(
        id="R52",
        name="alarms-of-the-catalogue",
        title="The stack has every alarm of the catalogue, as the catalogue says it",
        severity=Severity.HIGH,
        controls=("8.16", "5.25"),
        remedy="bring the alarm back, or change it in the catalogue (infra/alarms.py) with a reason",
        link=links.ALARMS,
        relations=(alarms.IN_CLOUDWATCH, alarms.IN_PROMETHEUS),
    ),
)
