"""A platform's outbound transport: one pod that connects to the platform and puts what it is sent into the queue.

One, since the platform would share its events among several. While it is replaced the platform keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra import processes
from infra.kubernetes.application import base_environment, deployment, grace_seconds
from infra.kubernetes.configuration import digest_of
from infra.kubernetes.container import Container
from infra.kubernetes.files import authorities_mount
from infra.kubernetes.names import METRICS_PORT, TRANSPORT_PORT
from infra.kubernetes.pod import Pod
from infra.kubernetes.probes import http_probes
from infra.kubernetes.redis_connection import RedisConnection
from infra.kubernetes.secret_source import SecretSource
from infra.kubernetes.trust import OPENSSL_VARIABLE, trusting
from infra.kubernetes.workload import WorkloadArgs, disruption_budget, metrics_service_of, service_account
from infra.processes import TransportPart
from infra.settings import Settings

READY_WITHIN = 300


@dataclass(frozen=True, kw_only=True)
class TransportArgs(WorkloadArgs):
    """``authorities``: PEM of what is trusted instead of the image's own, if anything is."""

    part: TransportPart
    secrets: SecretSource
    redis: RedisConnection
    authorities: str | None


class Transport(pulumi.ComponentResource):
    def __init__(self, name: str, args: TransportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Transport", name, {}, opts)
        settings, namespace, part = args.settings, args.namespace, args.part
        child = pulumi.ResourceOptions(parent=self)
        account = service_account(part, namespace, child)
        secrets = args.secrets.provide(part, secret_variables(settings, args.redis, part), args, child)
        disruption_budget(part, namespace, child)
        container = Container(
            name=part,
            image=args.image,
            command=["python", "-m", processes.ENTRIES[part]],
            compute=settings.resources.worker,
            environment={
                **base_environment(settings, TRANSPORT_PORT),
                **args.redis.environment(),
                **secrets.environment,
                **processes.transport(settings, part).environment,
                **(trusting(OPENSSL_VARIABLE) if args.authorities else {}),
                **args.environment,
            },
            mounts=[secrets.mount, *([authorities_mount()] if args.authorities else [])],
            ports={"health": TRANSPORT_PORT, "metrics": METRICS_PORT},
            probes=http_probes("health", starts_within=60),
        )
        trusted = {"authorities": digest_of(args.authorities)} if args.authorities else {}
        pod = Pod(
            part=part,
            settings=settings,
            container=container,
            init=secrets.init,
            grace_seconds=grace_seconds(pre_stop=0, notice=0),
            reads={**secrets.reads, **trusted},
        )
        self.deployment = deployment(
            part,
            namespace=namespace,
            pod=pod,
            update=None,
            ready_within=READY_WITHIN,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, *secrets.made]),
        )
        metrics_service_of(part, namespace, child)
        self.register_outputs({"deployment": self.deployment.metadata.name})


def secret_variables(settings: Settings, redis: RedisConnection, part: TransportPart) -> dict[str, str]:
    """By environment variable, the secret that it stands for."""
    return {**redis.secrets(), **processes.transport(settings, part).secrets}
