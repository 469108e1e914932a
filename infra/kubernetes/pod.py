"""The one shape of every pod: Pod Security ``restricted``, no token, no environment of its neighbours, an orderly end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi
from pulumi_kubernetes.core.v1 import (
    EmptyDirVolumeSourceArgs,
    LocalObjectReferenceArgs,
    PodSecurityContextArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    SeccompProfileArgs,
    VolumeArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.kubernetes.configuration import configuration_hash
from infra.kubernetes.container import TEMPORARY, Container
from infra.kubernetes.model_store import ModelStore
from infra.kubernetes.names import CONFIGURATION_ANNOTATION, METRICS_PORT, USER_ID, Part, labels
from infra.kubernetes.placement import affinity, spread, tolerations
from infra.kubernetes.priority import class_name
from infra.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Pod:
    """``reads``: by name, a digest of each thing that the pod reads from elsewhere, a Secret or a ConfigMap.

    ``models``: where they are kept, of a pod that has them mounted.
    ``grace_seconds``: from the order to stop to the kill; longer than everything that the container does in between.
    """

    part: Part
    settings: Settings
    container: Container
    grace_seconds: int
    init: Sequence[Container] = ()
    reads: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    restart: Literal["Always", "Never"] = "Always"
    models: ModelStore | None = None

    def template(self) -> PodTemplateSpecArgs:
        settings, part, models = self.settings, self.part, self.models
        pull_secret = settings.images.pull_secret
        return PodTemplateSpecArgs(
            metadata=ObjectMetaArgs(
                labels={**labels(part), **(models.pod_labels if models else {})}, annotations=self._annotations() or None
            ),
            spec=PodSpecArgs(
                service_account_name=part,
                automount_service_account_token=False,
                enable_service_links=False,  # REDIS_PORT=tcp://… of a Service would pass for a setting
                security_context=PodSecurityContextArgs(
                    run_as_non_root=True,
                    run_as_user=USER_ID,
                    run_as_group=USER_ID,
                    fs_group=USER_ID,
                    # A volume of gigabytes is not walked through again at every start.
                    fs_group_change_policy="OnRootMismatch",
                    seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
                ),
                priority_class_name=class_name(settings.cluster.namespace, part),
                image_pull_secrets=[LocalObjectReferenceArgs(name=pull_secret)] if pull_secret else None,
                init_containers=[container.args() for container in self.init] or None,
                containers=[self.container.args()],
                volumes=self._volumes(),
                restart_policy=self.restart,
                termination_grace_period_seconds=self.grace_seconds,
                affinity=affinity(part, settings, models),
                tolerations=tolerations(part, settings, models),
                topology_spread_constraints=spread(part, models),
            ),
        )

    def _annotations(self) -> dict[str, pulumi.Input[str]]:
        annotations: dict[str, pulumi.Input[str]] = {}
        if self.reads:
            annotations[CONFIGURATION_ANNOTATION] = configuration_hash(self.reads)
        if "metrics" in self.container.ports and not self.settings.monitoring.prometheus_operator:
            annotations |= {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(METRICS_PORT),
                "prometheus.io/path": "/metrics",
            }
        return annotations

    def _volumes(self) -> list[VolumeArgs]:
        mounts = [mount for container in (*self.init, self.container) for mount in container.mounts]
        temporary = VolumeArgs(name=TEMPORARY, empty_dir=EmptyDirVolumeSourceArgs(size_limit=self.container.disk.temporary))
        return [temporary, *{str(mount.volume.name): mount.volume for mount in mounts}.values()]
