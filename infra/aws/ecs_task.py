"""One part's task on Fargate: its definition, its log group, and its two roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.ecs_container import Container
from infra.aws.ecs_parts import Part
from infra.aws.ecs_rights import start_statements
from infra.aws.identity import TASKS, Statement, WorkloadRole, WorkloadRoleArgs
from infra.aws.logs import LogGroup, LogGroupArgs
from infra.aws_settings import Size

ARCHITECTURES = {"x86_64": "X86_64", "arm64": "ARM64"}


@dataclass(frozen=True, kw_only=True)
class EcsTaskArgs:
    """``statements``: what the task may do, by its own role. ``disk``: GiB of encrypted ephemeral disk, image included; None:
    the 20 that every task has."""

    context: AwsContext
    part: Part
    container: Container
    size: Size
    image: pulumi.Input[str]
    secret_arns: Mapping[str, pulumi.Input[str]]
    statements: Sequence[Statement]
    log_key_arn: pulumi.Input[str]
    disk: int | None = None


class EcsTask(pulumi.ComponentResource):
    """``definition_arn``: of this very revision. ``log_group``: its name. ``ready``: before these no task may start."""

    definition_arn: pulumi.Output[str]
    log_group: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: EcsTaskArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:EcsTask", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        context, container = args.context, args.container
        logs = LogGroup(
            f"{name}-logs",
            # A question may stand in a line that says why it failed.
            LogGroupArgs(context=context, key_arn=args.log_key_arn, words=(args.part,), masked=True),
            child,
        )
        starts = WorkloadRole(
            f"{name}-start",
            WorkloadRoleArgs(
                context=context,
                service=TASKS,
                statements=start_statements(context, args.image, logs.arn),
                words=(args.part, "start"),
            ),
            child,
        )
        role = WorkloadRole(
            f"{name}-task",
            WorkloadRoleArgs(context=context, service=TASKS, statements=args.statements, words=(args.part, "task")),
            child,
        )
        architecture = context.settings.fargate.architecture
        containers = [container.definition(args.image, logs.name, context.region, args.secret_arns)]
        definition = aws.ecs.TaskDefinition(
            f"{name}-definition",
            family=context.name(args.part),
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(args.size.cpu),
            memory=str(args.size.memory),
            runtime_platform=aws.ecs.TaskDefinitionRuntimePlatformArgs(
                cpu_architecture=ARCHITECTURES[architecture], operating_system_family="LINUX"
            ),
            execution_role_arn=starts.arn,
            task_role_arn=role.arn,
            container_definitions=pulumi.Output.json_dumps(containers, sort_keys=True),
            volumes=[
                aws.ecs.TaskDefinitionVolumeArgs(name=volume) for volume in sorted({mount.volume for mount in container.mounts})
            ],
            ephemeral_storage=aws.ecs.TaskDefinitionEphemeralStorageArgs(size_in_gib=args.disk) if args.disk else None,
            opts=child,
        )
        self.definition_arn, self.log_group = definition.arn, logs.name
        self.ready = (*starts.ready, *role.ready)
        # On a first preview the text of the definition is unknown as a whole; what is known of it stands here, for a reader and
        # for the policies (policies/ecs.py).
        self.register_outputs({"definition_arn": self.definition_arn, "containers": containers})
