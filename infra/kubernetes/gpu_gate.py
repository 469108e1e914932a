"""The GPU gate: before inference rolls out, a Job on each pool proves one inference on a GPU, or the stack stops there and says
what is in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.batch.v1 import Job, JobSpecArgs
from pulumi_kubernetes.core.v1 import (
    AffinityArgs,
    EmptyDirVolumeSourceArgs,
    LocalObjectReferenceArgs,
    NodeAffinityArgs,
    NodeSelectorArgs,
    NodeSelectorRequirementArgs,
    NodeSelectorTermArgs,
    PodSecurityContextArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    SeccompProfileArgs,
    ServiceAccount,
    TolerationArgs,
    VolumeArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.aws_settings import GpuPool
from infra.cluster_settings import Compute
from infra.kubernetes.configuration import digest_of
from infra.kubernetes.container import TEMPORARY, Container
from infra.kubernetes.gpu_proof import GpuProof
from infra.kubernetes.model import TERMINATION_MESSAGE
from infra.kubernetes.names import APPLICATION, GPU_NODE_LABEL, GPU_TAINT_KEY, POOL_LABEL, USER_ID
from infra.kubernetes.priority import class_name
from infra.kubernetes.workload import UNAWAITED
from infra.settings import Settings

WAIT_SECONDS = 1800  # an instance, its node, the plugin and an image of gigabytes
# How often a probe may fail is not the Job's to decide: a Job that has failed stays so, and this one is only held back.
TRIES = 100
GRACE_SECONDS = 10
COMMAND = ("python", "-m", "app.inference.gpu_probe", "--report", TERMINATION_MESSAGE)
# CUDA's libraries take most of it.
COMPUTE = Compute.model_validate({"cpu": "500m", "cpuLimit": "2", "memory": "4Gi"})


IDENTITY = "gpu-gate"  # the probes' service account
PART = {
    "app.kubernetes.io/name": "gpu-gate",
    "app.kubernetes.io/instance": APPLICATION,
    "app.kubernetes.io/part-of": APPLICATION,
    "app.kubernetes.io/managed-by": "pulumi",
}


@dataclass(frozen=True, kw_only=True)
class GpuGateArgs:
    """``image``: inference-gpu. ``pools``: those to prove, see :func:`which_pools`; ``node_groups``: EKS' names, by pool.

    ``kubeconfig``: its text. ``seconds``: after which a pool that proved nothing has failed.
    """

    namespace: pulumi.Input[str]
    settings: Settings
    image: pulumi.Input[str]
    pools: Sequence[GpuPool]
    kubeconfig: pulumi.Input[str]
    region: str
    profile: str | None
    cluster_name: pulumi.Input[str]
    node_groups: Mapping[str, pulumi.Input[str]]
    seconds: int = WAIT_SECONDS


class GpuGate(pulumi.ComponentResource):
    """``proofs``: by pool. Whoever needs GPUs depends on the component."""

    proofs: dict[str, GpuProof]

    def __init__(self, name: str, args: GpuGateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:GpuGate", name, {}, opts)
        self._args = args
        identities = [self._identity(name)] if args.pools else []
        self.proofs = {pool.name: self._prove(name, pool, identities) for pool in args.pools}
        self.register_outputs({"found": {pool: proof.found for pool, proof in self.proofs.items()}})

    def _identity(self, name: str) -> ServiceAccount:
        """Of the probes alone, and granted nothing."""
        return ServiceAccount(
            f"{name}-identity",
            metadata=ObjectMetaArgs(name=IDENTITY, namespace=self._args.namespace, labels=PART),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _prove(self, name: str, pool: GpuPool, before: Sequence[pulumi.Resource]) -> GpuProof:
        args = self._args
        named = pulumi.Output.from_input(args.image).apply(lambda image: job_name(args.settings, pool, image))
        job = Job(
            f"{name}-{pool.name}",
            # Not awaited by Pulumi's plugin, which could only say that it is late.
            metadata=ObjectMetaArgs(name=named, namespace=args.namespace, labels=labels(pool), annotations=UNAWAITED),
            spec=JobSpecArgs(backoff_limit=TRIES, template=template(args.settings, pool, args.image)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(before)),
        )
        return GpuProof(
            f"{name}-{pool.name}-proof",
            namespace=args.namespace,
            job=named,
            pool=pool,
            kubeconfig=args.kubeconfig,
            region=args.region,
            profile=args.profile,
            cluster_name=args.cluster_name,
            node_group=args.node_groups[pool.name],
            seconds=args.seconds,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[job]),
        )


def which_pools(settings: Settings) -> tuple[GpuPool, ...]:
    """Those that cost something from the start; where inference computes on GPUs, all: any of them may get a pod. Pure."""
    if settings.inference.device == "cuda":
        return settings.gpu_pools
    return tuple(pool for pool in settings.gpu_pools if pool.minimum > 0)


def job_name(settings: Settings, pool: GpuPool, image: str) -> str:
    """A Job cannot be changed, so whatever would change it, or its answer, is in its name: another image, other machines."""
    content: dict[str, Any] = {
        "image": image,
        "command": COMMAND,
        "pool": pool.model_dump(mode="json", exclude={"minimum", "maximum", "volume"}),
        "kubernetes": settings.eks.version,
        "pullSecret": settings.images.pull_secret,
        "namespace": settings.cluster.namespace,
    }
    return f"gpu-gate-{pool.name}-{digest_of(content)[:12]}"


def labels(pool: GpuPool) -> dict[str, str]:
    """No Service selects them, and no policy opens anything to them: the probe speaks to nobody."""
    return {**PART, POOL_LABEL: pool.name}


def template(settings: Settings, pool: GpuPool, image: pulumi.Input[str]) -> PodTemplateSpecArgs:
    """A pod for Pod Security ``restricted`` that can go to no other pool."""
    pull_secret = settings.images.pull_secret
    container = Container(name="probe", image=image, command=COMMAND, compute=COMPUTE, gpus=1)
    on_the_pool = [
        NodeSelectorRequirementArgs(key=GPU_NODE_LABEL, operator="In", values=["true"]),
        NodeSelectorRequirementArgs(key=POOL_LABEL, operator="In", values=[pool.name]),
    ]
    return PodTemplateSpecArgs(
        metadata=ObjectMetaArgs(labels=labels(pool)),
        spec=PodSpecArgs(
            service_account_name=IDENTITY,
            automount_service_account_token=False,
            enable_service_links=False,
            security_context=PodSecurityContextArgs(
                run_as_non_root=True,
                run_as_user=USER_ID,
                run_as_group=USER_ID,
                fs_group=USER_ID,
                seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
            ),
            # It waits for a GPU rather than take one from those who work on it.
            priority_class_name=class_name(settings.cluster.namespace, "model"),
            image_pull_secrets=[LocalObjectReferenceArgs(name=pull_secret)] if pull_secret else None,
            containers=[container.args()],
            volumes=[VolumeArgs(name=TEMPORARY, empty_dir=EmptyDirVolumeSourceArgs(size_limit=container.disk.temporary))],
            restart_policy="Never",  # another try may be on another node
            termination_grace_period_seconds=GRACE_SECONDS,
            affinity=AffinityArgs(
                node_affinity=NodeAffinityArgs(
                    required_during_scheduling_ignored_during_execution=NodeSelectorArgs(
                        node_selector_terms=[NodeSelectorTermArgs(match_expressions=on_the_pool)]
                    )
                )
            ),
            tolerations=[TolerationArgs(key=GPU_TAINT_KEY, operator="Exists", effect="NoSchedule")],
        ),
    )
