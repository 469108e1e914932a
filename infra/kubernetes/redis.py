"""Redis: the one part with state. Each acknowledged write is on the disk, and what is there is never evicted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet, StatefulSetSpecArgs
from pulumi_kubernetes.core.v1 import (
    ConfigMap,
    ConfigMapVolumeSourceArgs,
    ExecActionArgs,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpecArgs,
    PersistentVolumeClaimVolumeSourceArgs,
    ProbeArgs,
    SecretVolumeSourceArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    TCPSocketActionArgs,
    VolumeArgs,
    VolumeResourceRequirementsArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs

from infra.generated.secrets import Secrets
from infra.kubernetes.configuration import digest_of
from infra.kubernetes.container import Container, Mount, Probes
from infra.kubernetes.files import EVERYBODY, OWNER_AND_GROUP, secret
from infra.kubernetes.names import REDIS_PORT, SECRETS_DIRECTORY, selector
from infra.kubernetes.pod import Pod
from infra.kubernetes.quantities import size
from infra.kubernetes.redis_connection import REDIS_PASSWORD
from infra.kubernetes.workload import UNAWAITED, WorkloadArgs, disruption_budget, metadata, service_account
from infra.redis_configuration import ACCESS_FILE, CONFIGURATION_FILE, access_text, configuration_text

DATA_DIRECTORY = Path("/data")
CONFIGURATION_DIRECTORY = Path("/etc/redis-assistant")
HEADLESS_SERVICE = "redis-nodes"
CLAIM = "redis"
# Of the pod's memory for the data: the rest is for clients' buffers and for pages that are copied while the append-only file
# is written anew.
DATA_SHARE = 0.5
GRACE_SECONDS = 60
READY_WITHIN = 600  # reading gigabytes of the append-only file
# May say PING and nothing else, so that the probe needs no password.
PROBE_USER = "probe"
PROBE_ACCESS = f"user {PROBE_USER} on nopass resetkeys resetchannels -@all +ping\n"


@dataclass(frozen=True, kw_only=True)
class RedisArgs(WorkloadArgs):
    """``secrets``: generated ones, since the server knows its password by the digest."""

    secrets: Secrets


class Redis(pulumi.ComponentResource):
    """One server with a volume. Its replica would be asynchronous and could lose what was acknowledged; a pod that is moved
    takes its volume with it, and meanwhile events are refused with 503, which platforms repeat."""

    def __init__(self, name: str, args: RedisArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Redis", name, {}, opts)
        settings, namespace = args.settings, args.namespace
        child = pulumi.ResourceOptions(parent=self)
        account = service_account("redis", namespace, child)
        text = configuration(settings.resources.redis.memory)
        configuration_map = ConfigMap(
            "redis-configuration",
            metadata=metadata("redis", namespace),
            data={CONFIGURATION_FILE: text},
            opts=child,
        )
        # Redis knows its password by a digest alone, and so does its pod.
        access = args.secrets.digests[REDIS_PASSWORD].apply(lambda digest: access_text(digest) + PROBE_ACCESS)
        access_secret = secret("redis", {ACCESS_FILE: access}, namespace, child)
        claim = self._claim(args, child)
        disruption_budget("redis", namespace, child)
        headless = self._service(HEADLESS_SERVICE, namespace, cluster_ip="None")

        container = Container(
            name="redis",
            image=args.image,
            command=["redis-server", str(CONFIGURATION_DIRECTORY / CONFIGURATION_FILE)],
            compute=settings.resources.redis,
            mounts=[_data_mount(), _configuration_mount(), _access_mount()],
            ports={"redis": REDIS_PORT},
            probes=_probes(),
        )
        pod = Pod(
            part="redis",
            settings=settings,
            container=container,
            grace_seconds=GRACE_SECONDS,
            reads={
                "configuration": digest_of(text),
                REDIS_PASSWORD: args.secrets.digests[REDIS_PASSWORD],
                "probe": digest_of(PROBE_ACCESS),
            },
        )
        self.stateful_set = StatefulSet(
            "redis-server",
            metadata=metadata("redis", namespace),
            spec=StatefulSetSpecArgs(
                service_name=HEADLESS_SERVICE,
                replicas=1,
                # In order, a pod that never becomes ready would hold up the very update that mends it.
                pod_management_policy="Parallel",
                selector=LabelSelectorArgs(match_labels=selector("redis")),
                template=pod.template(),
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[account, configuration_map, access_secret, claim, headless],
                custom_timeouts=pulumi.CustomTimeouts(create=f"{READY_WITHIN}s", update=f"{READY_WITHIN}s"),
            ),
        )
        self.service = self._service("redis", namespace)
        self.register_outputs({"statefulSet": self.stateful_set.metadata.name})

    def _service(self, name: str, namespace: pulumi.Input[str], cluster_ip: str | None = None) -> Service:
        # The headless one gives the pod its name, before there is a pod.
        described = metadata("redis", namespace, name, UNAWAITED if cluster_ip else None)
        return Service(
            f"{name}-service",
            metadata=described,
            spec=ServiceSpecArgs(
                type="ClusterIP",
                cluster_ip=cluster_ip,
                selector=selector("redis"),
                ports=[ServicePortArgs(name="redis", port=REDIS_PORT, target_port="redis")],
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _claim(self, args: RedisArgs, opts: pulumi.ResourceOptions) -> PersistentVolumeClaim:
        # A claim of its own and no template of the StatefulSet, which could not be changed: so it can grow.
        storage = args.settings.storage
        claimed = metadata("redis", args.namespace, CLAIM, UNAWAITED)
        return PersistentVolumeClaim(
            "redis-claim",
            metadata=claimed,
            spec=PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce"],
                storage_class_name=storage.storage_class,
                resources=VolumeResourceRequirementsArgs(requests={"storage": storage.redis_size}),
            ),
            # Acknowledged events are in it: no setting ever throws it away. docs/kubernetes.md says how to move them.
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=["spec.storageClassName"])),
        )


def configuration(memory: str) -> str:
    """``redis.conf`` for a pod with so much memory."""
    return configuration_text(
        port=REDIS_PORT,
        directory=DATA_DIRECTORY,
        bind="* -::*",  # IPv6 where there is any
        max_memory=str(int(size(memory) * DATA_SHARE)),
        access_file=Path(SECRETS_DIRECTORY) / ACCESS_FILE,
    )


def _probes() -> Probes:
    ping = ExecActionArgs(
        command=["redis-cli", "-e", "-p", str(REDIS_PORT), "--no-auth-warning", "--user", PROBE_USER, "--pass", "none", "ping"]
    )
    return Probes(
        # While the append-only file is read, PING is answered with an error and the port is open.
        startup=ProbeArgs(exec_=ping, period_seconds=2, timeout_seconds=2, failure_threshold=READY_WITHIN // 2),
        readiness=ProbeArgs(exec_=ping, period_seconds=5, timeout_seconds=2, failure_threshold=2),
        # A full or slow disk makes Redis late, and a restart would make it later: only a closed port counts.
        liveness=ProbeArgs(
            tcp_socket=TCPSocketActionArgs(port="redis"), period_seconds=15, timeout_seconds=5, failure_threshold=4
        ),
    )


def _data_mount() -> Mount:
    claim = PersistentVolumeClaimVolumeSourceArgs(claim_name=CLAIM)
    return Mount(volume=VolumeArgs(name="data", persistent_volume_claim=claim), path=str(DATA_DIRECTORY), writable=True)


def _configuration_mount() -> Mount:
    source = ConfigMapVolumeSourceArgs(name="redis", default_mode=EVERYBODY)
    return Mount(volume=VolumeArgs(name="configuration", config_map=source), path=str(CONFIGURATION_DIRECTORY))


def _access_mount() -> Mount:
    source = SecretVolumeSourceArgs(secret_name="redis", default_mode=OWNER_AND_GROUP)  # noqa: S106 - its name
    return Mount(volume=VolumeArgs(name="secrets", secret=source), path=SECRETS_DIRECTORY)
