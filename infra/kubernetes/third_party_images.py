"""What of other people's runs in a cluster of the stack's own, each by tag and digest of its index: one table.

The digests were looked up on 2026-11-24 in what public repositories recorded of the registries, not in the registries
themselves: the autoscaler's of 1.35 and the load balancer controller's stand in several of them alike, the device plugin's in
two, the autoscaler's of 1.36 in one. A pull by a wrong digest fails; it never brings something else. Networks that reach none
of these registries mirror them and give the components another image.
"""

from __future__ import annotations

from infra.errors import DeploymentError

# github.com/kubernetes/autoscaler: its minor version is that of the cluster.
CLUSTER_AUTOSCALER: dict[str, str] = {
    # No digest was to be found for this one, whose version of Kubernetes ends on 2026-12-02.
    "1.34": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.5",
    "1.35": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.2"
    "@sha256:aac369dc283927a623deb1af54696efcc722ae79255aa07788422e495bab887d",
    "1.36": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.1"
    "@sha256:461388d03eb5b55db58941ee7a81d9a619dd15302b01cbab9f5a9946715994b4",
}
# github.com/kubernetes-sigs/aws-load-balancer-controller
LOAD_BALANCER_CONTROLLER = (
    "public.ecr.aws/eks/aws-load-balancer-controller:v3.5.0"
    "@sha256:298acdff5a571731276aaea3d5cc450a264e4ad710a5bddf3e518f68a3f9f6cb"
)
# github.com/NVIDIA/k8s-device-plugin
DEVICE_PLUGIN = (
    "nvcr.io/nvidia/k8s-device-plugin:v0.18.2@sha256:b5788e29e7ae5272de8de863ebe386d6611e608421a6ecc5b4e7d5952aba637f"
)


def cluster_autoscaler(version: str) -> str:
    """For a cluster of ``version``. Raises :class:`DeploymentError` where the table has none."""
    if version not in CLUSTER_AUTOSCALER:
        raise DeploymentError(
            f"There is no Cluster Autoscaler for Kubernetes {version} in infra/kubernetes/third_party_images.py. It has "
            f"those for {', '.join(CLUSTER_AUTOSCALER)}."
        )
    return CLUSTER_AUTOSCALER[version]
