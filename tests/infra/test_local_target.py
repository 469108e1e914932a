"""What the local target registers, seen through Pulumi's mocks: settings reach the processes in the application's words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks
from pydantic import BaseModel

from app.settings import GatewaySettings, InferenceSettings, WorkerSettings, load
from infra.generated.values import NAMES, digest
from infra.generated.values import generate as generate_secret
from infra.outputs import Outputs
from infra.settings_reader import settings_from
from infra.targets.local import LocalAssistant

SECRETS = {name: generate_secret(name) for name in NAMES}
MODEL = {"path": "/models/abc", "modelName": "m", "digest": "abc", "kl": 0.0, "top1": 1.0}
COMPUTED: dict[str, dict[str, Any]] = {
    "secrets": {"values": SECRETS, "digests": {name: digest(value) for name, value in SECRETS.items()}},
    "certificate": {"caCertificate": "PEM", "fingerprint": "f"},
    "model": MODEL,
}


class Recorder(mocks.Mocks):
    """Keeps what was registered and answers as the providers would."""

    def __init__(self) -> None:
        self.registered: dict[str, dict[str, Any]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.registered[args.name] = {"type": args.typ, **args.inputs}
        return args.name, {**args.inputs, **COMPUTED.get(args.name, {})}

    def call(self, args: mocks.MockCallArgs) -> dict[Any, Any]:
        raise AssertionError(f"unexpected call {args.token}")


async def registered(tmp_path: Path, **config: str) -> tuple[dict[str, dict[str, Any]], Outputs]:
    recorder = Recorder()
    mocks.set_mocks(recorder, project="assistant", stack="local")
    settings = settings_from(
        {"assistant:stateDirectory": str(tmp_path), **{f"assistant:{k}": v for k, v in config.items()}}, "local"
    )
    outputs = LocalAssistant("assistant", settings, Path("/usr/bin/redis-server")).outputs()
    await pulumi.runtime.stack.wait_for_rpcs()
    return recorder.registered, outputs


def environment_of(resource: Mapping[str, Any], tmp_path: Path) -> dict[str, str]:
    """The environment as the process will find it, with its secret files in place."""
    for value in resource["environment"].values():
        path = Path(value)
        if path.parent == tmp_path / "secrets":
            path.parent.mkdir(exist_ok=True)
            path.write_text(SECRETS[path.name])
    return dict(resource["environment"])


@pytest.mark.parametrize(
    ("name", "model"), [("gateway", GatewaySettings), ("worker", WorkerSettings), ("inference", InferenceSettings)]
)
async def test_the_environment_of_each_process_is_one_that_it_accepts_and_has_no_word_that_it_does_not_know(
    tmp_path: Path, name: str, model: type[BaseModel]
) -> None:
    resources, _ = await registered(tmp_path, inference='{"threads": 3}')
    environment = environment_of(resources[name], tmp_path)
    load(model, environment)
    known = {field.upper() for field in model.model_fields}
    surroundings = {"PATH", "LANG", "TZ", "PYTHONUNBUFFERED"}
    assert {variable.removesuffix("_FILE") for variable in environment} - surroundings <= known


async def test_every_setting_arrives_at_the_process_that_it_is_for(tmp_path: Path) -> None:
    resources, _ = await registered(
        tmp_path,
        ports='{"gateway": 1443, "inference": 1080, "redis": 1390, "worker": 1081}',
        inference='{"threads": 3, "slots": 5, "contextLength": 512}',
        worker='{"concurrency": 7, "leaseSeconds": 9, "maxAttempts": 2}',
        platforms='{"generic": {"url": "https://platform.example", "clientId": "me"}}',
        logLevel="debug",
    )
    gateway = load(GatewaySettings, environment_of(resources["gateway"], tmp_path))
    worker = load(WorkerSettings, environment_of(resources["worker"], tmp_path))
    inference = load(InferenceSettings, environment_of(resources["inference"], tmp_path))
    assert (gateway.port, gateway.redis_url, gateway.inference_url) == (
        1443,
        "redis://127.0.0.1:1390/0",
        "http://127.0.0.1:1080",
    )
    assert (worker.port, worker.redis_url, worker.inference_url) == (1081, gateway.redis_url, gateway.inference_url)
    assert (worker.worker_concurrency, worker.lease_seconds, worker.max_attempts) == (7, 9.0, 2)
    assert (worker.generic_url, worker.generic_client_id) == ("https://platform.example", "me")
    assert (inference.port, inference.inference_threads, inference.inference_slots, inference.inference_context) == (
        1080,
        3,
        5,
        512,
    )
    assert inference.model_path == Path("/models/abc")
    assert {gateway.log_level, worker.log_level, inference.log_level} == {"debug"}
    assert gateway.tls_certificate == tmp_path / "certificate" / "server.pem"
    assert resources["ports"]["ports"] == {"gateway": 1443, "inference": 1080, "redis": 1390, "worker": 1081}


async def test_neighbours_share_their_secrets_and_no_process_has_one_that_it_does_not_need(tmp_path: Path) -> None:
    resources, _ = await registered(tmp_path)
    gateway = load(GatewaySettings, environment_of(resources["gateway"], tmp_path))
    worker = load(WorkerSettings, environment_of(resources["worker"], tmp_path))
    inference = load(InferenceSettings, environment_of(resources["inference"], tmp_path))
    assert gateway.inference_api_key == worker.inference_api_key == inference.api_key
    assert gateway.redis_password == worker.redis_password
    assert gateway.generic_webhook_secret == worker.generic_webhook_secret
    assert gateway.api_key != inference.api_key
    assert "API_KEY_FILE" not in resources["worker"]["environment"]
    assert "GENERIC_CLIENT_SECRET_FILE" not in resources["gateway"]["environment"]


async def test_no_secret_is_an_input_of_any_resource(tmp_path: Path) -> None:
    resources, _ = await registered(tmp_path)
    shown = repr(resources)
    assert not any(value in shown for value in SECRETS.values())


async def test_a_process_restarts_with_each_thing_that_it_reads_and_with_no_other(tmp_path: Path) -> None:
    resources, _ = await registered(tmp_path)
    assert {name: set(resources[name]["digests"]) for name in ("inference", "gateway", "worker")} == {
        "inference": {"code", "inference_api_key", "model"},
        "gateway": {"code", "api_key", "inference_api_key", "redis_password", "generic_webhook_secret", "certificate"},
        "worker": {"code", "inference_api_key", "redis_password", "generic_client_secret", "generic_webhook_secret"},
    }


async def test_the_outputs_keep_the_contract(tmp_path: Path) -> None:
    _, outputs = await registered(tmp_path, ports='{"gateway": 1443}')
    assert list(outputs.by_name()) == [
        "target",
        "url",
        "consoleUrl",
        "webhookUrls",
        "redirectUris",
        "egressAddresses",
        "inferenceUrl",
        "caCertificate",
        "apiKey",
        "webhookSecrets",
        "modelName",
        "modelDigest",
        "alarms",
        "estimatedMonthlyCost",
    ]
    assert outputs.url == "https://localhost:1443"
    assert outputs.webhook_urls == {"generic": "https://localhost:1443/events"}
    assert await value_of(outputs.api_key) == SECRETS["api_key"]
    assert outputs.webhook_secrets is not None
    assert await value_of(outputs.webhook_secrets["generic"]) == SECRETS["generic_webhook_secret"]
    assert await value_of(outputs.model_name) == "m"


async def value_of(output: Any) -> Any:
    return await asyncio.wait_for(output.future(), 5)
