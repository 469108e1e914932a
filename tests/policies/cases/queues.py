"""The worker wherever it runs, queues and streams that somebody may add beside it, and the topic of alarms."""

from __future__ import annotations

import json
from typing import Any

from cases.keys import ACCOUNT, allow, arn, with_root
from cases.theme import Bad, Cases, Good, Theme

WORK, DEAD = (f"arn:aws:sqs:eu-central-1:{ACCOUNT}:{name}" for name in ("work", "dead"))
TOPIC = f"arn:aws:sns:eu-central-1:{ACCOUNT}:alarms"
PUBLISH = ["kms:Decrypt", "kms:GenerateDataKey*"]


def publisher(name: str) -> dict[str, Any]:
    return allow(PUBLISH, {"Service": [f"{name}.amazonaws.com"]})


def redrive(count: Any, target: str | None = DEAD) -> str:
    return json.dumps({"maxReceiveCount": count, **({"deadLetterTargetArn": target} if target else {})})


def containers(attempts: str) -> str:
    variables = [{"name": "LOG_LEVEL", "value": "info"}, {"name": "MAX_ATTEMPTS", "value": attempts}]
    return json.dumps([{"name": "worker", "image": "x", "environment": variables}])


POD = "spec/template/spec/containers/0/env/1/value"
GOOD = {
    "key": Good(
        type="aws:kms/key:Key",
        properties={
            "arn": arn("notifications"),
            "policy": with_root(publisher("cloudwatch"), publisher("events")),
        },
    ),
    "topic": Good(
        type="aws:sns/topic:Topic",
        properties={"arn": TOPIC, "kmsMasterKeyId": arn("notifications")},
        refers={"kmsMasterKeyId": ("key",)},
    ),
    "alarm": Good(
        type="aws:cloudwatch/metricAlarm:MetricAlarm",
        properties={"alarmActions": [TOPIC]},
        refers={"alarmActions": ("topic",)},
    ),
    "target": Good(type="aws:cloudwatch/eventTarget:EventTarget", properties={"arn": TOPIC}, refers={"arn": ("topic",)}),
    "work": Good(
        type="aws:sqs/queue:Queue",
        properties={
            "arn": WORK,
            "url": "https://sqs/work",
            "redrivePolicy": redrive(5),
            "kmsMasterKeyId": "alias/ours",
            "messageRetentionSeconds": 345600,
        },
        refers={"redrivePolicy": ("dead",)},
    ),
    "dead": Good(
        type="aws:sqs/queue:Queue",
        properties={"arn": DEAD, "url": "https://sqs/dead", "sqsManagedSseEnabled": True},
    ),
    "stream": Good(type="aws:kinesis/stream:Stream", properties={"encryptionType": "KMS", "retentionPeriod": 168}),
    "hose": Good(
        type="aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream", properties={"serverSideEncryption": {"enabled": True}}
    ),
    "video": Good(type="aws:kinesis/videoStream:VideoStream", properties={"dataRetentionInHours": 24}),
    "process": Good(
        type="pulumi-python:dynamic/local:Process",
        properties={"command": ["python", "-m", "app.pipeline"], "environment": {"MAX_ATTEMPTS": "5"}},
    ),
    "deployment": Good(
        type="kubernetes:apps/v1:Deployment",
        properties={
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "name": "worker",
                                "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "MAX_ATTEMPTS", "value": "5"}],
                            }
                        ]
                    }
                }
            }
        },
    ),
    "task": Good(type="aws:ecs/taskDefinition:TaskDefinition", properties={"containerDefinitions": containers("5")}),
}

_CASES = {
    "R34": Cases(
        failing=(
            Bad("work", {"messageRetentionSeconds": 1209601}, "messageRetentionSeconds is 1209601"),
            Bad("stream", {"retentionPeriod": 169}, "retentionPeriod is 169"),
            Bad("video", {"dataRetentionInHours": 169}, "dataRetentionInHours is 169"),
        ),
        unknown=("stream", "retentionPeriod"),
        malformed=("work", "messageRetentionSeconds"),
    ),
    "R44": Cases(
        failing=(
            Bad("work", {"redrivePolicy": None}, "redrivePolicy is not set"),
            Bad("work", {"redrivePolicy": redrive(2)}, "maxReceiveCount is 2"),
            Bad("work", {"redrivePolicy": redrive(11)}, "maxReceiveCount is 11"),
            Bad("work", {"redrivePolicy": redrive(5, None)}, "names no deadLetterTargetArn"),
            Bad("work", {"redrivePolicy": "[]"}, "a redrive policy in JSON was expected"),
            Bad("work", {"redrivePolicy": "{"}, "a redrive policy in JSON was expected"),
            Bad("work", {"redrivePolicy": redrive([5])}, "a redrive policy in JSON was expected"),
            Bad("process", {"environment/MAX_ATTEMPTS": "2"}, "environment.MAX_ATTEMPTS is 2"),
            Bad("process", {"environment/MAX_ATTEMPTS": "11"}, "environment.MAX_ATTEMPTS is 11"),
            Bad("deployment", {POD: "1"}, "env[1].value is 1"),
            Bad("deployment", {POD: "100"}, "env[1].value is 100"),
            Bad("task", {"containerDefinitions": containers("2")}, "environment[1].value is 2"),
        ),
        unknown=("deployment", POD),
        malformed=("deployment", POD),
    ),
    "R69": Cases(
        failing=(
            Bad("work", {"kmsMasterKeyId": None}, "neither kmsMasterKeyId nor sqsManagedSseEnabled"),
            Bad("work", {"kmsMasterKeyId": ""}, "neither kmsMasterKeyId nor sqsManagedSseEnabled"),
            Bad("dead", {"sqsManagedSseEnabled": False}, "neither kmsMasterKeyId nor sqsManagedSseEnabled"),
            Bad("topic", {"kmsMasterKeyId": None}, "kmsMasterKeyId is not set"),
            Bad("topic", {"kmsMasterKeyId": "alias/aws/sns"}, "a key that AWS manages"),
            Bad("key", {"policy": with_root(publisher("events"))}, "to cloudwatch.amazonaws.com"),
            Bad("key", {"policy": with_root(publisher("cloudwatch"))}, "to events.amazonaws.com"),
            Bad("key", {"policy": None}, "does not allow kms:Decrypt, kms:GenerateDataKey to"),
            Bad("stream", {"encryptionType": "NONE"}, "encryptionType is NONE"),
            Bad("stream", {"encryptionType": None}, "encryptionType is not set"),
            Bad("hose", {"serverSideEncryption/enabled": False}, "serverSideEncryption.enabled is not true"),
            Bad("hose", {"serverSideEncryption": None}, "serverSideEncryption.enabled is not true"),
        ),
        unknown=("hose", "serverSideEncryption/enabled"),
        malformed=("dead", "sqsManagedSseEnabled"),
    ),
}

THEME = Theme(good=GOOD, cases=_CASES)
