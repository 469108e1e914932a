"""Redis in a pod, as infra/kubernetes/redis.py registers it."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme

from infra.kubernetes.redis import PROBE_ACCESS
from infra.redis_configuration import access_text

CONFIGURATION = "port 6379\nbind * -::*\naclfile /run/secrets/assistant/users.acl\nappendonly yes\n"
USERS = access_text("ab" * 32) + PROBE_ACCESS
TEMPLATE = "spec/template/spec"
CONTAINER = f"{TEMPLATE}/containers/0"
ACL = "stringData/users.acl"

GOOD = {
    "secrets": Good(type="pulumi-python:dynamic/generated:Secrets", properties={"digests": {"redis_password": "ab" * 32}}),
    "configuration": Good(
        type="kubernetes:core/v1:ConfigMap",
        properties={"metadata": {"name": "redis"}, "data": {"redis.conf": CONFIGURATION}},
    ),
    "access": Good(
        type="kubernetes:core/v1:Secret",
        properties={"metadata": {"name": "redis"}, "stringData": {"users.acl": USERS}},
        refers={"stringData": ("secrets",)},
    ),
    "server": Good(
        type="kubernetes:apps/v1:StatefulSet",
        properties={
            "metadata": {"name": "redis"},
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "name": "redis",
                                "image": "registry.example.com/assistant/redis@sha256:ab",
                                "command": ["redis-server", "/etc/redis-assistant/redis.conf"],
                            }
                        ],
                        "volumes": [
                            {"name": "configuration", "configMap": {"name": "redis"}},
                            {"name": "secrets", "secret": {"secretName": "redis"}},
                        ],
                    }
                }
            },
        },
    ),
}

_CASES = {
    "R08": Cases(
        failing=(
            Bad("access", {ACL: "user default on nopass ~* &* +@all\n"}, "the user default needs no password"),
            Bad("access", {ACL: "user default on ~* &* +@all\n"}, "the user default needs no password"),
            Bad("access", {ACL: "user ada on >x ~* +@all\n"}, "does not speak of the user default"),
            Bad("access", {ACL: f"{USERS}user eve on nopass ~* +ping\n"}, "the user eve needs no password"),
            Bad("access", {ACL: f"{USERS}user eve on nopass +ping +get\n"}, "the user eve needs no password"),
            Bad("access", {ACL: f"{USERS}user eve on nopass\n"}, "the user eve needs no password"),
            Bad("configuration", {"data/redis.conf": "port 6379\n"}, "neither requirepass nor an aclfile"),
            Bad("server", {f"{CONTAINER}/command": ["redis-server"]}, "neither requirepass nor an aclfile"),
            Bad("server", {f"{CONTAINER}/command": None}, "neither requirepass nor an aclfile"),
            Bad("server", {f"{CONTAINER}/command": ["sh", "-c", "exec valkey-server --port 1"]}, "neither requirepass"),
        ),
        unknown=("access", ACL),
        malformed=("access", ACL),
    ),
}

THEME = Theme(good=GOOD, cases=_CASES)
