"""One part as an ECS service: so many tasks, in private subnets, replaced task by task, the old ones back when that fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.ecs_cluster import ON_DEMAND, SPOT, EcsCluster
from infra.aws.ecs_container import STARTS_WITHIN_SECONDS
from infra.aws.ecs_parts import Part
from infra.aws.ecs_task import EcsTask
from infra.aws_settings import Task

PLATFORM_VERSION = "1.4.0"
# The circuit breaker gives a rollout up after three tasks that did not start; so long `up` waits to hear of it.
READY_WITHIN_SECONDS = 3 * STARTS_WITHIN_SECONDS + 600
DELETED_WITHIN_SECONDS = 1200


@dataclass(frozen=True, kw_only=True)
class EcsServiceArgs:
    """``target_groups``: of the load balancer, by what they are for; ``port`` is what they and ``registry_arn`` lead to.
    ``alone``: there is one task, which ends before the next begins.
    ``spot``: all but the first task run on capacity that AWS may take back with two minutes' notice.
    ``after``: what must be there first: a listener, rules, what the tasks speak to."""

    context: AwsContext
    part: Part
    cluster: EcsCluster
    task: EcsTask
    bounds: Task
    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    port: int | None = None
    target_groups: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    registry_arn: pulumi.Input[str] | None = None
    spot: bool = False
    alone: bool = False
    after: Sequence[pulumi.Resource] = ()


class EcsService(pulumi.ComponentResource):
    service_name: pulumi.Output[str]

    def __init__(self, name: str, args: EcsServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:EcsService", name, {}, opts)
        behind = bool(args.target_groups)
        service = aws.ecs.Service(
            f"{name}-service",
            name=args.part,
            cluster=args.cluster.arn,
            task_definition=args.task.definition_arn,
            desired_count=floor(args.part, args.bounds),
            capacity_provider_strategies=_capacity(args.spot),
            platform_version=PLATFORM_VERSION,
            network_configuration=aws.ecs.ServiceNetworkConfigurationArgs(
                subnets=list(args.subnet_ids), security_groups=[args.security_group_id], assign_public_ip=False
            ),
            load_balancers=[
                aws.ecs.ServiceLoadBalancerArgs(container_name=args.part, container_port=args.port, target_group_arn=arn)
                for _, arn in sorted(args.target_groups.items())
            ]
            if args.port
            else None,
            health_check_grace_period_seconds=STARTS_WITHIN_SECONDS if behind else None,
            service_registries=aws.ecs.ServiceServiceRegistriesArgs(registry_arn=args.registry_arn)
            if args.registry_arn is not None
            else None,
            # A new task is ready before an old one goes, or comes when it has gone.
            deployment_minimum_healthy_percent=0 if args.alone else 100,
            deployment_maximum_percent=100 if args.alone else 200,
            deployment_circuit_breaker=aws.ecs.ServiceDeploymentCircuitBreakerArgs(enable=True, rollback=True),
            # It would start a task before it stops one.
            availability_zone_rebalancing="DISABLED" if args.alone else "ENABLED",
            enable_execute_command=False,
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            # Another strategy of capacity is refused without it.
            force_new_deployment=True,
            wait_for_steady_state=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[args.cluster.capacity, *args.task.ready, *args.after],
                # The number of tasks is the scaler's.
                ignore_changes=["desiredCount"],
                custom_timeouts=pulumi.CustomTimeouts(
                    create=f"{READY_WITHIN_SECONDS}s", update=f"{READY_WITHIN_SECONDS}s", delete=f"{DELETED_WITHIN_SECONDS}s"
                ),
            ),
        )
        self.service_name = service.name
        self.service = service
        self.register_outputs({"service_name": self.service_name})


def floor(part: Part, bounds: Task) -> int:
    """Only workers are woken by what waits for them; nothing could wake another part."""
    return bounds.minimum if part == "worker" else max(1, bounds.minimum)


def _capacity(spot: bool) -> list[aws.ecs.ServiceCapacityProviderStrategyArgs]:
    if not spot:
        return [aws.ecs.ServiceCapacityProviderStrategyArgs(capacity_provider=ON_DEMAND, weight=1)]
    return [
        # One that nobody takes back, so that a shortage of spare capacity slows the queue and never stops it.
        aws.ecs.ServiceCapacityProviderStrategyArgs(capacity_provider=ON_DEMAND, base=1, weight=0),
        aws.ecs.ServiceCapacityProviderStrategyArgs(capacity_provider=SPOT, weight=1),
    ]
