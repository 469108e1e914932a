"""Tenants and roles as pods read them: a ConfigMap that gateway and worker have mounted, and so see change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.access import AccessFiles
from infra.errors import DeploymentError
from infra.kubernetes.container import Mount
from infra.kubernetes.files import ACCESS, access_key, access_mount, tenant_secrets_mount
from infra.kubernetes.names import ACCESS_DIRECTORY, APPLICATION
from infra.kubernetes.trust import LARGEST_CONFIG_MAP


@dataclass(frozen=True)
class PodAccess:
    """What a pod has of ``files``; nothing where there are none. Raises :class:`DeploymentError` where they are too large.
    ``secret``: the user's own Secret, to whose files they refer."""

    files: AccessFiles = field(default_factory=AccessFiles)
    secret: str | None = None

    @property
    def texts(self) -> Mapping[str, str]:
        texts = self.files.carried()
        if (size := sum(len(text.encode()) for text in texts.values())) > LARGEST_CONFIG_MAP:
            raise DeploymentError(
                f"assistant:access has {size} bytes with the tenants' task libraries; {LARGEST_CONFIG_MAP} fit into a "
                "ConfigMap. Nothing was changed."
            )
        return texts

    def environment(self) -> dict[str, str]:
        return self.files.environment_in(ACCESS_DIRECTORY)

    def mounts(self) -> list[Mount]:
        mounts = [access_mount(self.texts)] if self.environment() else []
        return [*mounts, tenant_secrets_mount(self.secret)] if self.secret else mounts

    def made(self, name: str, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        """The ConfigMap, where there is something for it."""
        if not self.environment():
            return []
        data: dict[str, Any] = {access_key(path): text for path, text in self.texts.items()}
        metadata = ObjectMetaArgs(
            name=ACCESS,
            namespace=namespace,
            labels={"app.kubernetes.io/part-of": APPLICATION, "app.kubernetes.io/managed-by": "pulumi"},
        )
        return [ConfigMap(name, metadata=metadata, data=data, opts=opts)]
