"""Keys, and what they encrypt: log groups, images, volumes of nodes, topics; as infra/aws registers them."""

from __future__ import annotations

import json
from typing import Any

from cases.theme import Bad, Cases, Good, Theme

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
SCALING = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
USE = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
LOGS = "logs.eu-central-1.amazonaws.com"
GROUPS = f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:*"


def arn(name: str) -> str:
    return f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/{name}"


def allow(actions: list[str], principals: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Principal": principals, "Resource": "*", **more}


ADMINISTRATION = allow(["kms:*"], {"AWS": [ROOT]})
OF_LOGS = allow(USE, {"Service": [LOGS]}, Condition={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": GROUPS}})
OF_NODES = allow(USE, {"AWS": [SCALING]})
OF_GRANTS = allow(["kms:CreateGrant"], {"AWS": [SCALING]}, Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}})


def with_root(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [ADMINISTRATION, *statements]})


def key(name: str, *statements: dict[str, Any]) -> Good:
    return Good(
        type="aws:kms/key:Key",
        properties={
            "arn": arn(name),
            "keyId": name,
            "enableKeyRotation": True,
            "rotationPeriodInDays": 365,
            "deletionWindowInDays": 30,
            "policy": with_root(*statements),
        },
    )


def protection(operation: dict[str, Any], identifiers: list[str] | None = None) -> str:
    found = ["arn:aws:dataprotection::aws:data-identifier/EmailAddress"] if identifiers is None else identifiers
    audit = {"Sid": "audit", "DataIdentifier": found, "Operation": {"Audit": {"FindingsDestination": {}}}}
    mask = {"Sid": "mask", "DataIdentifier": found, "Operation": operation}
    return json.dumps({"Name": "assistant", "Version": "2021-06-01", "Statement": [audit, mask]})


MASK = {"Deidentify": {"MaskConfig": {}}}
GOOD = {
    "logs-key": key("logs", OF_LOGS),
    "data-key": key("data"),
    "cluster-key": key("cluster", OF_NODES, OF_GRANTS),
    "pods": Good(
        type="aws:cloudwatch/logGroup:LogGroup",
        properties={
            "name": "/assistant/prod/pods",
            "kmsKeyId": arn("logs"),
            "retentionInDays": 400,
            "logGroupClass": "STANDARD",
        },
        refers={"kmsKeyId": ("logs-key",)},
    ),
    "protection": Good(
        type="aws:cloudwatch/logDataProtectionPolicy:LogDataProtectionPolicy",
        properties={"logGroupName": "/assistant/prod/pods", "policyDocument": protection(MASK)},
        refers={"logGroupName": ("pods",)},
    ),
    "flow": Good(
        type="aws:cloudwatch/logGroup:LogGroup",
        properties={"name": "/assistant/prod/flow", "kmsKeyId": arn("logs")},
        refers={"kmsKeyId": ("logs-key",)},
    ),
    "registry": Good(
        type="aws:ecr/repository:Repository",
        properties={
            "name": "assistant-prod/gateway",
            "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": arn("data")}],
        },
        refers={"encryptionConfigurations": ("data-key",)},
    ),
    "template": Good(
        type="aws:ec2/launchTemplate:LaunchTemplate",
        properties={
            "id": "lt-1",
            "blockDeviceMappings": [
                {"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "kmsKeyId": arn("cluster"), "volumeSize": 100}}
            ],
        },
        refers={"blockDeviceMappings": ("cluster-key",)},
    ),
    "nodes": Good(
        type="aws:eks/nodeGroup:NodeGroup",
        properties={"launchTemplate": {"id": "lt-1", "version": "1"}, "clusterName": "assistant-prod"},
        refers={"launchTemplate": ("template",)},
    ),
    "volume": Good(type="aws:ebs/volume:Volume", properties={"encrypted": True, "size": 1}),
    "storage": Good(
        type="kubernetes:storage.k8s.io/v1:StorageClass",
        properties={"provisioner": "ebs.csi.aws.com", "parameters": {"type": "gp3", "encrypted": "true"}},
    ),
}
EBS = "blockDeviceMappings/0/ebs"

_CASES = {
    "R63": Cases(
        failing=(
            Bad("data-key", {"enableKeyRotation": False}, "enableKeyRotation is false"),
            Bad("data-key", {"enableKeyRotation": None}, "enableKeyRotation is not set"),
            Bad("data-key", {"deletionWindowInDays": 13}, "deletionWindowInDays is 13"),
            Bad("data-key", {"deletionWindowInDays": 7}, "deletionWindowInDays is 7"),
            Bad("data-key", {"rotationPeriodInDays": 366}, "rotationPeriodInDays is 366, more than 365"),
        ),
        unknown=("data-key", "enableKeyRotation"),
        malformed=("data-key", "deletionWindowInDays"),
    ),
    "R70": Cases(
        failing=(
            Bad("pods", {"kmsKeyId": None}, "kmsKeyId is not set"),
            Bad("pods", {"kmsKeyId": "alias/aws/logs"}, "a key that AWS manages"),
            Bad(
                "pods", {"kmsKeyId": arn("data")}, "does not allow kms:Encrypt, kms:Decrypt, kms:GenerateDataKey to CloudWatch"
            ),
            Bad("logs-key", {"policy": with_root()}, "the policy of logs-key does not allow"),
            Bad(
                "logs-key",
                {"policy": with_root(allow(["kms:Encrypt", "kms:Decrypt"], {"Service": LOGS}))},
                "does not allow kms:GenerateDataKey to",
            ),
            Bad(
                "logs-key",
                {"policy": with_root(allow(USE, {"Service": "cloudtrail.amazonaws.com"}))},
                "does not allow",
            ),
            Bad("logs-key", {"policy": None}, "does not allow"),
            Bad(
                "logs-key",
                {
                    "policy": with_root(
                        allow(
                            USE,
                            {"Service": LOGS},
                            Condition={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": GROUPS.replace("*", "/other/*")}},
                        )
                    )
                },
                "does not allow",
            ),
            Bad("registry", {"encryptionConfigurations": None}, "encryptionConfigurations is not set"),
            Bad("registry", {"encryptionConfigurations": []}, "encryptionConfigurations is not set"),
            Bad("registry", {"encryptionConfigurations/0/encryptionType": "AES256"}, "encryptionType is AES256"),
            Bad("registry", {"encryptionConfigurations/0/encryptionType": None}, "encryptionType is AES256"),
            Bad("registry", {"encryptionConfigurations/0/kmsKey": None}, "kmsKey is not set"),
            Bad("registry", {"encryptionConfigurations/0/kmsKey": "alias/aws/ecr"}, "a key that AWS manages"),
        ),
        unknown=("registry", "encryptionConfigurations/0/kmsKey"),
        malformed=("registry", "encryptionConfigurations"),
    ),
    "R71": Cases(
        failing=(
            Bad("template", {f"{EBS}/encrypted": "false"}, "ebs.encrypted is not true"),
            Bad("template", {f"{EBS}/encrypted": None}, "ebs.encrypted is not set"),
            Bad("template", {"blockDeviceMappings": []}, "blockDeviceMappings is not set"),
            Bad("template", {"blockDeviceMappings": None}, "blockDeviceMappings is not set"),
            Bad("template", {"blockDeviceMappings/0/ebs": None}, "blockDeviceMappings is not set"),
            Bad("cluster-key", {"policy": with_root()}, "the policy of cluster-key does not allow kms:Decrypt"),
            Bad("cluster-key", {"policy": with_root(OF_NODES)}, "does not allow kms:CreateGrant"),
            Bad(
                "cluster-key",
                {"policy": with_root(OF_GRANTS)},
                "does not allow kms:Decrypt, kms:GenerateDataKeyWithoutPlaintext to",
            ),
            Bad("nodes", {"launchTemplate": None}, "launchTemplate is not set"),
            Bad("volume", {"encrypted": False}, "encrypted is not true"),
            Bad("volume", {"encrypted": None}, "encrypted is not set"),
            Bad("storage", {"parameters/encrypted": "false"}, "parameters.encrypted is not 'true'"),
            Bad("storage", {"parameters": None}, "parameters.encrypted is not 'true'"),
        ),
        unknown=("template", f"{EBS}/encrypted"),
        malformed=("template", "blockDeviceMappings"),
    ),
    "R35": Cases(
        failing=(
            Bad("protection", {}, "no LogDataProtectionPolicy names this log group", without=("protection",)),
            Bad("protection", {"policyDocument": protection({"Audit": {}})}, "masks nothing"),
            Bad("protection", {"policyDocument": protection(MASK, [])}, "masks nothing"),
            Bad("protection", {"policyDocument": "{}"}, "a data protection policy in JSON was expected"),
            Bad("protection", {"policyDocument": None}, "a data protection policy in JSON was expected"),
            Bad("protection", {"logGroupName": "/other"}, "no LogDataProtectionPolicy", unlinked=True),
            Bad("pods", {"logGroupClass": "INFREQUENT_ACCESS"}, "logGroupClass is"),
            Bad("flow", {"name": "/assistant/prod/gateway"}, "no LogDataProtectionPolicy"),
        ),
        unknown=("protection", "policyDocument"),
        malformed=("protection", "policyDocument"),
    ),
}

THEME = Theme(good=GOOD, cases=_CASES)
