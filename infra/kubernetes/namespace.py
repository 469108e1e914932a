"""The stack's own namespace, where nothing runs that Pod Security ``restricted`` would refuse.

No ResourceQuota: every pod states its requests and limits, and the autoscalers bound their number. A quota would have to be
raised with each of those settings, and would stop a rolling update half-way where it was not.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.core.v1 import Namespace as KubernetesNamespace
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra.kubernetes.names import APPLICATION

# The oldest that runs the stack (a container's `sleep` hook). What is enforced stays as it was tried when the cluster is
# upgraded; warnings and the audit log follow the newest form of the standard.
OLDEST_KUBERNETES = "v1.30"
POD_SECURITY = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": OLDEST_KUBERNETES,
    "pod-security.kubernetes.io/audit": "restricted",
    "pod-security.kubernetes.io/audit-version": "latest",
    "pod-security.kubernetes.io/warn": "restricted",
    "pod-security.kubernetes.io/warn-version": "latest",
}


class Namespace(pulumi.ComponentResource):
    """``namespace_name``: what everything in it is told to go to; it is known once the namespace is there.

    ``more_labels``: what others look for on a namespace, for example a webhook that is to see its pods.
    """

    namespace_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        namespace: str,
        opts: pulumi.ResourceOptions | None = None,
        *,
        more_labels: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__("assistant:kubernetes:Namespace", name, {}, opts)
        self.namespace = KubernetesNamespace(
            name,
            metadata=ObjectMetaArgs(
                name=namespace,
                labels={
                    "app.kubernetes.io/part-of": APPLICATION,
                    "app.kubernetes.io/managed-by": "pulumi",
                    **POD_SECURITY,
                    **(more_labels or {}),
                },
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.namespace_name = self.namespace.metadata.name
        self.register_outputs({"namespace": self.namespace_name})
