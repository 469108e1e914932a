"""Slack and Feishu on AWS: what tasks are told, which transports run, how tenants and roles travel, what the edge lets by."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pulumi
import pytest
from aws_rendering import Rendered, aws_settings, render_component
from hooks_taken import hooks_taken

from infra.access import AccessFiles
from infra.aws import ecs_parts
from infra.aws.context import AwsContext
from infra.aws.ecs_network import to_the_world, ways_out
from infra.aws.firewall import PLATFORM_PATHS, rules
from infra.errors import DeploymentError
from infra.kubernetes.redis_connection import RedisConnection
from infra.outputs import Outputs
from infra.targets.eks import EksAssistant
from infra.targets.fargate import FargateAssistant

REDIS = RedisConnection(url="rediss://redis.example.com:6379/0")
BOTH = {"platforms": {"slack": {"clientId": "1.2"}, "feishu": {"appId": "cli_a"}}}
OUTBOUND = {"platforms": {"slack": {"transport": "socketMode"}, "feishu": {"appId": "cli_a", "transport": "longConnection"}}}
PREFIX_LIST = {"aws:ec2/getManagedPrefixList:getManagedPrefixList": {"id": "pl-s3", "name": "s3"}}
TRANSPORTS = ("slack-transport", "feishu-transport")


def stack(target: type[FargateAssistant] | type[EksAssistant], name: str, **groups: Any) -> tuple[Rendered, dict[str, Any]]:
    outputs: dict[str, Any] = {}

    def make(context: AwsContext) -> Outputs:
        made = target("assistant", context).outputs()
        pulumi.Output.all(**{key: value for key, value in made.by_name().items() if value is not None}).apply(outputs.update)
        return made

    with hooks_taken():
        found = asyncio.run(render_component(make, aws_settings(name, **groups), stack=name, answers=PREFIX_LIST))
    return found, outputs


def containers(found: Rendered) -> dict[str, dict[str, Any]]:
    definitions = [json.loads(it.inputs["containerDefinitions"])[0] for it in found.of("TaskDefinition")]
    return {container["name"]: container for container in definitions}


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["environment"]}


@pytest.mark.parametrize(("target", "name"), [(FargateAssistant, "serverless"), (EksAssistant, "prod")])
def test_the_addresses_to_enter_at_the_platforms_are_outputs(target: Any, name: str) -> None:
    found, outputs = stack(target, name, **BOTH)
    base = "https://assistant.example.com"
    assert outputs["webhookUrls"] == {"slack": f"{base}/events/slack", "feishu": f"{base}/events/feishu"}
    assert outputs["redirectUris"] == {"slack": f"{base}/oauth/slack/callback", "feishu": f"{base}/oauth/feishu/callback"}
    assert outputs["egressAddresses"]
    made = {it.inputs["name"].rsplit("/", 1)[-1] for it in found.of("aws:secretsmanager/secret:Secret")}
    assert made >= {"slack_signing_secret", "slack_client_secret", "feishu_app_secret", "feishu_encrypt_key", "token_key"}
    assert "slack_bot_token" not in made
    assert not found.of("SecretVersion")


def test_a_transport_on_fargate_is_one_task_that_never_runs_twice() -> None:
    found, outputs = stack(FargateAssistant, "serverless", **OUTBOUND)
    made = containers(found)
    services = {it.inputs["name"]: it.inputs for it in found.of("aws:ecs/service:Service")}
    for part, secret in (("slack-transport", "slack_app_token"), ("feishu-transport", "feishu_app_secret")):
        service = services[part]
        assert service["desiredCount"] == 1
        assert (service["deploymentMinimumHealthyPercent"], service["deploymentMaximumPercent"]) == (0, 100)
        assert service["networkConfiguration"]["assignPublicIp"] is False
        assert set(json.loads(environment(made[part])["SECRET_IDS"])) == {secret, "redis_password"}
        assert "/transport:" in made[part]["image"] and "/gateway:" in made["worker"]["image"]
    scaled = {it.inputs["resourceId"].rsplit("/", 1)[-1] for it in found.of("aws:appautoscaling/target:Target")}
    assert not scaled & {f"{part}-service" for part in TRANSPORTS} and not scaled & set(TRANSPORTS)
    assert "webhookUrls" not in outputs
    store = {
        it.inputs["referencedSecurityGroupId"] for it in found.of("SecurityGroupIngressRule") if it.inputs["fromPort"] == 6379
    }
    assert store == {f"tasks-{part}-id" for part in ("gateway", "worker", *TRANSPORTS)}


def test_a_transport_on_eks_has_a_role_for_its_own_secrets() -> None:
    found, _ = stack(EksAssistant, "prod", **OUTBOUND)
    accounts = {it.inputs["serviceAccount"] for it in found.of("PodIdentityAssociation")}
    assert accounts >= set(TRANSPORTS)
    policy = json.loads(found.one("RolePolicy", "pods-slack-transport-policy").inputs["policy"])
    (readable,) = (it["Resource"] for it in policy["Statement"] if it["Sid"] == "Secrets")
    assert {arn.rsplit(":", 1)[-1] for arn in readable} == {"secrets-redis_password", "secrets-slack_app_token"}


@pytest.mark.parametrize(
    ("groups", "outward"),
    [
        ({}, {"worker", "model"}),
        ({"platforms": {"slack": {}}}, {"worker", "model"}),
        (BOTH, {"gateway", "worker", "model"}),
        ({"platforms": {"slack": {"transport": "socketMode"}}}, {"worker", "model", "slack-transport"}),
        ({"identityProvider": {"issuer": "https://id.example.com", "audience": "a"}}, {"gateway", "worker", "model"}),
    ],
)
def test_with_endpoints_for_aws_only_those_reach_the_world_that_call_it(groups: dict[str, Any], outward: set[str]) -> None:
    settings = aws_settings("serverless", **groups)
    assert set(to_the_world(settings)) == outward
    assert {way.source for way in ways_out(settings, endpoints=True)} == outward


def files(folder: Path) -> AccessFiles:
    (folder / "libraries").mkdir(parents=True)
    (folder / "libraries" / "one.yaml").write_text("- eine Aufgabe: “ja”\n")
    (folder / "t.yaml").write_text("- name: acme\n  teams: ['*']\n  tasks: libraries\n")
    return AccessFiles(tenants=folder / "t.yaml")


def test_tenants_and_roles_travel_in_the_tasks_definition_and_are_files_before_the_process_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ecs_parts, "FILES_DIRECTORY", str(tmp_path / "written"))
    program = ecs_parts.WRITE_FILES.replace("/tmp/access", str(tmp_path / "written"))
    monkeypatch.setattr(ecs_parts, "WRITE_FILES", program)
    access = files(tmp_path / "given")
    container = ecs_parts.gateway(aws_settings("serverless"), "serverless", REDIS, "http://inference:8080", access)
    told = {name: str(value) for name, value in container.environment.items()}
    shown = 'cat "$TENANTS_FILE" "$(dirname "$TENANTS_FILE")/libraries/one.yaml"; echo "${ACCESS_FILES-gone}"'
    command = [*container.command[: container.command.index("python", 1)], "sh", "-c", shown]
    done = subprocess.run(command, env={**os.environ, **told}, capture_output=True, text=True, check=True)
    assert done.stdout == "- name: acme\n  teams: ['*']\n  tasks: libraries\n- eine Aufgabe: “ja”\ngone\n"


def test_what_does_not_fit_into_a_tasks_definition_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("#" * 33_000)
    with pytest.raises(DeploymentError, match="fit into the definition of a Fargate task"):
        ecs_parts.files_environment(AccessFiles(roles=tmp_path / "r.yaml"))


def test_without_such_files_the_command_is_the_process_itself() -> None:
    container = ecs_parts.worker(aws_settings("serverless"), "serverless", REDIS, "http://inference:8080")
    assert container.command == ["python", "-m", "app.pipeline"]


def test_the_firewall_knows_the_paths_of_the_platforms_that_are_set_up() -> None:
    edge = aws_settings("prod").edge
    limited = {
        names: {rule["name"] for rule in rules(edge, names) if rule["name"].startswith("rate-")} for names in ((), ("slack",))
    }
    assert limited == {
        (): {"rate-generic", "rate-address"},
        ("slack",): {"rate-generic", "rate-slack", "rate-address"},
    }
    exempt = json.dumps(rules(edge, ("slack",))[0])
    assert PLATFORM_PATHS["slack"] in exempt and PLATFORM_PATHS["feishu"] not in exempt
