"""Containers of Kubernetes and ECS: how secrets reach them, and what the gateway among them lets be asked."""

from __future__ import annotations

import json
from typing import Any

from cases.theme import Bad, Cases, Good, Theme

POD = "spec/template/spec"
CONTAINER = f"{POD}/containers/0"
FILE = "/run/secrets/assistant/api_key"


def container(**changes: Any) -> dict[str, Any]:
    made = {
        "name": "gateway",
        "command": ["python", "-m", "app.aws.deliver", "--", "python", "-m", "app.gateway"],
        "environment": [{"name": "API_KEY_FILE", "value": FILE}, {"name": "PORT", "value": "8443"}],
        "linuxParameters": {
            "tmpfs": [{"containerPath": "/tmp", "size": 64}, {"containerPath": "/run/secrets/assistant", "size": 1}]
        },
    }
    return {**made, **changes}


def definitions(**changes: Any) -> dict[str, str]:
    return {"containerDefinitions": json.dumps([container(**changes)])}


def environment(name: str, value: str) -> dict[str, str]:
    return definitions(environment=[{"name": name, "value": value}])


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
                                    {"name": "API_KEY_FILE", "value": FILE},
                                    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                                ],
                                "envFrom": [{"configMapRef": {"name": "settings"}}],
                                "volumeMounts": [
                                    {"name": "tmp", "mountPath": "/"},
                                    {"name": "secrets", "mountPath": "/run/secrets"},
                                ],
                            }
                        ],
                        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "secrets", "emptyDir": {"medium": "Memory"}}],
                    }
                }
            }
        },
    ),
    "task": Good(type="aws:ecs/taskDefinition:TaskDefinition", properties=definitions()),
}

_CASES = {
    "R09": Cases(
        failing=(
            Bad("deployment", {f"{CONTAINER}/env/0/name": "API_KEY"}, "env[0].name is API_KEY, which holds a secret"),
            Bad(
                "deployment",
                {f"{CONTAINER}/env/0/valueFrom": {"secretKeyRef": {"name": "api", "key": "k"}}},
                "env[0].valueFrom puts a key of a Secret into the environment",
            ),
            Bad("deployment", {f"{CONTAINER}/envFrom/0": {"secretRef": {"name": "api"}}}, "envFrom[0].secretRef puts a Secret"),
            Bad(
                "deployment", {f"{CONTAINER}/env/0/value": "/srv/api_key"}, "API_KEY_FILE names a file below /, which is not in"
            ),
            Bad("deployment", {f"{CONTAINER}/env/0/value": "/run/secrets/../../srv/key"}, "which is not in memory"),
            Bad("deployment", {f"{CONTAINER}/env/0/value": "api_key"}, "env[0].value of API_KEY_FILE is no absolute path"),
            Bad("deployment", {f"{CONTAINER}/volumeMounts": []}, "below nothing that is mounted"),
            Bad("deployment", {f"{POD}/volumes/1/emptyDir": {}}, "below /run/secrets, which is not in memory"),
            Bad("deployment", {f"{POD}/volumes/1/emptyDir": {"medium": "HugePages"}}, "which is not in memory"),
            Bad("deployment", {f"{POD}/volumes/1/name": "other"}, "which is not in memory"),
            Bad("task", environment("API_KEY", "x"), "environment[0].name is API_KEY"),
            Bad("task", definitions(secrets=[{"name": "ANYTHING", "valueFrom": "arn"}]), "secrets[0].name puts a secret into"),
            Bad("task", environment("TLS_PRIVATE_KEY", "/srv/server.key"), "TLS_PRIVATE_KEY names a file below nothing"),
            Bad("task", definitions(linuxParameters={}), "below nothing that is mounted"),
            Bad("task", definitions(linuxParameters=None), "below nothing that is mounted"),
        ),
        unknown=("task", "containerDefinitions"),
        malformed=("deployment", f"{CONTAINER}/env"),
    ),
    # What these read is the application's code: their failing cases stand in tests of their own.
    "R21": Cases(failing=(), unknown=("task", "containerDefinitions"), malformed=("deployment", f"{CONTAINER}/command")),
    "L11": Cases(failing=(), unknown=("task", "containerDefinitions"), malformed=("deployment", f"{CONTAINER}/command")),
    "A02": Cases(failing=(), unknown=("task", "containerDefinitions"), malformed=("deployment", f"{CONTAINER}/command")),
    "A01": Cases(failing=(), unknown=("task", "containerDefinitions"), malformed=("deployment", f"{CONTAINER}/command")),
}

THEME = Theme(good=_GOOD, cases=_CASES)
