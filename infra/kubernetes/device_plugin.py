"""NVIDIA's device plugin, which makes GPUs a resource that pods ask for, on the nodes whose machine image brings none.

One owner a machine image (docs.aws.amazon.com/eks: ml-eks-k8s-device-plugin): with AL2023 it is this DaemonSet, and
Bottlerocket runs its own, which its user data configures. The label :data:`GPU_IMAGE_LABEL` of a pool's nodes keeps the two
apart. The DCGM exporter has one owner as well, the add-on amazon-cloudwatch-observability.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apps.v1 import DaemonSet, DaemonSetSpecArgs
from pulumi_kubernetes.core.v1 import (
    CapabilitiesArgs,
    ConfigMap,
    ConfigMapVolumeSourceArgs,
    ContainerArgs,
    EnvVarArgs,
    HostPathVolumeSourceArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    ResourceRequirementsArgs,
    SeccompProfileArgs,
    SecurityContextArgs,
    ServiceAccount,
    TolerationArgs,
    VolumeArgs,
    VolumeMountArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from infra.aws_settings import GpuPool
from infra.kubernetes.configuration import digest_of
from infra.kubernetes.names import APPLICATION, CONFIGURATION_ANNOTATION, GPU_RESOURCE, GPU_TAINT_KEY, POOL_LABEL
from infra.kubernetes.third_party_images import DEVICE_PLUGIN

NAMESPACE = "kube-system"
# On every GPU node that the stack makes: which machine image it started from.
GPU_IMAGE_LABEL = "assistant/gpu-image"
PLUGIN_NAME = "nvidia-device-plugin"
SOCKETS = "/var/lib/kubelet/device-plugins"
CONFIGURATION_DIRECTORY, CONFIGURATION_FILE = "/etc/nvidia-device-plugin", "config.json"


@dataclass(frozen=True, kw_only=True)
class DevicePluginArgs:
    """``pools``: all of the stack; those that need no plugin are passed over."""

    pools: Sequence[GpuPool]
    image: str = DEVICE_PLUGIN


class DevicePlugin(pulumi.ComponentResource):
    """A DaemonSet for each pool of AL2023 nodes, since pools differ in how they share a GPU. ``ready``: those, to wait for."""

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: DevicePluginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:DevicePlugin", name, {}, opts)
        pools = served(args.pools)
        identities = [self._identity(name)] if pools else []
        self.ready = [self._plugin(name, pool, args.image, identities) for pool in pools]
        self.register_outputs({})

    def _identity(self, name: str) -> ServiceAccount:
        """Of its own, and granted nothing: the one that the namespace's pods share may come to have rights some day."""
        return ServiceAccount(
            f"{name}-identity",
            metadata=ObjectMetaArgs(name=PLUGIN_NAME, namespace=NAMESPACE, labels=_part()),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _plugin(self, name: str, pool: GpuPool, image: str, before: Sequence[pulumi.Resource]) -> DaemonSet:
        own = pulumi.ResourceOptions(parent=self)
        object_name, selector = f"{PLUGIN_NAME}-{pool.name}", _selector(pool)
        labels = {**selector, **_part()}
        text = json.dumps(configuration(pool), sort_keys=True)
        settings = ConfigMap(
            f"{name}-{pool.name}-configuration",
            metadata=ObjectMetaArgs(name=object_name, namespace=NAMESPACE, labels=labels),
            data={CONFIGURATION_FILE: text},
            opts=own,
        )
        return DaemonSet(
            f"{name}-{pool.name}",
            # A pool may have no nodes now: there is nothing to wait for, and the GPU gate proves what there is.
            metadata=ObjectMetaArgs(
                name=object_name, namespace=NAMESPACE, labels=labels, annotations={"pulumi.com/skipAwait": "true"}
            ),
            spec=DaemonSetSpecArgs(
                selector=LabelSelectorArgs(match_labels=selector),
                template=PodTemplateSpecArgs(
                    metadata=ObjectMetaArgs(labels=labels, annotations={CONFIGURATION_ANNOTATION: digest_of(text)}),
                    spec=_pod(pool, image, object_name),
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[settings, *before]),
        )


def served(pools: Sequence[GpuPool]) -> tuple[GpuPool, ...]:
    """The pools whose machine image has no plugin of its own. Pure."""
    return tuple(pool for pool in pools if pool.image == "al2023")


def configuration(pool: GpuPool) -> dict[str, Any]:
    """Of the plugin (github.com/NVIDIA/k8s-device-plugin), JSON being YAML. Pure.

    A sharing pool keeps the resource's name: a pod asks for nvidia.com/gpu wherever it runs.
    """
    document: dict[str, Any] = {"version": "v1", "flags": {"migStrategy": "none", "failOnInitError": True}}
    if pool.time_slices > 1:
        resources = [{"name": GPU_RESOURCE, "replicas": pool.time_slices}]
        document["sharing"] = {
            "timeSlicing": {"renameByDefault": False, "failRequestsGreaterThanOne": True, "resources": resources}
        }
    return document


def _part() -> dict[str, str]:
    return {"app.kubernetes.io/part-of": APPLICATION, "app.kubernetes.io/managed-by": "pulumi"}


def _selector(pool: GpuPool) -> dict[str, str]:
    return {"app.kubernetes.io/name": PLUGIN_NAME, "app.kubernetes.io/instance": pool.name}


def _pod(pool: GpuPool, image: str, configuration_name: str) -> PodSpecArgs:
    return PodSpecArgs(
        node_selector={GPU_IMAGE_LABEL: "al2023", POOL_LABEL: pool.name},
        tolerations=[TolerationArgs(key=GPU_TAINT_KEY, operator="Exists", effect="NoSchedule")],
        priority_class_name="system-node-critical",
        service_account_name=PLUGIN_NAME,
        automount_service_account_token=False,
        enable_service_links=False,
        containers=[
            ContainerArgs(
                name=PLUGIN_NAME,
                image=image,
                env=[EnvVarArgs(name="CONFIG_FILE", value=f"{CONFIGURATION_DIRECTORY}/{CONFIGURATION_FILE}")],
                resources=ResourceRequirementsArgs(
                    requests={"cpu": "20m", "memory": "64Mi", "ephemeral-storage": "32Mi"},
                    limits={"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "256Mi"},  # its log
                ),
                # Its socket lies in a directory of the kubelet's, which is root's; beyond that it needs nothing.
                security_context=SecurityContextArgs(
                    allow_privilege_escalation=False,
                    read_only_root_filesystem=True,
                    capabilities=CapabilitiesArgs(drop=["ALL"]),
                    seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
                ),
                volume_mounts=[
                    VolumeMountArgs(name="sockets", mount_path=SOCKETS),
                    VolumeMountArgs(name="configuration", mount_path=CONFIGURATION_DIRECTORY, read_only=True),
                ],
            )
        ],
        volumes=[
            VolumeArgs(name="sockets", host_path=HostPathVolumeSourceArgs(path=SOCKETS, type="Directory")),
            VolumeArgs(name="configuration", config_map=ConfigMapVolumeSourceArgs(name=configuration_name)),
        ],
    )
