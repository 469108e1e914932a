"""Secrets that a secret store keeps: each pod fetches its own by its identity, into memory. None is in the stack's state or in
the cluster's."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import EmptyDirVolumeSourceArgs, VolumeArgs

from infra.cluster_settings import Compute
from infra.kubernetes.container import Container, Mount
from infra.kubernetes.names import SECRETS_DIRECTORY, Part
from infra.kubernetes.secret_source import VOLUME, PartSecrets, file_variables
from infra.kubernetes.workload import WorkloadArgs

DELIVERY = "deliver-secrets"
# A few values of some bytes each, on a tmpfs that counts as the pod's memory.
SIZE_LIMIT = "1Mi"
DELIVERING = Compute.model_validate({"cpu": "50m", "cpuLimit": "1", "memory": "128Mi"})


@dataclass(frozen=True, kw_only=True)
class DeliveredSecrets:
    """``ids``: by secret, its id or ARN in AWS Secrets Manager. ``versions``: by secret, its number in the settings: one that
    is raised rolls the pods that read it, and they fetch the new value. ``environment``: of what fetches, besides.
    """

    ids: Mapping[str, pulumi.Input[str]]
    region: pulumi.Input[str]
    versions: Mapping[str, int]
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    # Which of them somebody has entered, this machine need not know.
    optional: Set[str] = frozenset()

    def provide(
        self, part: Part, variables: Mapping[str, str], args: WorkloadArgs, _opts: pulumi.ResourceOptions
    ) -> PartSecrets:
        names = sorted(set(variables.values()))
        wanted = {name: self.ids[name] for name in names}
        delivery = Container(
            name=DELIVERY,
            image=args.image,
            command=["python", "-m", "app.aws.deliver"],
            compute=DELIVERING,
            environment={
                "AWS_REGION": self.region,
                "SECRET_IDS": pulumi.Output.json_dumps(wanted, sort_keys=True),
                "SECRETS_DIRECTORY": SECRETS_DIRECTORY,
                **args.environment,
                **self.environment,
            },
            mounts=[_mount(writable=True)],
        )
        return PartSecrets(
            environment=file_variables(variables),
            mount=_mount(),
            reads={name: str(self.versions[name]) for name in names},
            init=(delivery,),
        )


def _mount(*, writable: bool = False) -> Mount:
    memory = EmptyDirVolumeSourceArgs(medium="Memory", size_limit=SIZE_LIMIT)
    return Mount(volume=VolumeArgs(name=VOLUME, empty_dir=memory), path=SECRETS_DIRECTORY, writable=writable)
