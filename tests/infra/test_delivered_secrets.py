"""Secrets that each pod fetches by its identity: which, by whom, where they lie, and what a new one rolls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from assistant_rendering import IDS, REGION, on_aws
from rendering import environment, registered, settings_of

from infra.kubernetes.delivered_secrets import DELIVERY
from infra.kubernetes.names import SECRETS_DIRECTORY

PLATFORM = {"platforms": {"generic": {"url": "https://platform.example.com"}}}
READS = {
    "gateway": {"api_key", "inference_api_key", "redis_password", "token_key"},
    "worker": {"inference_api_key", "redis_password", "token_key"},
    "inference": {"inference_api_key"},
}
OF_A_PLATFORM = {
    "gateway": {"generic_webhook_secret"},
    "worker": {"generic_webhook_secret", "generic_client_secret"},
    "inference": set(),
}


def delivery(pod: dict[str, Any]) -> dict[str, Any]:
    """The first of the init containers: whatever comes after it may need a secret."""
    container: dict[str, Any] = pod["spec"]["initContainers"][0]
    assert container["name"] == DELIVERY
    return container


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


@pytest.mark.parametrize(("config", "more"), [({}, {part: set() for part in READS}), (PLATFORM, OF_A_PLATFORM)])
async def test_each_part_is_delivered_the_secrets_whose_files_it_is_told_of_and_no_others(
    config: dict[str, Any], more: dict[str, set[str]]
) -> None:
    pods = (await on_aws(config)).pods()
    for part, reads in READS.items():
        container = delivery(pods[part])
        assert container["command"] == ["python", "-m", "app.aws.deliver"]
        assert container["image"] == pods[part]["spec"]["containers"][0]["image"]
        found = variables(container)
        assert json.loads(found["SECRET_IDS"]) == {name: IDS[name] for name in reads | more[part]}
        assert (found["SECRETS_DIRECTORY"], found["AWS_REGION"]) == (SECRETS_DIRECTORY, REGION)
        files = {value for name, value in environment(pods[part]).items() if name.endswith("_FILE")}
        assert files == {f"{SECRETS_DIRECTORY}/{name}" for name in reads | more[part]}


async def test_they_lie_in_memory_and_only_the_delivery_writes_there() -> None:
    pods = (await on_aws()).pods()
    for part in READS:
        spec = pods[part]["spec"]
        (volume,) = (volume for volume in spec["volumes"] if volume["name"] == "secrets")
        assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}
        mounted = {
            container["name"]: mount.get("readOnly", False)
            for container in (*spec["initContainers"], *spec["containers"])
            for mount in container["volumeMounts"]
            if mount["mountPath"] == SECRETS_DIRECTORY
        }
        assert mounted == {DELIVERY: False, part: True}


async def test_no_secret_and_no_identifier_of_one_is_an_object_of_the_cluster() -> None:
    rendered = await on_aws(PLATFORM)
    assert not rendered.kinds("Secret")
    assert "model" in rendered.pods()
    assert "arn:aws:secretsmanager" not in repr(rendered.pods()["model"])


@pytest.mark.parametrize(
    ("name", "rolled"),
    [
        ("apiKey", {"gateway"}),
        ("inferenceApiKey", {"gateway", "worker", "inference"}),
        ("redisPassword", {"gateway", "worker"}),
        ("genericClientSecret", {"worker"}),
    ],
)
async def test_a_raised_version_rolls_the_pods_that_read_the_secret(name: str, rolled: set[str]) -> None:
    before, after = (await on_aws(PLATFORM)).pods(), (await on_aws({**PLATFORM, "secretVersions": {name: 2}})).pods()
    assert {part for part in before if before[part] != after[part]} == rolled


async def test_generated_secrets_are_objects_and_nothing_delivers_them() -> None:
    rendered = await registered(settings_of(PLATFORM))
    assert {item["metadata"]["name"] for item in rendered.kinds("Secret")} >= set(READS)
    for part in READS:
        names = [container["name"] for container in rendered.pods()[part]["spec"].get("initContainers", [])]
        assert DELIVERY not in names
