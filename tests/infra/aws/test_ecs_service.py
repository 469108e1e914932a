"""Cluster, tasks and services as they are registered, on and off for each setting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_rendering import Rendered, aws_settings, render_component

from infra.aws.context import AwsContext
from infra.aws.ecs_cluster import EcsCluster, EcsClusterArgs
from infra.aws.ecs_container import Container, Mount
from infra.aws.ecs_parts import Part
from infra.aws.ecs_rights import repository_arn
from infra.aws.ecs_service import EcsService, EcsServiceArgs
from infra.aws.ecs_task import EcsTask, EcsTaskArgs
from infra.aws.models import models_statements

IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/assistant-serverless/gateway@sha256:" + "a" * 64
SIZE = {"cpu": 256, "memory": 512}


async def service(
    part: Part = "gateway", *, region: str = "eu-central-1", image: str = IMAGE, write: bool = False, **changes: Any
) -> Rendered:
    fargate = {part: {**SIZE, **changes.pop("size", {}), "minimum": changes.pop("minimum", 1), "maximum": 4}}
    settings = aws_settings(
        "serverless", aws={"region": region}, fargate={**fargate, "architecture": changes.pop("architecture", "x86_64")}
    )

    def make(context: AwsContext) -> EcsService:
        cluster = EcsCluster("ecs", EcsClusterArgs(context=context, vpc_id="vpc-1"))
        mounts = [Mount(volume="models", path="/models")] if part == "inference" else []
        task = EcsTask(
            f"{part}-task",
            EcsTaskArgs(
                context=context,
                part=part,
                container=Container(name=part, command=["true"], environment={}, mounts=mounts, stop_seconds=80),
                size=getattr(context.settings.fargate, part),
                image=image,
                secret_arns={},
                statements=models_statements(context, "arn:bucket", "arn:key", write=write),
                log_key_arn="arn:logs",
                disk=changes.pop("disk", None),
            ),
        )
        return EcsService(
            part,
            EcsServiceArgs(
                context=context,
                part=part,
                cluster=cluster,
                task=task,
                bounds=getattr(context.settings.fargate, part),
                subnet_ids=["subnet-1", "subnet-2"],
                security_group_id="sg-1",
                registry_arn=cluster.registry_arn if part == "inference" else None,
                **changes,
            ),
        )

    return await render_component(make, settings, stack="serverless")


def policy(found: Rendered, name: str) -> list[dict[str, Any]]:
    return list(json.loads(found.one("RolePolicy", name).inputs["policy"])["Statement"])


async def test_the_cluster_measures_every_container_and_has_both_kinds_of_capacity() -> None:
    found = await service()
    assert found.one("aws:ecs/cluster:Cluster").inputs["settings"] == [{"name": "containerInsights", "value": "enhanced"}]
    assert set(found.one("ClusterCapacityProviders").inputs["capacityProviders"]) == {"FARGATE", "FARGATE_SPOT"}


async def test_inference_has_a_name_within_the_network_for_tasks_that_are_healthy() -> None:
    found = await service("inference")
    name = found.one("aws:servicediscovery/service:Service").inputs
    assert (name["name"], name["dnsConfig"]["dnsRecords"]) == ("ai-service", [{"ttl": 10, "type": "A"}])
    # Without the number the provider drops the whole group, and tasks are named before they are ready.
    assert name["healthCheckCustomConfig"] == {"failureThreshold": 1}
    assert found.one("aws:ecs/service:Service").inputs["serviceRegistries"]["registryArn"].endswith("ecs-inference-name")


async def test_a_service_is_private_and_nobody_gets_a_shell_in_it() -> None:
    inputs = (await service()).one("aws:ecs/service:Service").inputs
    assert inputs["networkConfiguration"] == {
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroups": ["sg-1"],
        "assignPublicIp": False,
    }
    assert inputs["enableExecuteCommand"] is False
    assert inputs["platformVersion"] == "1.4.0"
    assert "launchType" not in inputs


async def test_a_rollout_never_has_fewer_tasks_and_is_taken_back_when_it_fails() -> None:
    inputs = (await service()).one("aws:ecs/service:Service").inputs
    assert (inputs["deploymentMinimumHealthyPercent"], inputs["deploymentMaximumPercent"]) == (100, 200)
    assert inputs["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert inputs["waitForSteadyState"] is True


async def test_all_but_the_first_worker_run_on_spot_where_that_is_set() -> None:
    spot = (await service("worker", spot=True)).one("aws:ecs/service:Service").inputs["capacityProviderStrategies"]
    assert {it["capacityProvider"]: (it.get("base", 0), it["weight"]) for it in spot} == {
        "FARGATE": (1, 0),
        "FARGATE_SPOT": (0, 1),
    }
    plain = (await service("worker")).one("aws:ecs/service:Service").inputs["capacityProviderStrategies"]
    assert [it["capacityProvider"] for it in plain] == ["FARGATE"]


@pytest.mark.parametrize(("part", "desired"), [("worker", 0), ("gateway", 1), ("inference", 1)])
async def test_only_workers_begin_with_none(part: Part, desired: int) -> None:
    size = {"cpu": 1024, "memory": 2048} if part == "inference" else {}
    inputs = (await service(part, minimum=0, size=size)).one("aws:ecs/service:Service").inputs
    assert inputs["desiredCount"] == desired


async def test_the_gateway_is_a_target_of_both_groups_and_has_time_to_start() -> None:
    groups = {"api": "arn:api", "generating": "arn:generating"}
    inputs = (await service(port=8443, target_groups=groups)).one("aws:ecs/service:Service").inputs
    assert [(it["targetGroupArn"], it["containerName"], it["containerPort"]) for it in inputs["loadBalancers"]] == [
        ("arn:api", "gateway", 8443),
        ("arn:generating", "gateway", 8443),
    ]
    assert inputs["healthCheckGracePeriodSeconds"] == 600
    assert "loadBalancers" not in (await service("worker")).one("aws:ecs/service:Service").inputs


@pytest.mark.parametrize(("architecture", "word"), [("x86_64", "X86_64"), ("arm64", "ARM64")])
async def test_a_task_has_its_size_and_architecture(architecture: str, word: str) -> None:
    found = await service(architecture=architecture)
    inputs = found.one("TaskDefinition").inputs
    assert (inputs["cpu"], inputs["memory"], inputs["networkMode"]) == ("256", "512", "awsvpc")
    assert inputs["runtimePlatform"] == {"cpuArchitecture": word, "operatingSystemFamily": "LINUX"}
    assert inputs["family"] == "assistant-serverless-gateway"
    assert "ephemeralStorage" not in inputs
    assert "volumes" not in inputs or inputs["volumes"] == []


async def test_a_disk_and_a_volume_where_a_model_needs_them() -> None:
    inputs = (await service("inference", disk=100)).one("TaskDefinition").inputs
    assert inputs["ephemeralStorage"] == {"sizeInGib": 100}
    assert inputs["volumes"] == [{"name": "models"}]


async def test_ecs_may_pull_this_image_and_write_this_log_and_nothing_else() -> None:
    statements = policy(await service(), "gateway-task-start-policy")
    by_action = {action: statement["Resource"] for statement in statements for action in statement["Action"]}
    repository = "arn:aws:ecr:eu-central-1:123456789012:repository/assistant-serverless/gateway"
    assert by_action.pop("ecr:GetAuthorizationToken") == ["*"]
    assert by_action == {
        "ecr:BatchCheckLayerAvailability": [repository],
        "ecr:BatchGetImage": [repository],
        "ecr:GetDownloadUrlForLayer": [repository],
        "logs:CreateLogStream": ["arn:aws:cloudwatch:eu-central-1:123456789012:gateway-task-logs-group:log-stream:*"],
        "logs:PutLogEvents": ["arn:aws:cloudwatch:eu-central-1:123456789012:gateway-task-logs-group:log-stream:*"],
    }


@pytest.mark.parametrize("write", [False, True])
async def test_models_are_written_by_the_converter_alone_and_deleted_by_nobody(write: bool) -> None:
    statements = policy(await service(write=write), "gateway-task-task-policy")
    actions = {action for statement in statements for action in statement["Action"]}
    assert ("s3:PutObject" in actions) is write
    assert ("kms:GenerateDataKey" in actions) is write
    assert not {action for action in actions if "Delete" in action or "*" in action}


async def test_china_has_its_own_partition_and_suffix() -> None:
    found = await service(region="cn-north-1", image=IMAGE.replace("eu-central-1.amazonaws.com", "cn-north-1.amazonaws.com.cn"))
    text = found.one("RolePolicy", "gateway-task-start-policy").inputs["policy"]
    assert "arn:aws-cn:ecr:cn-north-1:" in text
    assert "arn:aws:" not in text
    (key,) = [it for it in policy(found, "gateway-task-task-policy") if it["Sid"] == "Key"]
    assert key["Condition"] == {"StringEquals": {"kms:ViaService": "s3.cn-north-1.amazonaws.com.cn"}}


@pytest.mark.parametrize(
    ("image", "arn"),
    [
        (IMAGE, "arn:aws:ecr:eu-central-1:123456789012:repository/assistant-serverless/gateway"),
        ("ghcr.io/owner/gateway@sha256:1", None),
    ],
)
def test_an_image_outside_ecr_has_no_repository_there(image: str, arn: str | None) -> None:
    assert repository_arn(image, "aws") == arn


async def test_log_groups_are_encrypted_and_kept_as_long_as_is_set() -> None:
    group = (await service()).one("LogGroup", "gateway-task-logs-group").inputs
    assert (group["name"], group["kmsKeyId"], group["retentionInDays"]) == ("/assistant/serverless/gateway", "arn:logs", 365)
