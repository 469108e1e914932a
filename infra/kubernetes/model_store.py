"""Where the converted model is kept: on a volume that the Job fills and every inference pod mounts, or in a bucket to which the
Job publishes it and from which each pod pulls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import pulumi
from pulumi_kubernetes.core.v1 import (
    EmptyDirVolumeSourceArgs,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpecArgs,
    PersistentVolumeClaimVolumeSourceArgs,
    VolumeArgs,
    VolumeResourceRequirementsArgs,
)

from infra.cluster_settings import Compute, Storage
from infra.kubernetes.configuration import digest_of
from infra.kubernetes.container import Container, Disk, Mount
from infra.kubernetes.names import MODEL_VOLUME_LABEL, MODELS_DIRECTORY
from infra.kubernetes.quantities import plus
from infra.kubernetes.workload import UNAWAITED, WorkloadArgs, metadata

VOLUME = "models"
# An init container's patience: a pod may come while another model is still being made.
WAIT_SECONDS = 1800
WAITING = Compute.model_validate({"cpu": "100m", "cpuLimit": "1", "memory": "256Mi"})
PULLING = Compute.model_validate({"cpu": "500m", "cpuLimit": "2", "memory": "512Mi"})


class ModelStore(Protocol):
    """What the Job that makes a model and the pods that serve it have to know of where it is kept."""

    @property
    def on_one_node(self) -> bool:
        """Whether all pods that mount it have to be on the same node."""

    @property
    def pod_labels(self) -> dict[str, str]:
        """Of every pod that mounts it."""

    @property
    def environment(self) -> Mapping[str, pulumi.Input[str]]:
        """Of the Job."""

    @property
    def options(self) -> Sequence[pulumi.Input[str]]:
        """The Job's command line, besides what makes the model."""

    @property
    def facts(self) -> Mapping[str, pulumi.Input[str]]:
        """What stands of it in the Job, whose name tells whether it is another."""

    def claim(self, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> PersistentVolumeClaim | None:
        """The volume, where there is one."""

    def mount(self, *, writable: bool = False) -> Mount:
        """Where it lies in a pod."""

    def disk(self, own: Disk) -> Disk:
        """What a container takes of its node's disk that took ``own`` without a model."""

    def arrival(self, recipe_key: str, args: WorkloadArgs) -> Container:
        """Ends when the recipe's model is in the mount, and is proved to be it."""


def path_of(recipe_key: str) -> str:
    """The link in the store (:mod:`app.models.store`) that leads to the recipe's model: known before the model is."""
    return f"{MODELS_DIRECTORY}/.recipes/{recipe_key}"


@dataclass(frozen=True, kw_only=True)
class VolumeStore:
    """A claim that the Job writes to and all inference pods read from."""

    storage: Storage

    @property
    def on_one_node(self) -> bool:
        return self.storage.model_access == "ReadWriteOnce"

    @property
    def pod_labels(self) -> dict[str, str]:
        return {MODEL_VOLUME_LABEL: "mounted"}

    @property
    def environment(self) -> Mapping[str, pulumi.Input[str]]:
        return {}

    @property
    def options(self) -> Sequence[pulumi.Input[str]]:
        return ()

    @property
    def facts(self) -> Mapping[str, pulumi.Input[str]]:
        return {"claim": self._claim_name}

    @property
    def _claim_name(self) -> str:
        """By what cannot be changed of a claim: another class or access is another volume, filled before the old one goes."""
        return f"models-{digest_of([self.storage.storage_class, self.storage.model_access])[:8]}"

    def claim(self, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> PersistentVolumeClaim:
        return PersistentVolumeClaim(
            "model-claim",
            metadata=metadata("model", namespace, self._claim_name, UNAWAITED),
            spec=PersistentVolumeClaimSpecArgs(
                access_modes=[self.storage.model_access],
                storage_class_name=self.storage.storage_class,
                resources=VolumeResourceRequirementsArgs(requests={"storage": self.storage.model_size}),
            ),
            opts=opts,
        )

    def mount(self, *, writable: bool = False) -> Mount:
        claim = PersistentVolumeClaimVolumeSourceArgs(claim_name=self._claim_name)
        return Mount(volume=VolumeArgs(name=VOLUME, persistent_volume_claim=claim), path=MODELS_DIRECTORY, writable=writable)

    def disk(self, own: Disk) -> Disk:
        return own

    def arrival(self, recipe_key: str, args: WorkloadArgs) -> Container:
        return Container(
            name="verify-model",
            image=args.image,
            command=["python", "-m", "app.models.wait", path_of(recipe_key), "--seconds", str(WAIT_SECONDS)],
            compute=WAITING,
            environment=args.environment,
            mounts=[self.mount()],
        )


@dataclass(frozen=True, kw_only=True)
class BucketStore:
    """``url``: ``s3://<bucket>/<prefix>``. Each pod has a copy of its own, on its node's disk, of up to ``size``; so does the
    Job, which needs room for what it converts from as well."""

    url: pulumi.Input[str]
    region: str
    size: str

    @property
    def on_one_node(self) -> bool:
        return False

    @property
    def pod_labels(self) -> dict[str, str]:
        return {}

    @property
    def environment(self) -> Mapping[str, pulumi.Input[str]]:
        return {"AWS_REGION": self.region}

    @property
    def options(self) -> Sequence[pulumi.Input[str]]:
        return ("--publish", self.url)

    @property
    def facts(self) -> Mapping[str, pulumi.Input[str]]:
        return {"publish": self.url, "region": self.region, "size": self.size}

    def claim(self, _namespace: pulumi.Input[str], _opts: pulumi.ResourceOptions) -> None:
        return None

    def mount(self, *, writable: bool = False) -> Mount:
        copy = EmptyDirVolumeSourceArgs(size_limit=self.size)
        return Mount(volume=VolumeArgs(name=VOLUME, empty_dir=copy), path=MODELS_DIRECTORY, writable=writable)

    def disk(self, own: Disk) -> Disk:
        # The kubelet counts an emptyDir among what the pod's containers may leave on the disk.
        return replace(own, request=plus(own.request, self.size), limit=plus(own.limit, self.size))

    def arrival(self, recipe_key: str, args: WorkloadArgs) -> Container:
        into = ("--into", MODELS_DIRECTORY, "--seconds", str(WAIT_SECONDS))
        return Container(
            name="pull-model",
            image=args.image,
            command=["python", "-m", "app.models.pull", self.url, recipe_key, *into],
            compute=PULLING,
            environment={**self.environment, **args.environment},
            mounts=[self.mount(writable=True)],
            disk=self.disk(Disk()),
        )
