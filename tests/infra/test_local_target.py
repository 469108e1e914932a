"""What the local target registers, seen through Pulumi's mocks: settings reach the processes in the application's words."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks
from pydantic import BaseModel

from app.settings import GatewaySettings, InferenceSettings, WorkerSettings, load
from infra.access import AccessFiles
from infra.credentials import Credentials
from infra.generated.values import NAMES, digest
from infra.generated.values import generate as generate_secret
from infra.outputs import Outputs
from infra.settings_reader import settings_from
from infra.targets.local import CHECKOUT, LocalAssistant, Machine

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


def machine(**given: str) -> Machine:
    return Machine(redis_server=Path("/usr/bin/redis-server"), credentials=Credentials("local", Path("/checkout")), given=given)


async def registered(tmp_path: Path, on: Machine | None = None, **config: str) -> tuple[dict[str, dict[str, Any]], Outputs]:
    recorder = Recorder()
    mocks.set_mocks(recorder, project="assistant", stack="local")
    settings = settings_from(
        {"assistant:stateDirectory": str(tmp_path), **{f"assistant:{k}": v for k, v in config.items()}}, "local"
    )
    outputs = LocalAssistant("assistant", settings, on or machine()).outputs()
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
    common = {"inference_api_key", "redis_password", "generic_webhook_secret", "token_key"}
    assert {name: set(resources[name]["digests"]) for name in ("inference", "gateway", "worker")} == {
        "inference": {"code", "inference_api_key", "model"},
        "gateway": {"code", "api_key", "certificate", *common},
        "worker": {"code", "generic_client_secret", *common},
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


SLACK_AND_FEISHU = '{"slack": {"clientId": "12.34"}, "feishu": {"appId": "cli_a1", "calendarId": "c"}}'
GIVEN = {
    "slack_signing_secret": "signing-canary",
    "slack_client_secret": "client-canary",
    "feishu_app_secret": "app-canary",
    "feishu_encrypt_key": "encrypt-canary",
    "feishu_verification_token": "verification-canary",
}


async def test_what_a_person_entered_is_read_where_it_lies_and_passes_through_no_resource(tmp_path: Path) -> None:
    resources, _ = await registered(tmp_path, machine(**GIVEN), platforms=SLACK_AND_FEISHU)
    files = {
        part: {
            name: value
            for name, value in resources[part]["environment"].items()
            if value.startswith("/checkout/.state/credentials/local/")
        }
        for part in ("gateway", "worker", "inference")
    }
    assert files["gateway"] == {f"{name.upper()}_FILE": f"/checkout/.state/credentials/local/{name}" for name in GIVEN}
    assert set(files["worker"]) == {"SLACK_CLIENT_SECRET_FILE", "FEISHU_APP_SECRET_FILE"}
    assert not files["inference"]
    assert "canary" not in repr(resources)


async def test_a_credential_that_is_entered_anew_restarts_what_reads_it_and_an_optional_one_is_used_where_it_is_there(
    tmp_path: Path,
) -> None:
    before, _ = await registered(tmp_path, machine(**GIVEN), platforms=SLACK_AND_FEISHU)
    changed = {**GIVEN, "slack_signing_secret": "another", "slack_bot_token": "optional with a client id"}
    after, _ = await registered(tmp_path, machine(**changed), platforms=SLACK_AND_FEISHU)
    digests = {part: (before[part]["digests"], after[part]["digests"]) for part in ("gateway", "worker")}
    assert digests["gateway"][0]["slack_signing_secret"] != digests["gateway"][1]["slack_signing_secret"]
    assert digests["worker"][1].keys() - digests["worker"][0].keys() == {"slack_bot_token"}
    assert before["inference"] == after["inference"]


async def test_the_platforms_people_and_answers_of_the_settings_reach_gateway_and_worker(tmp_path: Path) -> None:
    files = AccessFiles(tmp_path / "tenants.yaml", tmp_path / "roles.yaml")
    resources, outputs = await registered(
        tmp_path,
        dataclasses.replace(machine(**GIVEN), access=files),
        platforms=SLACK_AND_FEISHU,
        answers='{"cacheSeconds": 0, "contextTurns": 2}',
        identityProvider='{"issuer": "https://id.example", "audience": "assistant"}',
        publicUrl="https://chat.example.com/",
    )
    gateway, worker = resources["gateway"]["environment"], resources["worker"]["environment"]
    shared = {
        "SLACK_CLIENT_ID": "12.34",
        "SLACK_API_URL": "https://slack.com/api/",
        "FEISHU_APP_ID": "cli_a1",
        "FEISHU_URL": "https://open.feishu.cn",
        "FEISHU_CALENDAR_ID": "c",
        "TENANTS_FILE": str(files.tenants),
        "ROLES_FILE": str(files.roles),
        "AUDIT_DIRECTORY": str(CHECKOUT / ".state" / "audit" / "local"),
        "ANSWER_CACHE_SECONDS": "0",
        "CONTEXT_TURNS": "2",
    }
    assert shared.items() <= gateway.items()
    assert shared.items() <= worker.items()
    assert (gateway["OIDC_ISSUER"], gateway["OIDC_AUDIENCE"]) == ("https://id.example", "assistant")
    assert gateway["PUBLIC_URL"] == "https://chat.example.com"
    assert not [name for name in worker if name.startswith(("OIDC", "PUBLIC"))]
    assert {name: await value_of(url) for name, url in (outputs.redirect_uris or {}).items()} == {
        "slack": "https://chat.example.com/oauth/slack/callback",
        "feishu": "https://chat.example.com/oauth/feishu/callback",
    }
    assert await value_of((outputs.webhook_urls or {})["slack"]) == "https://chat.example.com/events/slack"


async def test_an_outbound_transport_is_a_process_of_its_own_and_takes_the_webhooks_place(tmp_path: Path) -> None:
    chosen = '{"slack": {"transport": "socketMode"}, "feishu": {"appId": "cli_a1", "transport": "longConnection"}}'
    given = {"slack_app_token": "a", "slack_bot_token": "b", "feishu_app_secret": "c"}
    resources, outputs = await registered(tmp_path, machine(**given), platforms=chosen)
    for part, entry, port, secrets in (
        ("slack-transport", "app.platforms.slack.socket_mode", 8086, {"REDIS_PASSWORD_FILE", "SLACK_APP_TOKEN_FILE"}),
        ("feishu-transport", "app.platforms.feishu.long_connection", 8087, {"REDIS_PASSWORD_FILE", "FEISHU_APP_SECRET_FILE"}),
    ):
        assert resources[part]["command"][-2:] == ["-m", entry]
        assert resources[part]["check"]["port"] == port == int(resources[part]["environment"]["PORT"])
        assert {name for name in resources[part]["environment"] if name.endswith("_FILE")} == secrets
    assert "SLACK_APP_TOKEN_FILE" not in resources["gateway"]["environment"]
    assert list(outputs.webhook_urls or {}) == ["generic"]
    assert set(resources["ports"]["ports"]) == {"gateway", "inference", "redis", "worker", "transportSlack", "transportFeishu"}


async def value_of(output: Any) -> Any:
    return await asyncio.wait_for(pulumi.Output.from_input(output).future(), 5)
