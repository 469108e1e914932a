"""The workers: they take events from the queue and answer on the platforms. Nobody speaks to them but for their metrics."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

import pulumi

from infra import processes
from infra.kubernetes.access import PodAccess
from infra.kubernetes.application import base_environment, deployment, grace_seconds, neighbours, one_more
from infra.kubernetes.configuration import digest_of
from infra.kubernetes.container import Container
from infra.kubernetes.files import authorities_mount
from infra.kubernetes.names import METRICS_PORT, WORKER_PORT
from infra.kubernetes.pod import Pod
from infra.kubernetes.probes import http_probes
from infra.kubernetes.redis_connection import RedisConnection
from infra.kubernetes.secret_source import SecretSource
from infra.kubernetes.trust import OPENSSL_VARIABLE, trusting
from infra.kubernetes.workload import WorkloadArgs, disruption_budget, metrics_service_of, service_account
from infra.settings import Settings

READY_WITHIN = 300


@dataclass(frozen=True, kw_only=True)
class WorkerArgs(WorkloadArgs):
    """``authorities``: PEM of what is trusted instead of the image's own, if anything is."""

    secrets: SecretSource
    redis: RedisConnection
    authorities: str | None
    access: PodAccess = field(default_factory=PodAccess)


class Worker(pulumi.ComponentResource):
    """On SIGTERM a worker leases nothing more and finishes what it has; no work is sent to it, so it needs no notice."""

    def __init__(self, name: str, args: WorkerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Worker", name, {}, opts)
        settings, namespace = args.settings, args.namespace
        child = pulumi.ResourceOptions(parent=self)
        account = service_account("worker", namespace, child)
        variables = secret_variables(settings, args.redis, args.secrets.optional)
        secrets = args.secrets.provide("worker", variables, args, child)
        disruption_budget("worker", namespace, child)

        container = Container(
            name="worker",
            image=args.image,
            command=["python", "-m", "app.pipeline"],
            compute=settings.resources.worker,
            environment={
                **base_environment(settings, WORKER_PORT),
                **neighbours(args.redis),
                **secrets.environment,
                **_work(settings),
                **processes.worker(settings).environment,
                **args.access.environment(),
                **(trusting(OPENSSL_VARIABLE) if args.authorities else {}),
                **args.environment,
            },
            mounts=[secrets.mount, *([authorities_mount()] if args.authorities else []), *args.access.mounts()],
            ports={"health": WORKER_PORT, "metrics": METRICS_PORT},
            probes=http_probes("health", starts_within=60),
        )
        trusted = {"authorities": digest_of(args.authorities)} if args.authorities else {}
        pod = Pod(
            part="worker",
            settings=settings,
            container=container,
            init=secrets.init,
            grace_seconds=grace_seconds(pre_stop=0, notice=0),
            reads={**secrets.reads, **trusted},
        )
        self.deployment = deployment(
            "worker",
            namespace=namespace,
            pod=pod,
            update=one_more(),
            ready_within=READY_WITHIN,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, *secrets.made]),
        )
        metrics_service_of("worker", namespace, child)
        self.register_outputs({"deployment": self.deployment.metadata.name})


def secret_variables(settings: Settings, redis: RedisConnection, optional: Set[str] = frozenset()) -> dict[str, str]:
    """By environment variable, the secret that it stands for."""
    generic = {"GENERIC_CLIENT_SECRET": "generic_client_secret", "GENERIC_WEBHOOK_SECRET": "generic_webhook_secret"}
    return {
        "INFERENCE_API_KEY": "inference_api_key",
        **redis.secrets(),
        **(generic if settings.platforms.generic.url else {}),
        **processes.worker(settings, optional).secrets,
    }


def _work(settings: Settings) -> dict[str, str]:
    worker, generic = settings.worker, settings.platforms.generic
    return {
        "WORKER_CONCURRENCY": str(worker.concurrency),
        "LEASE_SECONDS": f"{worker.lease_seconds:g}",
        "MAX_ATTEMPTS": str(worker.max_attempts),
        **({"GENERIC_URL": generic.url, "GENERIC_CLIENT_ID": generic.client_id} if generic.url else {}),
    }
