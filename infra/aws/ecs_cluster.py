"""Where the tasks run and find each other: an ECS cluster on Fargate, and a private zone in which inference has its name."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.ecs_parts import DNS_SECONDS
from infra.kubernetes.names import APPLICATION, INFERENCE_SERVICE

ON_DEMAND, SPOT = "FARGATE", "FARGATE_SPOT"


@dataclass(frozen=True, kw_only=True)
class EcsClusterArgs:
    context: AwsContext
    vpc_id: pulumi.Input[str]


class EcsCluster(pulumi.ComponentResource):
    """``namespace``: of :data:`INFERENCE_SERVICE`. ``registry_arn``: where ECS enters the healthy tasks of inference.
    ``capacity``: to depend on; before it no task can be placed."""

    cluster_name: pulumi.Output[str]
    arn: pulumi.Output[str]
    namespace: pulumi.Output[str]
    registry_arn: pulumi.Output[str]
    capacity: pulumi.Resource

    def __init__(self, name: str, args: EcsClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:EcsCluster", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        context = args.context
        cluster = aws.ecs.Cluster(
            f"{name}-cluster",
            name=context.name(),
            # Metrics by task and container, which CPU alarms and the number of running tasks come from.
            settings=[aws.ecs.ClusterSettingArgs(name="containerInsights", value="enhanced")],
            opts=child,
        )
        self.capacity = aws.ecs.ClusterCapacityProviders(
            f"{name}-capacity",
            cluster_name=cluster.name,
            capacity_providers=[ON_DEMAND, SPOT],
            default_capacity_provider_strategies=[
                aws.ecs.ClusterCapacityProvidersDefaultCapacityProviderStrategyArgs(capacity_provider=ON_DEMAND, weight=1)
            ],
            opts=child,
        )
        namespace = aws.servicediscovery.PrivateDnsNamespace(
            f"{name}-namespace",
            name=f"{context.stack}.{APPLICATION}.internal",
            description="Names within the stack",
            vpc=args.vpc_id,
            opts=child,
        )
        registry = aws.servicediscovery.Service(
            f"{name}-inference-name",
            name=INFERENCE_SERVICE,
            description="The tasks of inference that answer",
            dns_config=aws.servicediscovery.ServiceDnsConfigArgs(
                namespace_id=namespace.id,
                # Each answer names up to eight tasks in another order.
                routing_policy="MULTIVALUE",
                dns_records=[aws.servicediscovery.ServiceDnsConfigDnsRecordArgs(type="A", ttl=DNS_SECONDS)],
            ),
            # ECS itself says which are healthy, by their container's check. The number is always 1 and its word deprecated, but
            # without it the provider leaves the whole group out (github.com/pulumi/pulumi-aws/issues/6289).
            health_check_custom_config={"failure_threshold": 1},
            # Tasks that ECS has not taken out yet would keep a destroy from ending.
            force_destroy=True,
            opts=child,
        )
        self.cluster_name, self.arn = cluster.name, cluster.arn
        self.namespace, self.registry_arn = namespace.name, registry.arn
        self.register_outputs({"cluster_name": self.cluster_name})
