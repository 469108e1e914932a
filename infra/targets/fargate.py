"""The target ``fargate``: AWS without nodes to run, for small and medium load. The same images as elsewhere, INT8 on CPUs, as
services of ECS; none of the workers runs while nothing waits."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from infra import costs, processes
from infra.access import AccessFiles, checked
from infra.aws import ecs_parts
from infra.aws.alarms import CloudWatchAlarms, CloudWatchAlarmsArgs
from infra.aws.context import AwsContext, context, provider
from infra.aws.ecs_cluster import EcsCluster, EcsClusterArgs
from infra.aws.ecs_container import Container
from infra.aws.ecs_model_task import ModelTask
from infra.aws.ecs_network import TaskGroups, TaskGroupsArgs, TaskRules, TaskRulesArgs, parts, to_redis
from infra.aws.ecs_scaling import EcsScaling, EcsScalingArgs
from infra.aws.ecs_service import EcsService, EcsServiceArgs
from infra.aws.ecs_task import EcsTask, EcsTaskArgs
from infra.aws.edge import Edge, EdgeArgs
from infra.aws.foundation import Foundation, FoundationArgs
from infra.aws.identity import Statement
from infra.aws.models import models_statements, models_url
from infra.aws.queue import Queue, QueueArgs
from infra.aws.secrets import read_statements
from infra.aws_settings import TRANSPORT_TASK, Size, Task
from infra.kubernetes.names import GATEWAY_PORT
from infra.outputs import Outputs
from infra.recipe import recipe
from infra.settings import Settings

# Of app/Dockerfile, by what runs them.
IMAGES: Mapping[ecs_parts.Part, str] = {
    "gateway": "gateway",
    "worker": "gateway",
    "inference": "inference-cpu",
    "model": "inference-cpu",
    **dict.fromkeys(processes.ENTRIES, "transport"),
}
# GiB for what a model is made from and into, beside the image.
MODEL_DISK = 100


def deploy(settings: Settings) -> Outputs:
    """Raises :class:`infra.errors.DeploymentError` where a file is missing."""
    stack = pulumi.get_stack()
    aws = provider(stack, settings)
    return FargateAssistant(
        "assistant",
        context(stack, settings, pulumi.InvokeOptions(provider=aws)),
        pulumi.ResourceOptions(providers=[aws]),
        access=checked(settings),
    ).outputs()


class FargateAssistant(pulumi.ComponentResource):
    """Everything of the assistant on Fargate, each part after what it needs. ``access``: the files of tenants and roles."""

    def __init__(
        self,
        name: str,
        context: AwsContext,
        opts: pulumi.ResourceOptions | None = None,
        access: AccessFiles = ecs_parts.NO_FILES,
    ) -> None:
        super().__init__("assistant:aws:FargateAssistant", name, {}, opts)
        self._access = access
        self._context, self._settings, self._child = context, context.settings, pulumi.ResourceOptions(parent=self)
        images = tuple(dict.fromkeys(IMAGES[part] for part in parts(context.settings)))
        self.foundation = Foundation(
            "foundation",
            FoundationArgs(context=context, images=images, architecture=context.settings.fargate.architecture),
            self._child,
        )
        base = self.foundation
        edge = EdgeArgs(
            context=context,
            network=base.network,
            access_logs=base.storage.access_logs,
            log_key_arn=base.keys.arn("logs"),
        )
        self.edge = Edge("edge", edge, self._child)
        self.groups = TaskGroups("tasks", TaskGroupsArgs(context=context, vpc_id=base.network.vpc_id), self._child)
        clients: dict[str, pulumi.Input[str]] = {part: self.groups.ids[part] for part in to_redis(context.settings)}
        self.queue = Queue("queue", QueueArgs(context=context, foundation=base, clients=clients), self._child)
        self.rules = TaskRules(
            "rules",
            TaskRulesArgs(
                context=context,
                groups=self.groups,
                edge=self.edge.security_group_id,
                redis=self.queue.store.security_group_id if self.queue.store else None,
                endpoints=base.network.endpoint_security_group_id,
            ),
            self._child,
        )
        self.cluster = EcsCluster("ecs", EcsClusterArgs(context=context, vpc_id=base.network.vpc_id), self._child)
        self.models_url = models_url(base.storage)
        self.inference_url = ecs_parts.inference_url(self.cluster.namespace)
        self.model = self._model()
        self.services = self._services()
        self._scale()
        self.alarms = self._alarms()
        self.register_outputs({"url": self.edge.url})

    def outputs(self) -> Outputs:
        connected = self._settings.platforms.generic.url is not None
        secrets = self.foundation.secrets.references
        webhook_urls = {
            **({"generic": f"{self.edge.url}/events"} if connected else {}),
            **processes.webhook_urls(self._settings, self.edge.url),
        }
        return Outputs(
            target="fargate",
            url=self.edge.url,
            webhook_urls=webhook_urls or None,
            redirect_uris=processes.redirect_uris(self._settings, self.edge.url),
            egress_addresses=self.foundation.network.egress_addresses or None,
            inference_url=self.inference_url,
            api_key=secrets["api_key"],
            webhook_secrets={"generic": secrets["generic_webhook_secret"]} if connected else None,
            model_name=self.model.model_name,
            model_digest=self.model.model_digest,
            alarms=self.alarms.names,
            estimated_monthly_cost=costs.estimate(self._settings, self._context.stack).total,
        )

    def _model(self) -> ModelTask:
        settings, base = self._settings, self.foundation
        wanted = recipe(settings)
        task = self._task(
            "model",
            ecs_parts.model(settings, self.models_url),
            settings.fargate.model,
            self._models_statements(write=True),
            disk=MODEL_DISK,
        )
        return ModelTask(
            "model",
            region=self._context.region,
            profile=settings.aws.profile,
            url=self.models_url,
            recipe_key=wanted.key,
            max_kl=wanted.thresholds.max_kl,
            min_top1=wanted.thresholds.min_top1,
            cluster=self.cluster.arn,
            task_definition=task.definition_arn,
            subnets=base.network.private_subnet_ids,
            security_groups=[self.groups.ids["model"]],
            log_group=task.log_group,
            # The way out, the bucket's policy and the task's rights have to be there before it starts.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[self.cluster.capacity, *task.ready, *self.rules.made, base.network, base.storage]
            ),
        )

    def _services(self) -> dict[ecs_parts.Part, EcsService]:
        settings, stack, fargate = self._settings, self._context.stack, self._settings.fargate
        redis, after = self.queue.connection, [*self.rules.made, self.foundation.network, *self.queue.ready]
        models = self._models_statements(write=False)
        inference = self._service(
            "inference",
            self._task("inference", ecs_parts.inference(settings, stack, self.models_url), fargate.inference, models),
            # The tasks pull what the model's task has published.
            after=[*after, self.model],
        )
        gateway = self._service(
            "gateway",
            self._task("gateway", ecs_parts.gateway(settings, stack, redis, self.inference_url, self._access), fargate.gateway),
            after=[*after, self.edge],
        )
        worker = self._service(
            "worker",
            self._task("worker", ecs_parts.worker(settings, stack, redis, self.inference_url, self._access), fargate.worker),
            after=after,
        )
        for part in processes.transports(settings):
            self._service(
                part, self._task(part, ecs_parts.transport(settings, stack, redis, part), TRANSPORT_TASK), after=after
            )
        return {"gateway": gateway, "worker": worker, "inference": inference}

    def _service(self, part: ecs_parts.Part, task: EcsTask, after: list[pulumi.Resource]) -> EcsService:
        fargate = self._settings.fargate
        behind = part == "gateway"
        bounds: dict[ecs_parts.Part, Task] = {
            "gateway": fargate.gateway,
            "worker": fargate.worker,
            "inference": fargate.inference,
        }
        args = EcsServiceArgs(
            context=self._context,
            part=part,
            cluster=self.cluster,
            task=task,
            bounds=bounds.get(part, TRANSPORT_TASK),
            subnet_ids=self.foundation.network.private_subnet_ids,
            security_group_id=self.groups.ids[part],
            port=GATEWAY_PORT if behind else None,
            target_groups={traffic: arn for traffic, arn in self.edge.target_group_arns.items() if behind},
            registry_arn=self.cluster.registry_arn if part == "inference" else None,
            spot=part == "worker" and fargate.spot_workers,
            alone=part in processes.ENTRIES,
            after=after,
        )
        return EcsService(part, args, self._child)

    def _task(
        self,
        part: ecs_parts.Part,
        container: Container,
        size: Size,
        statements: list[Statement] | None = None,
        disk: int | None = None,
    ) -> EcsTask:
        base, arns = self.foundation, self.foundation.secrets.arns
        read = {name: arns[name] for name in sorted(set(container.secrets.values()))}
        args = EcsTaskArgs(
            context=self._context,
            part=part,
            container=ecs_parts.placed(self._settings, container),
            size=size,
            image=base.registry.images[IMAGES[part]],
            secret_arns=read,
            statements=[*(statements or []), *self._secrets_statements(list(read.values()))],
            log_key_arn=base.keys.arn("logs"),
            disk=disk,
        )
        return EcsTask(f"{part}-task", args, self._child)

    def _secrets_statements(self, arns: list[pulumi.Output[str]]) -> list[Statement]:
        return read_statements(self._context, arns, self.foundation.keys.arn("secrets"))

    def _models_statements(self, *, write: bool) -> list[Statement]:
        base = self.foundation
        return models_statements(self._context, base.storage.models.arn, base.keys.arn("data"), write=write)

    def _scale(self) -> None:
        args = EcsScalingArgs(
            context=self._context,
            cluster_name=self.cluster.cluster_name,
            services={part: service.service_name for part, service in self.services.items()},
            load_balancer=self.edge.load_balancer_suffix,
            target_groups=self.edge.target_group_suffixes,
        )
        EcsScaling("scaling", args, self._child)

    def _alarms(self) -> CloudWatchAlarms:
        dimensions: dict[str, pulumi.Input[str]] = {
            "load_balancer": self.edge.load_balancer_suffix,
            "target_group_api": self.edge.target_group_suffixes["api"],
            "certificate": self.edge.certificate_arn,
            "ecs_cluster": self.cluster.cluster_name,
            **({"memorydb_cluster": self.queue.store.cluster_name} if self.queue.store else {}),
        }
        args = CloudWatchAlarmsArgs(
            context=self._context, topic_arn=self.foundation.notifications.topic_arn, dimensions=dimensions
        )
        return CloudWatchAlarms("alarms", args, self._child)
