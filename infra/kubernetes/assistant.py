"""The assistant in Kubernetes: Redis, the model, inference, gateway and worker, and what surrounds them, in one namespace.

What differs between one cluster and another is an argument: where images, secrets and the model come from, who runs Redis, how
the outside comes in. The targets ``cluster`` and ``eks`` are two ways of giving them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pulumi

from infra import processes
from infra.access import AccessFiles
from infra.generated.certificate import Certificate
from infra.generated.secrets import Secrets
from infra.kubernetes.access import PodAccess
from infra.kubernetes.autoscaling import Autoscaling, AutoscalingArgs
from infra.kubernetes.connection import Connection
from infra.kubernetes.edges import NOTHING_ELSE, Surroundings
from infra.kubernetes.exposure import Exposure, ExposureArgs
from infra.kubernetes.gateway import Gateway, GatewayArgs
from infra.kubernetes.inference import Inference, InferenceArgs
from infra.kubernetes.model import Model, ModelArgs
from infra.kubernetes.model_report import ModelReport
from infra.kubernetes.model_store import ModelStore
from infra.kubernetes.monitoring import Monitoring, MonitoringArgs
from infra.kubernetes.namespace import Namespace
from infra.kubernetes.network_policy import NetworkPolicies, NetworkPoliciesArgs
from infra.kubernetes.priority import PriorityClasses
from infra.kubernetes.redis import Redis, RedisArgs
from infra.kubernetes.redis_connection import RedisConnection
from infra.kubernetes.secret_source import SecretSource
from infra.kubernetes.target_group import BoundTargetGroups, BoundTargetGroupsArgs, TargetGroups
from infra.kubernetes.transport import Transport, TransportArgs
from infra.kubernetes.trust import Authorities, AuthoritiesArgs
from infra.kubernetes.worker import Worker, WorkerArgs
from infra.settings import Settings

# Of the component round it all, whoever composes it: part of the name of every resource in users' stacks.
TYPE = "assistant:kubernetes:Assistant"


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """A Redis of the stack's own. ``secrets``: those whose password it takes."""

    image: pulumi.Input[str]
    secrets: Secrets


@dataclass(frozen=True, kw_only=True)
class AssistantArgs:
    """``gateway_image``: gateway and worker; ``inference_image``: inference and the model Job; ``transport_image``: of the
    outbound transports, None where none is chosen.

    ``redis``: how it is reached; ``redis_server``: the one to run, where the stack runs one.
    ``certificate``: what the gateway serves, or None where ``settings.exposure.tls_secret`` names it, or where each pod of the
    gateway signs its own (``self_signed``).
    ``authorities``: PEM of what calls out trusts instead of the image's own bundle, if anything is given.
    ``access``: the files of tenants and roles. ``public_url``: see :class:`infra.kubernetes.gateway.GatewayArgs`.
    ``environment``: what every process of ours is given besides.
    ``connection``: for kubectl on this machine, which reads what the Job says of the model; None: nobody reads it.
    ``target_groups``: those of a load balancer that somebody else owns.
    ``before_inference``: makes, in the namespace that it is told, what inference waits for.
    """

    settings: Settings
    gateway_image: pulumi.Input[str]
    inference_image: pulumi.Input[str]
    transport_image: pulumi.Input[str] | None = None
    secrets: SecretSource
    redis: RedisConnection
    models: ModelStore
    certificate: Certificate | None
    self_signed: bool = False
    redis_server: RedisServer | None = None
    authorities: str | None = None
    access: AccessFiles = field(default_factory=AccessFiles)
    public_url: str | None = None
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    surroundings: Surroundings = NOTHING_ELSE
    connection: Connection | None = None
    target_groups: TargetGroups | None = None
    before_inference: Callable[[pulumi.Input[str], pulumi.ResourceOptions], pulumi.Resource] | None = None


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What was made, as far as others ask for it. ``report``: see ``AssistantArgs.connection``."""

    namespace: pulumi.Output[str]
    model: Model
    report: ModelReport | None
    inference: Inference
    gateway: Gateway
    worker: Worker
    transports: tuple[Transport, ...]
    monitoring: Monitoring
    exposure: Exposure


class Assistant(pulumi.ComponentResource):
    """Everything of it, in the cluster whose provider ``opts`` gives. ``url``: of the gateway, as the cluster knows it."""

    url: pulumi.Output[str]
    inference_url: pulumi.Output[str]

    def __init__(self, name: str, args: AssistantArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(TYPE, name, {}, opts)
        self.parts = assemble(args, pulumi.ResourceOptions(parent=self))
        self.url = self.parts.exposure.url
        self.inference_url = self.parts.inference.url
        self.register_outputs({"url": self.url})


def assemble(args: AssistantArgs, child: pulumi.ResourceOptions) -> Parts:
    """Make every part, each after what it needs. ``child``: the options of all, with their parent."""
    settings, certificate = args.settings, args.certificate
    priorities = PriorityClasses("priority", settings.cluster.namespace, child)
    more_labels = args.target_groups.namespace_labels if args.target_groups else None
    namespace = Namespace("namespace", settings.cluster.namespace, child, more_labels=more_labels).namespace_name
    policies = NetworkPoliciesArgs(namespace=namespace, settings=settings, redis=args.redis, surroundings=args.surroundings)
    first: list[pulumi.Resource] = [priorities, NetworkPolicies("policy", policies, child)]
    if args.authorities:
        first.append(Authorities("authorities", AuthoritiesArgs(namespace=namespace, bundle=args.authorities), child))

    def after(*resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[*first, *resources]))

    access = PodAccess(args.access, settings.access.secret)
    read = access.made("access", namespace, child)
    stores: list[pulumi.Resource] = []
    if args.redis_server is not None:
        server = args.redis_server
        redis = RedisArgs(namespace=namespace, settings=settings, image=server.image, secrets=server.secrets)
        stores.append(Redis("redis", redis, after()))
    model = Model(
        "model",
        ModelArgs(
            namespace=namespace,
            settings=settings,
            image=args.inference_image,
            environment=args.environment,
            models=args.models,
            authorities=args.authorities,
        ),
        after(),
    )
    report = None
    if args.connection is not None:
        report = ModelReport(
            "model-report", namespace=namespace, job=model.job_name, connection=args.connection, opts=after(model)
        )
    awaited = [args.before_inference(namespace, after())] if args.before_inference else []
    inference = Inference(
        "inference",
        InferenceArgs(
            namespace=namespace,
            settings=settings,
            image=args.inference_image,
            environment=args.environment,
            secrets=args.secrets,
            models=args.models,
            recipe_key=model.recipe_key,
        ),
        after(model, *awaited),
    )
    gateway = Gateway(
        "gateway",
        GatewayArgs(
            namespace=namespace,
            settings=settings,
            image=args.gateway_image,
            environment=args.environment,
            secrets=args.secrets,
            redis=args.redis,
            certificate=certificate,
            self_signed=args.self_signed,
            authorities=args.authorities,
            access=access,
            public_url=args.public_url,
        ),
        after(*stores, *read, inference),
    )
    worker = Worker(
        "worker",
        WorkerArgs(
            namespace=namespace,
            settings=settings,
            image=args.gateway_image,
            environment=args.environment,
            secrets=args.secrets,
            redis=args.redis,
            authorities=args.authorities,
            access=access,
        ),
        after(*stores, *read, inference),
    )
    transports = tuple(
        Transport(
            part,
            TransportArgs(
                part=part,
                namespace=namespace,
                settings=settings,
                image=args.transport_image or args.gateway_image,
                environment=args.environment,
                secrets=args.secrets,
                redis=args.redis,
                authorities=args.authorities,
            ),
            after(*stores),
        )
        for part in processes.transports(settings)
    )
    Autoscaling("autoscaling", AutoscalingArgs(namespace=namespace, settings=settings), after(inference, gateway, worker))
    monitoring = Monitoring(
        "monitoring",
        MonitoringArgs(
            namespace=namespace,
            settings=settings,
            certificate=certificate.certificate if certificate else None,
        ),
        child,
    )
    exposure = Exposure(
        "exposure",
        ExposureArgs(
            namespace=namespace,
            settings=settings,
            ca_certificate=certificate.ca_certificate if certificate else None,
            tls_secret=gateway.tls_secret,
        ),
        after(gateway),
    )
    if args.target_groups is not None:
        bound = BoundTargetGroupsArgs(namespace=namespace, target_groups=args.target_groups)
        BoundTargetGroups("target-groups", bound, after(exposure))
    return Parts(
        namespace=namespace,
        model=model,
        report=report,
        inference=inference,
        gateway=gateway,
        worker=worker,
        transports=transports,
        monitoring=monitoring,
        exposure=exposure,
    )
