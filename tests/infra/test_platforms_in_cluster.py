"""Slack and Feishu in a cluster: what pods are told, what they read, what they may speak to, and what a change rolls."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import pulumi
import pytest
from assistant_rendering import on_aws
from collector import collector_off
from pulumi.runtime import mocks
from rendering import CONNECTION, Recorder, Rendered, environment, settings_of

from infra.access import AccessFiles
from infra.errors import DeploymentError
from infra.kubernetes.access import PodAccess
from infra.kubernetes.edges import Edge, edges
from infra.kubernetes.names import ACCESS_DIRECTORY, SECRETS_DIRECTORY
from infra.kubernetes.peers import PUBLIC, Namespace
from infra.targets.cluster import ClusterAssistant

SLACK = {"slack": {"clientId": "1.2"}}
OUTBOUND = {"slack": {"transport": "socketMode"}, "feishu": {"appId": "cli_a", "transport": "longConnection"}}
OF_SLACK = {"slack_signing_secret": "signing-canary", "slack_client_secret": "client-canary", "slack_bot_token": "token-canary"}
OF_OUTBOUND = {"slack_app_token": "app-canary", "slack_bot_token": "token-canary", "feishu_app_secret": "feishu-canary"}


async def stack(config: dict[str, Any], given: dict[str, str] | None = None, access: AccessFiles | None = None) -> Rendered:
    recorder = Recorder()
    mocks.set_mocks(recorder, project="assistant", stack="cluster")
    with collector_off():
        settings = settings_of(config)
        outputs = ClusterAssistant("assistant", settings, CONNECTION, given=given, access=access).outputs()
        await pulumi.runtime.stack.wait_for_rpcs()
    return Rendered(settings, outputs, recorder.registered)


async def test_what_a_person_brought_is_in_the_secret_of_the_part_that_reads_it_and_nowhere_else() -> None:
    rendered = await stack({"platforms": SLACK}, OF_SLACK)
    held = {part: set(rendered.find("Secret", part)["data"]) & OF_SLACK.keys() for part in ("gateway", "worker", "inference")}
    assert held == {
        "gateway": {"slack_signing_secret", "slack_client_secret"},
        "worker": {"slack_client_secret", "slack_bot_token"},
        "inference": set(),
    }
    for part in ("gateway", "worker"):
        data, told = rendered.find("Secret", part)["data"], environment(rendered.pods()[part])
        for name in held[part]:
            assert base64.b64decode(data[name]).decode() == OF_SLACK[name]
            assert told[f"{name.upper()}_FILE"] == f"{SECRETS_DIRECTORY}/{name}"
    assert "canary" not in repr([item for item in rendered.objects if item["kind"] != "Secret"])


async def test_a_credential_that_is_entered_anew_rolls_what_reads_it_and_no_other() -> None:
    before = (await stack({"platforms": SLACK}, OF_SLACK)).pods()
    after = (await stack({"platforms": SLACK}, {**OF_SLACK, "slack_bot_token": "another"})).pods()
    assert {part for part in before if before[part] != after[part]} == {"worker"}


async def test_each_transport_is_one_pod_that_never_runs_twice() -> None:
    rendered = await stack({"platforms": OUTBOUND}, OF_OUTBOUND)
    for part, module, secrets in (
        ("slack-transport", "app.platforms.slack.socket_mode", {"slack_app_token", "redis_password"}),
        ("feishu-transport", "app.platforms.feishu.long_connection", {"feishu_app_secret", "redis_password"}),
    ):
        deployment = rendered.find("Deployment", part)
        assert deployment["spec"]["replicas"] == 1
        assert deployment["spec"]["strategy"] == {"type": "Recreate"}
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["command"] == ["python", "-m", module]
        assert container["image"].startswith("localhost/assistant/transport:")  # with the vendors' clients
        assert set(rendered.find("Secret", part)["data"]) == secrets
        assert rendered.find("NetworkPolicy", part)
        assert rendered.find("ServiceAccount", part)["automountServiceAccountToken"] is False
    assert rendered.outputs.webhook_urls is None


async def test_the_operator_is_told_to_scrape_a_transport() -> None:
    rendered = await stack({"platforms": OUTBOUND, "monitoring": {"prometheusOperator": True}}, OF_OUTBOUND)
    assert rendered.find("ServiceMonitor", "slack-transport")["spec"]["selector"]["matchLabels"].items() <= (
        rendered.find("Service", "slack-transport-metrics")["metadata"]["labels"].items()
    )


@pytest.mark.parametrize("platforms", [{}, SLACK])
async def test_without_an_outbound_transport_there_is_no_pod_of_one(platforms: dict[str, Any]) -> None:
    rendered = await stack({"platforms": platforms}, OF_SLACK)
    assert not [name for name in rendered.pods() if name.endswith("-transport")]


def way_out(config: dict[str, Any]) -> set[tuple[str, int]]:
    """Who reaches the public internet over IPv4, and on which port."""
    return {(str(edge.source), edge.port) for edge in edges(settings_of(config)) if edge.destination == PUBLIC[0]} - {
        ("model", 443)
    }


@pytest.mark.parametrize(
    ("config", "reach"),
    [
        ({}, set()),
        ({"platforms": {"slack": {}}}, {("worker", 443)}),
        ({"platforms": SLACK}, {("worker", 443), ("gateway", 443)}),
        ({"platforms": {"feishu": {"appId": "cli_a"}}}, {("worker", 443), ("gateway", 443)}),
        (
            {"platforms": {"slack": {"transport": "socketMode"}}},
            {("worker", 443), ("slack-transport", 443)},
        ),
        ({"identityProvider": {"issuer": "https://id.example.com", "audience": "a"}}, {("gateway", 443)}),
    ],
)
def test_the_world_is_open_to_those_that_call_it_and_while_they_do(config: dict[str, Any], reach: set[Any]) -> None:
    assert way_out(config) == reach


def test_a_transport_reaches_the_queue_and_the_resolver_and_is_measured() -> None:
    table = edges(
        settings_of({"platforms": {"slack": {"transport": "socketMode", "apiUrl": "http://slack.emulator.svc:8090"}}})
    )
    told = {(edge.destination, edge.port) for edge in table if edge.source == "slack-transport"}
    assert {("redis", 6379), (Namespace("emulator"), 8090)} <= told
    assert 53 in {port for _, port in told}
    assert Edge(Namespace("monitoring"), "slack-transport", 9090, "Prometheus scrapes") in table


async def test_addresses_to_enter_at_the_platform_follow_where_it_reaches_the_gateway() -> None:
    async def told(config: dict[str, Any]) -> tuple[str | None, dict[str, str], dict[str, str]]:
        rendered = await stack(
            {"platforms": {**SLACK, "feishu": {"appId": "cli_a"}}, **config},
            OF_SLACK | dict.fromkeys(("feishu_app_secret", "feishu_encrypt_key", "feishu_verification_token"), "x"),
        )
        urls, uris = rendered.outputs.webhook_urls or {}, rendered.outputs.redirect_uris or {}
        public = environment(rendered.pods()["gateway"]).get("PUBLIC_URL")
        return public, {k: await value_of(v) for k, v in urls.items()}, {k: await value_of(v) for k, v in uris.items()}

    for config, base in (
        ({"exposure": {"host": "chat.example.com"}}, "https://chat.example.com"),
        ({"publicUrl": "https://tunnel.example.com"}, "https://tunnel.example.com"),
        ({}, "https://localhost:8443"),
    ):
        assert await told(config) == (
            base,
            {"slack": f"{base}/events/slack", "feishu": f"{base}/events/feishu"},
            {"slack": f"{base}/oauth/slack/callback", "feishu": f"{base}/oauth/feishu/callback"},
        )
    public, _, _ = await told({"exposure": {"serviceType": "LoadBalancer"}})
    assert public is None  # its address is known when it is there


async def test_tenants_and_roles_are_seen_to_change_by_pods_that_run(tmp_path: Path) -> None:
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "one.yaml").write_text("- a task\n")
    (tmp_path / "t.yaml").write_text("- name: acme\n  teams: ['*']\n  tasks: libraries\n")
    files = AccessFiles(tenants=tmp_path / "t.yaml")
    before = await stack({}, access=files)
    assert before.find("ConfigMap", "access")["data"]["libraries__one.yaml"] == "- a task\n"
    for part in ("gateway", "worker"):
        pod = before.pods()[part]
        assert environment(pod)["TENANTS_FILE"] == f"{ACCESS_DIRECTORY}/tenants.yaml"
        (volume,) = (volume["configMap"] for volume in pod["spec"]["volumes"] if volume["name"] == "access")
        assert {item["path"]: item["key"] for item in volume["items"]} == {
            "tenants.yaml": "tenants.yaml",
            "libraries/one.yaml": "libraries__one.yaml",
        }
        (mount,) = (m for m in pod["spec"]["containers"][0]["volumeMounts"] if m["name"] == "access")
        assert (mount["mountPath"], mount.get("subPath")) == (ACCESS_DIRECTORY, None)  # a subPath would never change
    assert "access" not in repr(before.pods()["inference"])
    (tmp_path / "t.yaml").write_text("- name: acme\n  teams: ['slack:T1']\n  tasks: libraries\n")
    after = await stack({}, access=files)
    assert before.find("ConfigMap", "access") != after.find("ConfigMap", "access")
    assert before.pods() == after.pods()


async def test_what_the_tenants_file_refers_to_is_a_secret_of_the_users_own() -> None:
    pods = (await stack({"access": {"secret": "of-tenants"}})).pods()
    seen = {}
    for part, pod in pods.items():
        names = {
            v["name"] for v in pod["spec"]["volumes"] if v.get("secret") == {"secretName": "of-tenants", "defaultMode": 0o440}
        }
        seen[part] = [m["mountPath"] for m in pod["spec"]["containers"][0]["volumeMounts"] if m["name"] in names]
    assert {part: paths for part, paths in seen.items() if paths} == {
        "gateway": ["/run/secrets/tenants"],
        "worker": ["/run/secrets/tenants"],
    }


def test_what_no_configmap_holds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("#" * 1_000_001)
    with pytest.raises(DeploymentError, match="1000001 bytes"):
        PodAccess(AccessFiles(roles=tmp_path / "r.yaml")).mounts()


async def test_on_aws_a_transport_is_delivered_what_it_reads_and_no_more() -> None:
    pods = (await on_aws({"platforms": OUTBOUND})).pods()
    for part, reads in (("slack-transport", "slack_app_token"), ("feishu-transport", "feishu_app_secret")):
        (delivery,) = pods[part]["spec"]["initContainers"]
        told = {variable["name"]: variable["value"] for variable in delivery["env"]}
        assert set(json.loads(told["SECRET_IDS"])) == {reads, "redis_password"}
        assert re.search(r"_FILE", " ".join(environment(pods[part])))


async def value_of(output: Any) -> Any:
    return await asyncio.wait_for(pulumi.Output.from_input(output).future(), 5)
