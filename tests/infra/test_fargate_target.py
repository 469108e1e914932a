"""The stack `serverless` as a whole: what is open, who may read what, what is brought along, what it costs at rest."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from aws_rendering import Rendered, aws_settings, render_component

from infra import costs
from infra.aws.context import AwsContext
from infra.aws.emitters import emitters
from infra.outputs import Outputs
from infra.targets.fargate import deploy

ANSWERS: Mapping[str, dict[str, Any]] = {
    "aws:route53/getZone:getZone": {"zoneId": "Z1", "name": "example.com", "id": "Z1"},
    "aws:ec2/getVpc:getVpc": {"id": "vpc-0a", "cidrBlock": "10.9.0.0/16"},
    "aws:ec2/getSubnet:getSubnet": {"id": "subnet-0a", "cidrBlock": "10.9.1.0/24"},
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": {"id": "pl-s3", "name": "s3"},
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": {
        "userName": "AWS",
        "password": "token",
        "proxyEndpoint": "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com",
        "id": "eu-central-1",
    },
}
PLATFORM = {"platforms": {"generic": {"url": "https://platform.example.com"}}}
DIGEST = f"sha256:{'a' * 64}"
IMAGES = {"gateway": f"registry.example.com/gateway@{DIGEST}", "inference": f"registry.example.com/inference@{DIGEST}"}
OWN_VPC = {
    "vpcId": "vpc-0a",
    "privateSubnetIds": ["subnet-0a", "subnet-0b"],
    "publicSubnetIds": ["subnet-0c", "subnet-0d"],
}
TASKS = ("gateway", "worker", "inference", "model")


def stack(**groups: Any) -> tuple[Rendered, dict[str, Any]]:
    """What the stack registers, and its outputs by name; ``groups`` in the words of a stack file."""
    return _stack(json.dumps({**PLATFORM, **groups}, sort_keys=True))


@functools.cache  # it takes a second or two
def _stack(groups: str) -> tuple[Rendered, dict[str, Any]]:
    settings = aws_settings("serverless", **json.loads(groups))
    outputs: dict[str, Any] = {}

    def make(_context: AwsContext) -> Outputs:
        made = deploy(settings)
        pulumi.Output.all(**{name: value for name, value in made.by_name().items() if value is not None}).apply(outputs.update)
        return made

    found = asyncio.run(render_component(make, settings, stack="serverless", answers=ANSWERS))
    return found, outputs


def containers(found: Rendered) -> dict[str, dict[str, Any]]:
    made = {}
    for definition in found.of("TaskDefinition"):
        (container,) = json.loads(definition.inputs["containerDefinitions"])
        made[container["name"]] = container
    return made


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["environment"]}


def actions_by_resource(found: Rendered, policy: str) -> dict[str, set[str]]:
    allowed: dict[str, set[str]] = {}
    for statement in json.loads(found.one("RolePolicy", policy).inputs["policy"])["Statement"]:
        for resource in statement["Resource"]:
            allowed.setdefault(resource, set()).update(statement["Action"])
    return allowed


@pytest.mark.parametrize("groups", [{}, {"network": {"interfaceEndpoints": True}}, {"network": OWN_VPC}])
def test_what_is_open_to_the_world_is_80_and_443_of_the_edge(groups: dict[str, Any]) -> None:
    found, _ = stack(**groups)
    world = [
        (rule.name, int(rule.inputs["fromPort"]), int(rule.inputs["toPort"]))
        for rule in found.of("SecurityGroupIngressRule")
        if rule.inputs.get("cidrIpv4") == "0.0.0.0/0" or rule.inputs.get("cidrIpv6") == "::/0"
    ]
    assert sorted((low, high) for _, low, high in world) == [(80, 80), (443, 443)]
    assert all(name.startswith("edge-") for name, _, _ in world)
    # Nor is anything by another kind of rule, or a public address.
    assert not found.of("aws:ec2/securityGroupRule:SecurityGroupRule")
    assert not [it for it in found.of("aws:ec2/securityGroup:SecurityGroup") if it.inputs.get("ingress")]
    assert [it.inputs["networkConfiguration"]["assignPublicIp"] for it in found.of("aws:ecs/service:Service")] == [False] * 3


def test_the_gateway_s_tasks_are_reached_by_the_load_balancer_alone() -> None:
    found, _ = stack()
    rules = [it.inputs for it in found.of("SecurityGroupIngressRule") if it.inputs["securityGroupId"] == "tasks-gateway-id"]
    assert [(rule["referencedSecurityGroupId"], rule["fromPort"]) for rule in rules] == [("edge-security-group-id", 8443)]


def test_the_outputs_are_those_of_the_contract_and_secrets_are_references() -> None:
    found, outputs = stack()
    assert (outputs["target"], outputs["url"]) == ("fargate", "https://assistant.example.com")
    assert outputs["webhookUrls"] == {"generic": "https://assistant.example.com/events"}
    assert outputs["inferenceUrl"] == "http://ai-service.serverless.assistant.internal:8080"
    assert outputs["apiKey"].startswith("arn:aws:secretsmanager:")
    assert outputs["webhookSecrets"]["generic"].startswith("arn:aws:secretsmanager:")
    assert len(outputs["egressAddresses"]) == 1
    assert outputs["estimatedMonthlyCost"] > 0
    assert outputs["alarms"]
    assert "caCertificate" not in outputs
    assert not found.of("SecretVersion")


def test_without_a_platform_there_is_no_webhook_and_none_of_its_secrets() -> None:
    found, outputs = stack(platforms={})
    assert not {"webhookUrls", "webhookSecrets"} & set(outputs)
    assert set(json.loads(environment(containers(found)["worker"])["SECRET_IDS"])) == {
        *("inference_api_key", "redis_password", "token_key")
    }


def test_each_part_may_read_the_secrets_that_it_reads_and_no_others() -> None:
    found, _ = stack()
    secrets = {it.name: f"arn:aws:secretsmanager:eu-central-1:123456789012:{it.name}" for it in found.of("Secret")}
    for part, container in containers(found).items():
        if part == "model":
            assert "SECRET_IDS" not in environment(container)
            continue
        wanted = set(json.loads(environment(container)["SECRET_IDS"]).values())
        allowed = actions_by_resource(found, f"{part}-task-task-policy")
        readable = {arn for arn, actions in allowed.items() if "secretsmanager:GetSecretValue" in actions}
        assert readable == wanted <= set(secrets.values())
    assert "api_key" not in json.loads(environment(containers(found)["worker"])["SECRET_IDS"])


def test_only_the_converter_writes_models_and_only_inference_reads_them() -> None:
    found, _ = stack()
    s3 = {
        part: {
            action
            for actions in actions_by_resource(found, f"{part}-task-task-policy").values()
            for action in actions
            if action.startswith("s3:")
        }
        for part in TASKS
    }
    assert s3["gateway"] == s3["worker"] == set()
    assert s3["inference"] == {"s3:GetObject", "s3:ListBucket"}
    assert s3["model"] == {"s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:AbortMultipartUpload"}


def test_all_parts_run_the_two_images_that_the_stack_has() -> None:
    found, _ = stack(images=IMAGES)
    images = {part: container["image"] for part, container in containers(found).items()}
    assert images == {
        "gateway": IMAGES["gateway"],
        "worker": IMAGES["gateway"],
        "inference": IMAGES["inference"],
        "model": IMAGES["inference"],
    }


def test_inference_serves_from_where_the_converter_publishes() -> None:
    found, _ = stack()
    made = containers(found)
    assert environment(made["inference"])["MODELS_URL"] == environment(made["model"])["MODELS_URL"]
    (task,) = found.of("pulumi-python:dynamic/aws:ModelTask")
    assert task.inputs["url"] == environment(made["model"])["MODELS_URL"]
    assert task.inputs["recipeKey"] in environment(made["inference"])["MODEL_PATH"]
    assert task.inputs["securityGroups"] == ["tasks-model-id"]


def test_the_stack_s_own_store_is_reached_in_cluster_mode_with_a_user() -> None:
    found, _ = stack()
    for part in ("gateway", "worker"):
        said = environment(containers(found)[part])
        assert said["REDIS_URL"].startswith("rediss://")
        assert (said["REDIS_CLUSTER"], said["REDIS_USERNAME"]) == ("true", "assistant-serverless")
        assert said["REDIS_PASSWORD_FILE"] == "/run/secrets/assistant/redis_password"
    assert "REDIS_URL" not in environment(containers(found)["inference"])


def test_a_redis_of_yours_takes_the_place_of_memorydb() -> None:
    found, _ = stack(redis={"url": "rediss://redis.example.com:6380", "cluster": True, "passwordSecret": "redis"})
    assert not [it for it in found.resources if it.type.startswith("aws:memorydb")]
    said = environment(containers(found)["gateway"])
    assert (said["REDIS_URL"], said["REDIS_CLUSTER"]) == ("rediss://redis.example.com:6380/0", "true")
    assert "REDIS_USERNAME" not in said
    assert said["REDIS_PASSWORD_FILE"].endswith("redis_password")
    open_one, _ = stack(redis={"url": "rediss://redis.example.com:6380"})
    assert "REDIS_PASSWORD_FILE" not in environment(containers(open_one)["gateway"])


def test_a_vpc_a_certificate_and_a_key_of_yours_take_the_place_of_ours() -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    found, outputs = stack(
        network=OWN_VPC, keys={"arn": key}, edge={"domain": "assistant.example.com", "certificateArn": certificate}
    )
    made = {it.type for it in found.resources}
    assert not made & {
        "aws:ec2/vpc:Vpc",
        "aws:ec2/natGateway:NatGateway",
        "aws:ec2/subnet:Subnet",
        "aws:kms/key:Key",
        "aws:acm/certificate:Certificate",
    }
    services = found.of("aws:ecs/service:Service")
    assert {tuple(it.inputs["networkConfiguration"]["subnets"]) for it in services} == {("subnet-0a", "subnet-0b")}
    assert {it.inputs["kmsKeyId"] for it in found.of("aws:cloudwatch/logGroup:LogGroup")} == {key}
    assert "egressAddresses" not in outputs


def test_what_the_alarms_and_the_scaling_look_at_is_emitted_by_something_in_the_stack() -> None:
    found, _ = stack()
    resources = [(it.type, json.dumps(it.inputs, default=str)) for it in found.resources]
    for emitter in emitters(aws_settings("serverless"), "serverless"):
        assert all(evidence.among(resources) for evidence in emitter.evidence), emitter.name
    emitted = {
        (emitter.namespace, metric, dimensions)
        for emitter in emitters(aws_settings("serverless"), "serverless")
        for metric in emitter.metrics
        for dimensions in emitter.dimensions
    }
    for alarm in found.of("MetricAlarm"):
        queries = [query["metric"] for query in alarm.inputs.get("metricQueries", []) if "metric" in query]
        for metric in queries or ([alarm.inputs] if "metricName" in alarm.inputs else []):
            assert (metric["namespace"], metric["metricName"], frozenset(metric["dimensions"])) in emitted, alarm.name


def test_spot_is_for_workers_and_by_setting() -> None:
    def spot(found: Rendered) -> set[str]:
        return {
            it.inputs["name"]
            for it in found.of("aws:ecs/service:Service")
            if "FARGATE_SPOT" in [strategy["capacityProvider"] for strategy in it.inputs["capacityProviderStrategies"]]
        }

    assert spot(stack()[0]) == {"worker"}
    assert spot(stack(fargate={"spotWorkers": False})[0]) == set()


def test_the_whole_stands_in_china_as_well() -> None:
    found, _ = stack(aws={"region": "cn-north-1"})
    assert "arn:aws:" not in json.dumps([it.inputs for it in found.resources], default=str)


def test_at_rest_it_costs_no_more_than_200_dollars_or_each_line_above_is_explained() -> None:
    estimate = costs.estimate(aws_settings("serverless", **PLATFORM), "serverless")
    assert estimate.lines
    assert estimate.idle <= 200 or all(line.why for line in estimate.above(200))
