"""What the cases of queues and topics do not say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases.keys import with_root
from cases.queues import DEAD, GOOD, TOPIC, WORK, containers, publisher, redrive
from cases.theme import Theme

from policies.resource import Resource, Stack
from policies.rule import Outcome, Verdict, all_of, judge, judge_stack
from policies.rules import RULES
from policies.values import UNKNOWN

ALL = {rule.id: rule for rule in RULES}
THEME = Theme(good=GOOD, cases={})
QUEUE = "aws:sqs/queue:Queue"
REDRIVE = "aws:sqs/redrivePolicy:RedrivePolicy"
ALLOW = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"


def of(rule: str, stack: Stack, name: str | None = None) -> Verdict:
    findings = [finding for relation in ALL[rule].relations for finding in judge_stack(relation, stack)]
    return all_of(finding.verdict for finding in findings if name is None or finding.urn.endswith(f"::{name}"))


def checked(rule: str, resource: Resource) -> Outcome:
    return all_of(judge(check, resource) for check in ALL[rule].checks if resource.type in check.types).outcome


def made(kind: str, name: str, properties: dict[str, Any], **options: Any) -> Resource:
    return Resource(urn=f"urn:pulumi:prod::assistant::{kind}::{name}", type=kind, name=name, properties=properties, **options)


def judged(stack: Stack) -> list[str]:
    """The names of the queues of which something is said, bad or good."""
    return [each.urn.rpartition("::")[2] for relation in ALL["R44"].relations for each in judge_stack(relation, stack)]


@pytest.mark.parametrize("rule", ["R44", "R69"])
def test_a_stack_without_queues_has_no_finding(rule: str) -> None:
    assert [found for relation in ALL[rule].relations for found in judge_stack(relation, Stack(()))] == []


def test_what_aws_bounds_of_its_own_accord_is_bounded() -> None:
    assert checked("R34", THEME.resource("work", {"messageRetentionSeconds": None})) is Outcome.PASS
    assert checked("R34", THEME.resource("work", {"messageRetentionSeconds": 1209600})) is Outcome.PASS
    assert checked("R34", THEME.resource("stream", {"retentionPeriod": None})) is Outcome.PASS
    assert checked("R34", THEME.resource("video", {"dataRetentionInHours": 168})) is Outcome.PASS


@pytest.mark.parametrize("count", [3, 10, "5"])
def test_three_to_ten_attempts_are_enough(count: Any) -> None:
    assert of("R44", THEME.stack(THEME.resource("work", {"redrivePolicy": redrive(count)}))).outcome is Outcome.PASS
    assert checked("R44", THEME.resource("process", {"environment/MAX_ATTEMPTS": str(count)})) is Outcome.PASS
    assert checked("R44", THEME.resource("task", {"containerDefinitions": containers(str(count))})) is Outcome.PASS


def test_the_workers_own_default_holds_where_nothing_is_set() -> None:
    assert checked("R44", THEME.resource("process", {"environment": {}})) is Outcome.PASS
    assert checked("R44", THEME.resource("process", {"environment": None})) is Outcome.PASS
    other = {"command": ["python", "-m", "app.gateway"], "environment": {"MAX_ATTEMPTS": "1"}}
    assert checked("R44", THEME.resource("process", other)) is Outcome.PASS


def test_a_task_that_is_not_known_yet_is_told_by_what_its_component_says() -> None:
    component = made("assistant:aws:EcsTask", "c", {"containers": [{"environment": [{"name": "MAX_ATTEMPTS", "value": "1"}]}]})
    task = THEME.resource("task", {"containerDefinitions": UNKNOWN}, parent=component.urn)
    assert of("R44", Stack((component, task)), "task").outcome is Outcome.FAIL
    assert of("R44", Stack((task,)), "task").outcome is Outcome.UNDETERMINED


def test_a_dead_letter_queue_needs_none_itself() -> None:
    assert judged(THEME.stack()) == ["work"]
    by_edge = THEME.stack(
        THEME.resource("work", {"redrivePolicy": UNKNOWN, "arn": UNKNOWN}), THEME.resource("dead", {"arn": UNKNOWN})
    )
    assert judged(by_edge) == ["work"]
    assert of("R44", by_edge, "work").outcome is Outcome.UNDETERMINED
    another = THEME.stack(THEME.resource("work", {"redrivePolicy": redrive(5, f"{DEAD}-2")}, linked=False))
    assert of("R44", another, "dead").outcome is Outcome.FAIL


def test_a_queue_is_not_its_own_dead_letter_queue() -> None:
    alone = made(QUEUE, "alone", {"arn": WORK, "redrivePolicy": redrive(5, WORK)})
    assert judged(Stack((alone,))) == ["alone"]


def test_a_queue_that_takes_dead_letters_from_others_says_so() -> None:
    bare = made(QUEUE, "bare", {"arn": "a", "url": "u"})
    assert of("R44", Stack((bare,))).outcome is Outcome.FAIL
    for text, taken in (('{"redrivePermission": "allowAll"}', True), ('{"redrivePermission": "denyAll"}', False)):
        inline = replace(bare, properties={**bare.properties, "redriveAllowPolicy": text})
        assert judged(Stack((inline,))) == ([] if taken else ["bare"])
        sibling = made(ALLOW, "allow", {"queueUrl": "u", "redriveAllowPolicy": text})
        assert judged(Stack((bare, sibling))) == ([] if taken else ["bare"])
        other = made(ALLOW, "allow", {"queueUrl": "v", "redriveAllowPolicy": text})
        assert judged(Stack((bare, other))) == ["bare"]


def test_a_redrive_policy_of_its_own_counts() -> None:
    queue = made(QUEUE, "work", {"arn": WORK, "url": "u", "redrivePolicy": UNKNOWN})
    dead = made(QUEUE, "dead", {"arn": DEAD, "url": "d"})

    def stack(properties: dict[str, Any], **options: Any) -> Stack:
        return Stack((queue, dead, made(REDRIVE, "policy", {"queueUrl": "u", **properties}, **options)))

    assert judged(stack({"redrivePolicy": redrive(5)})) == ["work"]
    assert of("R44", stack({"redrivePolicy": redrive(5)})).outcome is Outcome.PASS
    assert of("R44", stack({"redrivePolicy": redrive(2)})).outcome is Outcome.FAIL
    assert of("R44", Stack((queue, dead)), "work").outcome is Outcome.FAIL
    edges = {"queueUrl": (queue.urn,), "redrivePolicy": (dead.urn,)}
    unknown = stack({"redrivePolicy": UNKNOWN, "queueUrl": UNKNOWN}, property_dependencies=edges)
    assert judged(unknown) == ["work"]
    assert of("R44", unknown).outcome is Outcome.UNDETERMINED


def test_before_anything_exists_the_edges_say_which_key_and_who_publishes() -> None:
    stack = THEME.stack(
        THEME.resource("key", {"arn": UNKNOWN}),
        THEME.resource("topic", {"arn": UNKNOWN, "kmsMasterKeyId": UNKNOWN}),
        THEME.resource("alarm", {"alarmActions": [UNKNOWN]}),
        THEME.resource("target", {"arn": UNKNOWN}),
        THEME.resource("dead", {"kmsMasterKeyId": UNKNOWN}),
    )
    assert of("R69", stack).outcome is Outcome.PASS
    closed = THEME.resource("key", {"arn": UNKNOWN, "policy": with_root(publisher("events"))})
    topic = THEME.resource("topic", {"arn": UNKNOWN, "kmsMasterKeyId": UNKNOWN})
    assert of("R69", THEME.stack(closed, topic, THEME.resource("alarm", {"alarmActions": [UNKNOWN]}))).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("kind", "properties", "service"),
    [
        ("aws:cloudwatch/metricAlarm:MetricAlarm", {"okActions": [TOPIC]}, "cloudwatch"),
        ("aws:budgets/budget:Budget", {"notifications": [{"subscriberSnsTopicArns": [TOPIC]}]}, "budgets"),
        ("aws:backup/vaultNotifications:VaultNotifications", {"snsTopicArn": TOPIC}, "backup"),
        ("aws:s3/bucketNotification:BucketNotification", {"topics": [{"topicArn": TOPIC}]}, "s3"),
    ],
)
def test_whoever_publishes_must_be_let_in(kind: str, properties: dict[str, Any], service: str) -> None:
    more = made(kind, "more", properties)

    def stack(*services: str) -> Stack:
        key = THEME.resource("key", {"policy": with_root(*map(publisher, services))})
        return Stack((*THEME.stack(key, without=("alarm", "target")).resources, more))

    assert of("R69", stack(service), "topic").outcome is Outcome.PASS
    assert of("R69", stack(), "topic").outcome is Outcome.FAIL
    quiet = THEME.stack(THEME.resource("key", {"policy": with_root()}), without=("alarm", "target"))
    assert of("R69", quiet, "topic").outcome is Outcome.PASS


def test_a_queue_may_be_encrypted_by_sqs_or_by_kms_but_must_say_so() -> None:
    managed = {"kmsMasterKeyId": None, "sqsManagedSseEnabled": True}
    assert of("R69", THEME.stack(THEME.resource("work", managed)), "work").outcome is Outcome.PASS
    assert of("R69", THEME.stack(THEME.resource("work", {"kmsMasterKeyId": "alias/aws/sqs"})), "work").outcome is Outcome.PASS
    computed = THEME.resource("work", {"kmsMasterKeyId": None, "sqsManagedSseEnabled": UNKNOWN})
    assert of("R69", THEME.stack(computed), "work").outcome is Outcome.FAIL
    from_a_key = replace(
        THEME.resource("work", {"kmsMasterKeyId": UNKNOWN}), property_dependencies={"kmsMasterKeyId": (THEME.urn("key"),)}
    )
    assert of("R69", THEME.stack(from_a_key), "work").outcome is Outcome.PASS


def test_a_delivery_stream_that_reads_a_stream_is_encrypted_by_it() -> None:
    hose = THEME.resource("hose", {"serverSideEncryption": None, "kinesisSourceConfiguration": {"kinesisStreamArn": "a"}})
    assert of("R69", THEME.stack(hose), "hose").outcome is Outcome.PASS
