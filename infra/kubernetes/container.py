"""One restricted container: no privileges, nothing to write but what is mounted, every resource bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import (
    CapabilitiesArgs,
    ContainerArgs,
    ContainerPortArgs,
    EnvVarArgs,
    LifecycleArgs,
    LifecycleHandlerArgs,
    ProbeArgs,
    ResourceRequirementsArgs,
    SeccompProfileArgs,
    SecurityContextArgs,
    SleepActionArgs,
    VolumeArgs,
    VolumeMountArgs,
)

from infra.cluster_settings import Compute
from infra.kubernetes.names import GPU_RESOURCE, USER_ID

TEMPORARY = "tmp"


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A volume of the pod, and where the container sees it."""

    volume: VolumeArgs
    path: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True)
class Disk:
    """What a container may leave on its node's disk: logs and ``/tmp`` together up to ``limit``."""

    request: str = "128Mi"
    limit: str = "512Mi"
    temporary: str = "64Mi"


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Three questions apart: has it started, may it be given work, must it be restarted."""

    startup: ProbeArgs
    readiness: ProbeArgs
    liveness: ProbeArgs


@dataclass(frozen=True, kw_only=True)
class Container:
    """``environment`` holds no secret: those are files (``NAME_FILE``). ``ports`` by name.

    ``pre_stop_seconds``: how long it goes on serving after the cluster was told that it ends. No proxy of the cluster knows
    that at once, so a container that stopped at the signal would refuse what is still sent to it.
    """

    name: str
    image: pulumi.Input[str]
    command: Sequence[pulumi.Input[str]]
    compute: Compute
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    probes: Probes | None = None
    disk: Disk = Disk()
    pre_stop_seconds: int = 0
    gpus: int = 0

    def args(self) -> ContainerArgs:
        return ContainerArgs(
            name=self.name,
            image=self.image,
            # What an image's name says never changes: it holds a digest of the content or of all that went into it.
            image_pull_policy="IfNotPresent",
            command=list(self.command),
            env=[EnvVarArgs(name=name, value=value) for name, value in sorted(self.environment.items())] or None,
            ports=[ContainerPortArgs(name=name, container_port=port) for name, port in self.ports.items()] or None,
            resources=self._resources(),
            security_context=SecurityContextArgs(
                allow_privilege_escalation=False,
                privileged=False,
                read_only_root_filesystem=True,
                run_as_non_root=True,
                run_as_user=USER_ID,
                run_as_group=USER_ID,
                capabilities=CapabilitiesArgs(drop=["ALL"]),
                seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
            ),
            startup_probe=self.probes.startup if self.probes else None,
            readiness_probe=self.probes.readiness if self.probes else None,
            liveness_probe=self.probes.liveness if self.probes else None,
            lifecycle=LifecycleArgs(
                pre_stop=LifecycleHandlerArgs(sleep=SleepActionArgs(seconds=self.pre_stop_seconds)),
            )
            if self.pre_stop_seconds
            else None,
            # `kubectl describe pod` then says why it ended: its own report, or its last lines.
            termination_message_policy="FallbackToLogsOnError",
            volume_mounts=[
                VolumeMountArgs(name=TEMPORARY, mount_path="/tmp"),  # noqa: S108 - the container's own
                *(
                    VolumeMountArgs(name=mount.volume.name, mount_path=mount.path, read_only=not mount.writable)
                    for mount in self.mounts
                ),
            ],
        )

    def _resources(self) -> ResourceRequirementsArgs:
        gpus = {GPU_RESOURCE: str(self.gpus)} if self.gpus else {}
        compute, disk = self.compute, self.disk
        return ResourceRequirementsArgs(
            requests={"cpu": compute.cpu, "memory": compute.memory, "ephemeral-storage": disk.request, **gpus},
            limits={"cpu": compute.cpu_limit, "memory": compute.memory, "ephemeral-storage": disk.limit, **gpus},
        )
