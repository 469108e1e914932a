"""The stack as a whole: what a change rolls, what two stacks share, what a person is told."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from typing import Any

import pytest
from rendering import IMAGES, Rendered, registered, settings_of

from infra.kubernetes.gateway import certificate_hosts

PLATFORM = {"platforms": {"generic": {"url": "https://platform.example.com"}}}
OTHER = f"registry.example.com/other@sha256:{'b' * 64}"
ALL = {"gateway", "worker", "inference", "model", "redis"}


def templates(config: dict[str, Any], authorities: str | None = None) -> dict[str, dict[str, Any]]:
    """The pod templates of a stack with that configuration."""
    return _rendered(json.dumps({**PLATFORM, **config}), authorities).pods()


def job_name(config: dict[str, Any], authorities: str | None = None) -> str:
    (job,) = _rendered(json.dumps(config), authorities).kinds("Job")
    return str(job["metadata"]["name"])


@functools.cache  # what others are compared with is rendered once
def _rendered(config: str, authorities: str | None) -> Rendered:
    return asyncio.run(registered(settings_of(json.loads(config)), authorities))


@pytest.mark.parametrize(
    ("config", "rolled"),
    [
        ({"worker": {"concurrency": 7}}, {"worker"}),
        ({"inference": {"slots": 3}}, {"inference"}),
        ({"logLevel": "debug"}, {"gateway", "worker", "inference"}),
        ({"model": {"precision": "fp32"}}, {"model", "inference"}),
        ({"model": {"maxKl": 0.5}}, {"model"}),
        ({"platforms": {"generic": {"url": "https://elsewhere.example.com"}}}, {"worker"}),
        ({"secretVersions": {"apiKey": 2}}, {"gateway"}),
        ({"secretVersions": {"inferenceApiKey": 2}}, {"gateway", "worker", "inference"}),
        ({"secretVersions": {"redisPassword": 2}}, {"gateway", "worker", "redis"}),
        ({"secretVersions": {"genericClientSecret": 2}}, {"worker"}),
        ({"secretVersions": {"genericWebhookSecret": 2}}, {"gateway", "worker"}),
        ({"certificate": {"hosts": ["other.example.com"]}}, {"gateway"}),
        ({"images": {**IMAGES, "gateway": OTHER}}, {"gateway", "worker"}),
        ({"images": {**IMAGES, "inference": OTHER}}, {"inference", "model"}),
        ({"images": {**IMAGES, "redis": OTHER}}, {"redis"}),
        ({"resources": {"redis": {"memory": "2Gi"}}}, {"redis"}),
        ({"resources": {"worker": {"cpu": "300m"}}}, {"worker"}),
        ({"autoscaling": {"worker": {"minimum": 2, "maximum": 5, "target": 9}}}, set()),
        ({"storage": {"modelSize": "20Gi"}}, set()),
        ({"exposure": {"serviceType": "LoadBalancer"}}, set()),
        ({"ports": {"gateway": 9443}}, set()),
    ],
)
def test_a_change_rolls_the_pods_that_it_concerns_and_no_others(config: dict[str, Any], rolled: set[str]) -> None:
    before, after = templates({}), templates(config)
    assert set(before) == set(after) == ALL
    assert {part for part in ALL if before[part] != after[part]} == rolled


def test_other_authorities_roll_what_trusts_them() -> None:
    before, after = templates({}, "PEM"), templates({}, "another PEM")
    assert {part for part in ALL if before[part] != after[part]} == {"gateway", "worker"}


@pytest.mark.parametrize(
    "config",
    [
        {"model": {"precision": "fp32"}},
        {"model": {"maxKl": 0.5}},
        {"images": {**IMAGES, "inference": OTHER}},
        {"resources": {"model": {"memory": "8Gi"}}},
        {"storage": {"modelAccess": "ReadWriteMany"}},
        {"inference": {"device": "cuda"}},
        {"images": {**IMAGES, "pullSecret": "registry"}},
    ],
)
def test_a_job_cannot_be_changed_so_whatever_would_change_it_is_in_its_name(config: dict[str, Any]) -> None:
    assert re.fullmatch(r"model-[0-9a-f]{12}", job_name({}))
    assert job_name(config) != job_name({})


def test_other_authorities_are_another_job_and_other_workers_are_none() -> None:
    assert job_name({}, "PEM") != job_name({}, "another PEM") != job_name({})
    assert job_name({"worker": {"concurrency": 9}, "logLevel": "debug"}) == job_name({})


async def test_two_stacks_in_one_cluster_have_no_object_in_common() -> None:
    def identities(objects: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
        return {(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in objects}

    one = identities((await registered(settings_of({"cluster": {"namespace": "one"}}))).objects)
    other = identities((await registered(settings_of({"cluster": {"namespace": "other"}}))).objects)
    assert len(one) == len(other) > 30
    assert not one & other


async def test_every_object_in_the_namespace_says_so_and_carries_the_recommended_labels() -> None:
    rendered = await registered(settings_of({"cluster": {"namespace": "team"}}))
    for item in rendered.objects:
        metadata = item["metadata"]
        assert metadata.get("namespace", "") == ("" if item["kind"] in {"Namespace", "PriorityClass"} else "team")
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "assistant"


async def test_what_is_rendered_twice_is_the_same() -> None:
    def in_order(objects: list[dict[str, Any]]) -> list[str]:
        return sorted(json.dumps(item, sort_keys=True) for item in objects)

    first, second = await registered(settings_of()), await registered(settings_of())
    assert in_order(first.objects) == in_order(second.objects)


@pytest.mark.parametrize("host", ["assistant.example.com", "192.0.2.7"])
async def test_the_certificate_is_for_every_name_under_which_the_gateway_is_reached(host: str) -> None:
    hosts = certificate_hosts(settings_of({"exposure": {"host": host}, "cluster": {"namespace": "team"}}))
    assert {"localhost", "127.0.0.1", host, "gateway", "gateway.team.svc", "gateway.team.svc.cluster.local"} <= set(hosts)


async def test_a_certificate_of_the_users_own_is_served_and_none_is_made() -> None:
    rendered = await registered(settings_of({"exposure": {"tlsSecret": "mine"}}))
    assert not [item for item in rendered.registered if item.name == "certificate"]
    assert not [item for item in rendered.kinds("Secret") if item["type"] == "kubernetes.io/tls"]
    (volume,) = (v for v in rendered.pods()["gateway"]["spec"]["volumes"] if v["name"] == "certificate")
    assert volume["secret"] == {"secretName": "mine", "defaultMode": 0o440}
    assert rendered.outputs.ca_certificate is None


async def test_the_outputs_keep_the_contract() -> None:
    rendered = await registered(settings_of({**PLATFORM, "exposure": {"serviceType": "ClusterIP"}}))
    outputs = rendered.outputs
    assert outputs.target == "cluster"
    assert outputs.webhook_urls is not None
    assert outputs.webhook_secrets is not None
    url = "https://localhost:8443"  # which `make forward` opens
    assert outputs.url == url
    assert await value_of(outputs.webhook_urls["generic"]) == f"{url}/events"
    assert await value_of(outputs.inference_url) == "http://ai-service.assistant:8080"
    secrets = rendered.secret_values()
    assert await value_of(outputs.api_key) == secrets["api_key"]
    assert await value_of(outputs.webhook_secrets["generic"]) == secrets["generic_webhook_secret"]
    assert "BEGIN CERTIFICATE" in await value_of(outputs.ca_certificate)
    assert (await value_of(outputs.model_name), await value_of(outputs.model_digest)) == ("a-model", "d" * 64)


async def test_a_gateway_with_a_host_is_told_by_it() -> None:
    outputs = (await registered(settings_of({"exposure": {"host": "chat.example.com"}}))).outputs
    assert await value_of(outputs.url) == "https://chat.example.com"


async def value_of(output: Any) -> Any:
    return await asyncio.wait_for(output.future(), 5)
