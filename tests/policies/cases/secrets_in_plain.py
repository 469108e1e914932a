"""Secrets in plain on Kubernetes and AWS: wherever a text can be wrapped, the rules read what is in it."""

from __future__ import annotations

import base64
import json
from typing import Any

from cases.theme import Bad, Cases, Good, Theme

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:assistant/prod/api_key-a1B2c3"
POD = "spec/template/spec"


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def containers(**changes: Any) -> str:
    container = {
        "name": "gateway",
        "environment": [{"name": "PORT", "value": "8443"}, {"name": "SECRET_IDS", "value": json.dumps({"api_key": ARN})}],
        "secrets": [{"name": "API_KEY", "valueFrom": ARN}],
    }
    return json.dumps([{**container, **changes}])


_GOOD = {
    "deployment": Good(
        type="kubernetes:apps/v1:Deployment",
        properties={
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "name": "gateway",
                                "command": ["python", "-m", "app.gateway"],
                                "env": [
                                    {"name": "API_KEY_FILE", "value": "/run/secrets/assistant/api_key"},
                                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "api_key"}}},
                                ],
                            }
                        ],
                        "volumes": [
                            {"name": "keys", "secret": {"secretName": "api", "items": [{"key": "tls.key", "path": "k"}]}}
                        ],
                    }
                }
            }
        },
    ),
    "configuration": Good(
        type="kubernetes:core/v1:ConfigMap", properties={"data": {"a.json": '{"port": 8443}'}, "binaryData": {}}
    ),
    "secret": Good(
        type="kubernetes:core/v1:Secret",
        properties={
            "type": "kubernetes.io/tls",
            "data": {"ca.crt": in_base64("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")},
        },
    ),
    "task": Good(type="aws:ecs/taskDefinition:TaskDefinition", properties={"containerDefinitions": containers()}),
    "machine": Good(type="aws:ec2/launchTemplate:LaunchTemplate", properties={"userData": in_base64("#!/bin/sh\nset -e\n")}),
    "version": Good(type="aws:secretsmanager/secretVersion:SecretVersion", properties={"secretId": ARN}),
    "parameter": Good(type="aws:ssm/parameter:Parameter", properties={"type": "String", "value": "plain words"}),
}
ENVIRONMENT = f"{POD}/containers/0/env/0"

_BOTH = (
    Bad("deployment", {ENVIRONMENT: {"name": "API_KEY", "value": "hunter2"}}, "containers[0].env[0].API_KEY holds a literal"),
    Bad("deployment", {f"{POD}/containers/0/command": ["serve", "--api-key", "hunter2"]}, "command[2] holds a literal after"),
    Bad("deployment", {f"{POD}/containers/0/command": ["sh", "-c", "serve --api-key hunter2"]}, "command[2] holds a literal"),
    Bad("deployment", {f"{POD}/containers/0/command": ["sh", "-c", "API_KEY=hunter2 serve"]}, "command[2] holds a literal"),
    Bad("configuration", {"data": {"a.json": '{"db": {"password": "hunter2"}}'}}, "data.a.json.db.password holds"),
    Bad("configuration", {"data": {"a.yaml": "db:\n  password: hunter2\n"}}, "data.a.yaml holds"),
    Bad("configuration", {"binaryData": {"a": in_base64("password=hunter2\n")}}, "binaryData.a holds"),
    Bad("secret", {"data": {"user": in_base64("ada")}}, "data.user is kept as a secret and stands in plain"),
    Bad("secret", {"stringData": {"user": "ada"}}, "stringData.user is kept as a secret and stands in plain"),
    Bad("task", {"containerDefinitions": containers(environment=[{"name": "API_KEY", "value": "hunter2"}])}, "API_KEY holds"),
    Bad("task", {"containerDefinitions": containers(command=["--requirepass", "hunter2"])}, "command[1] holds"),
    Bad("machine", {"userData": in_base64("export DB_PASSWORD=hunter2")}, "userData holds a literal after the name"),
    Bad(
        "machine", {"userData": in_base64("#!/bin/sh\nserve --password hunter2\n")}, "userData holds a literal after an option"
    ),
    Bad("version", {"secretString": '{"user": "ada"}'}, "secretString is kept as a secret"),
    Bad("parameter", {"type": "SecureString"}, "value is kept as a secret and stands in plain"),
)
_UNKNOWN = ("deployment", f"{POD}/containers/0/env/1/TOKEN")

_CASES = {
    "R06": Cases(failing=_BOTH, unknown=_UNKNOWN, malformed=None),
    "L01": Cases(failing=_BOTH, unknown=_UNKNOWN, malformed=None),
}

THEME = Theme(good=_GOOD, cases=_CASES)
