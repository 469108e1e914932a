"""Queues and topics: an end for every message, attempts that end as well, and encryption whose key lets the senders in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from policies.customer_keys import customer_key, own_keys
from policies.ecs import DEFINITIONS, TASK_DEFINITION, known_containers, unknown_tasks
from policies.given import is_given
from policies.key_policies import READS, lets_in, service
from policies.local_types import PROCESS, Role, role_of
from policies.pods import PROPERTIES, WORKLOADS, Pod, each_container
from policies.relations import means
from policies.resource import Malformed, Resource, Stack, View
from policies.rule import PASS, Check, Finding, Relation, Rule, Severity, Verdict, each, fail, found
from policies.rules import links
from policies.show import show

DENIES_ALL: Final = '"denyAll"'
QUEUE: Final = "aws:sqs/queue:Queue"
REDRIVE: Final = "aws:sqs/redrivePolicy:RedrivePolicy"
REDRIVE_ALLOW: Final = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
TOPIC: Final = "aws:sns/topic:Topic"
STREAM: Final = "aws:kinesis/stream:Stream"
FIREHOSE: Final = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
VIDEO: Final = "aws:kinesis/videoStream:VideoStream"

LONGEST_QUEUE_SECONDS: Final = 14 * 24 * 3600  # SQS' own limit
LONGEST_STREAM_HOURS: Final = 7 * 24
FEWEST_ATTEMPTS: Final = 3
MOST_ATTEMPTS: Final = 10
ATTEMPTS: Final = "MAX_ATTEMPTS"  # of the assistant's worker (app/settings.py), whose queue keeps a dead letter of its own

# Who publishes to a topic on the account's behalf, by the type and property that name it.
PUBLISHERS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "cloudwatch": {"aws:cloudwatch/metricAlarm:MetricAlarm": ("alarmActions", "okActions")},
    "events": {"aws:cloudwatch/eventTarget:EventTarget": ("arn",)},
    "budgets": {"aws:budgets/budget:Budget": ("notifications",)},
    "backup": {"aws:backup/vaultNotifications:VaultNotifications": ("snsTopicArn",)},
    "s3": {"aws:s3/bucketNotification:BucketNotification": ("topics",)},
}


def bounded(resource: Resource) -> Verdict:
    view = resource.view
    if resource.type == QUEUE:
        return _at_most(view, "messageRetentionSeconds", LONGEST_QUEUE_SECONDS, "seconds")
    if resource.type == VIDEO:
        return _at_most(view, "dataRetentionInHours", LONGEST_STREAM_HOURS, "hours")
    return _at_most(view, "retentionPeriod", LONGEST_STREAM_HOURS, "hours")


def _at_most(view: View, name: str, most: int, unit: str) -> Verdict:
    """Without a word AWS keeps messages for days: four in a queue, one in a stream, none of a video."""
    came = view.integer(name)
    if came is None or came <= most:
        return PASS
    return fail(f"{name} is {came}: more than {most} {unit}, and what people wrote stays that long")


def dead_letters(stack: Stack) -> Sequence[Finding]:
    queues = stack.of_type(QUEUE)
    return [found(queue, partial(_redriven, stack, queue)) for queue in queues if not _takes_dead_letters(stack, queue)]


def _takes_dead_letters(stack: Stack, queue: Resource) -> bool:
    """Some other queue's, by its policy; or it says so itself, to whoever may send there."""
    allowing = [queue, *(policy for policy in stack.of_type(REDRIVE_ALLOW) if means(policy, "queueUrl", queue))]
    if any(_allows(policy) for policy in allowing):
        return True
    others = [other for other in stack.of_type(QUEUE) if other.urn != queue.urn]
    return any(_is_target(policy, queue) for policy in (*others, *stack.of_type(REDRIVE)))


def _allows(policy: Resource) -> bool:
    if not is_given(policy, "redriveAllowPolicy"):
        return False
    text = policy.view.raw("redriveAllowPolicy")
    return not (isinstance(text, str) and DENIES_ALL in text)


def _is_target(policy: Resource, queue: Resource) -> bool:
    """Edges, or the ARN within the policy's text. The queue that a ``RedrivePolicy`` is about is named by another property."""
    text = policy.view.raw("redrivePolicy")
    arn = queue.view.raw("arn")
    if isinstance(text, str):
        return isinstance(arn, str) and json.dumps(arn) in text
    return bool(means(policy, "redrivePolicy", queue))


def _redriven(stack: Stack, queue: Resource) -> Verdict:
    separate = [policy for policy in stack.of_type(REDRIVE) if means(policy, "queueUrl", queue)]
    if separate:
        return each(*(partial(_redrive, policy.view) for policy in separate))
    if not is_given(queue, "redrivePolicy"):
        return fail("redrivePolicy is not set: a message that cannot be worked off is tried until it vanishes")
    return _redrive(queue.view)


def _redrive(view: View) -> Verdict:
    text = view.text("redrivePolicy")
    try:
        policy: Mapping[str, Any] = json.loads(text or "{}")
        target, count = policy.get("deadLetterTargetArn"), int(policy.get("maxReceiveCount", 0))
    except (ValueError, TypeError, AttributeError):
        raise Malformed(view.path("redrivePolicy"), "a redrive policy in JSON", "a text that is none") from None
    if not target:
        return fail("redrivePolicy names no deadLetterTargetArn")
    return _attempts("redrivePolicy.maxReceiveCount", count)


def _attempts(path: str, count: int) -> Verdict:
    if FEWEST_ATTEMPTS <= count <= MOST_ATTEMPTS:
        return PASS
    return fail(f"{path} is {count}: {FEWEST_ATTEMPTS} to {MOST_ATTEMPTS} attempts outlast a restart and end all the same")


def of_process(process: Resource) -> Verdict:
    if role_of(process.view) is not Role.WORKER:
        return PASS
    environment = process.view.mapping("environment")
    return _of_worker(environment, ATTEMPTS) if environment else PASS


def of_pod(_pod: Pod, container: View) -> Verdict:
    return each(*(partial(_of_worker, variable, "value") for variable in _attempts_in(container)))


def of_task(_task: View, container: View) -> Verdict:
    return each(*(partial(_of_worker, variable, "value") for variable in _attempts_in(container)))


def _attempts_in(container: View) -> Iterable[View]:
    name = "environment" if "environment" in container else "env"
    return [variable for variable in container.mappings(name) or [] if variable.raw("name") == ATTEMPTS]


def _of_worker(holder: View, name: str) -> Verdict:
    """Where nothing is set, the worker's own default holds, which is within the bounds (app/settings.py)."""
    count = holder.integer(name)
    return PASS if count is None else _attempts(holder.path(name), count)


def encrypted(stack: Stack) -> Sequence[Finding]:
    return [
        *(found(queue, partial(_queue, stack, queue)) for queue in stack.of_type(QUEUE)),
        *(found(topic, partial(_topic, stack, topic)) for topic in stack.of_type(TOPIC)),
        *(found(stream, partial(_stream, stream)) for stream in stack.of_type(STREAM)),
        *(found(stream, partial(_firehose, stream)) for stream in stack.of_type(FIREHOSE)),
    ]


def _queue(stack: Stack, queue: Resource) -> Verdict:
    """Either of SQS' own encryption or of KMS; said, since AWS' default holds for new queues alone."""
    view = queue.view
    if is_given(queue, "kmsMasterKeyId") and (own_keys(stack, queue, view, "kmsMasterKeyId") or view.text("kmsMasterKeyId")):
        return PASS
    if is_given(queue, "sqsManagedSseEnabled") and view.boolean("sqsManagedSseEnabled"):
        return PASS
    return fail("neither kmsMasterKeyId nor sqsManagedSseEnabled is set")


def _topic(stack: Stack, topic: Resource) -> Verdict:
    """A key that AWS manages lets no other service in: what an alarm publishes would be lost without a word."""
    if not is_given(topic, "kmsMasterKeyId"):
        return fail("kmsMasterKeyId is not set: SNS encrypts nothing of its own accord")
    keys = own_keys(stack, topic, topic.view, "kmsMasterKeyId")
    uses = [partial(lets_in, stack, key, service(name)) for key in keys for name in _publishers(stack, topic)]
    return each(partial(customer_key, stack, topic, topic.view, "kmsMasterKeyId"), *uses)


def _publishers(stack: Stack, topic: Resource) -> list[str]:
    return [
        name
        for name, named_by in PUBLISHERS.items()
        if any(
            means(each, property_name, topic)
            for kind, names in named_by.items()
            for each in stack.of_type(kind)
            for property_name in names
        )
    ]


def _stream(stream: Resource) -> Verdict:
    kind = stream.view.text("encryptionType") if is_given(stream, "encryptionType") else None
    return PASS if kind == "KMS" else fail(f"encryptionType is {show(kind or 'not set')}, not KMS")


def _firehose(stream: Resource) -> Verdict:
    if is_given(stream, "kinesisSourceConfiguration"):
        return PASS  # the stream that it reads from is encrypted, or a finding of its own
    encryption = stream.view.mapping("serverSideEncryption") if is_given(stream, "serverSideEncryption") else None
    return PASS if encryption and encryption.boolean("enabled") else fail("serverSideEncryption.enabled is not true")


RULES: Final = (
    Rule(
        id="R34",
        name="queue-retention",
        title="Retention of queues and streams is bounded",
        severity=Severity.LOW,
        controls=("8.10",),
        remedy="let a queue keep messages for 14 days at most, a stream for 7",
        link=links.QUEUE_RETENTION,
        checks=(
            Check(types=(QUEUE,), properties=("messageRetentionSeconds",), judge=bounded),
            Check(types=(STREAM,), properties=("retentionPeriod",), judge=bounded),
            Check(types=(VIDEO,), properties=("dataRetentionInHours",), judge=bounded),
        ),
    ),
    Rule(
        id="R44",
        name="dead-letters",
        title="Every queue has a dead-letter path after 3 to 10 attempts",
        severity=Severity.HIGH,
        controls=("8.14", "8.6"),
        remedy="give the queue a redrivePolicy (a dead-letter queue and maxReceiveCount); the worker, worker.maxAttempts",
        link=links.DEAD_LETTERS,
        checks=(
            Check(types=(PROCESS,), properties=("command", "environment"), judge=of_process),
            Check(types=WORKLOADS, properties=PROPERTIES, judge=lambda resource: each_container(resource, of_pod)),
            Check(types=(TASK_DEFINITION,), properties=(DEFINITIONS,), judge=known_containers(of_task)),
        ),
        relations=(
            Relation(
                reads={
                    QUEUE: ("redrivePolicy", "redriveAllowPolicy"),
                    REDRIVE: ("queueUrl", "redrivePolicy"),
                    REDRIVE_ALLOW: ("queueUrl", "redriveAllowPolicy"),
                },
                judge=dead_letters,
            ),
            Relation(reads={TASK_DEFINITION: (DEFINITIONS,)}, judge=unknown_tasks(of_task)),
        ),
    ),
    Rule(
        id="R69",
        name="queue-encryption",
        title="Queues and topics are encrypted, and a topic's key lets in who publishes",
        severity=Severity.HIGH,
        controls=("8.24", "8.16"),
        remedy="set kmsMasterKeyId to a key of yours, whose policy allows kms:GenerateDataKey to the services that publish",
        link=links.QUEUE_ENCRYPTION,
        relations=(
            Relation(
                reads={
                    QUEUE: ("kmsMasterKeyId", "sqsManagedSseEnabled"),
                    TOPIC: ("kmsMasterKeyId",),
                    STREAM: ("encryptionType",),
                    FIREHOSE: ("serverSideEncryption", "kinesisSourceConfiguration"),
                    **READS,
                },
                judge=encrypted,
            ),
        ),
    ),
)
