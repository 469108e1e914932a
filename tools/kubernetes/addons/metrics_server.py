"""metrics-server as upstream deploys it, but with a certificate that is checked: the CPU of pods, for autoscalers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tools.kubernetes.addons import workloads
from tools.kubernetes.addons.certificates import Pair
from tools.kubernetes.addons.sources import Manifest

NAMESPACE = "kube-system"
NAME = "metrics-server"
LABELS = {"k8s-app": NAME}  # upstream's kustomization adds it
SECRET = "metrics-server-certificate"  # noqa: S105 - a name
API_SERVICE = "v1beta1.metrics.k8s.io"
RESOLUTION = "10s"  # the shortest that it allows; the default is 60s
KUBELET_TIMEOUT = "5s"  # must be shorter
PORT = 10250


def arguments(*, kubelet_authority: bool) -> list[str]:
    """`kubelet_authority`: the cluster's own authority signs its kubelets' serving certificates. kind's sign themselves."""
    trust = "--kubelet-certificate-authority=/cluster/ca.crt" if kubelet_authority else "--kubelet-insecure-tls"
    return [
        f"--secure-port={PORT}",
        "--tls-cert-file=/certificate/tls.crt",
        "--tls-private-key-file=/certificate/tls.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-use-node-status-port",
        f"--metric-resolution={RESOLUTION}",
        f"--kubelet-request-timeout={KUBELET_TIMEOUT}",
        trust,
    ]


def objects(upstream: Sequence[Manifest], image: str, pair: Pair, *, kubelet_authority: bool) -> list[Manifest]:
    """What to apply: `upstream` is manifests/base of its sources."""
    mark = {"assistant/certificate": hashlib.sha256(pair.certificate).hexdigest()[:16]}

    def deployment(given: Manifest) -> Manifest:
        result = workloads.with_program(given, image, arguments(kubelet_authority=kubelet_authority), mark)
        result["metadata"]["labels"] = LABELS
        result["spec"]["selector"] = {"matchLabels": LABELS}
        template = result["spec"]["template"]
        template["metadata"]["labels"] = LABELS
        pod = template["spec"]
        pod["volumes"] += [
            {"name": "certificate", "secret": {"secretName": SECRET}},
            {"name": "cluster", "configMap": {"name": "kube-root-ca.crt"}},
        ]
        pod["containers"][0]["volumeMounts"] += [
            {"name": "certificate", "mountPath": "/certificate", "readOnly": True},
            {"name": "cluster", "mountPath": "/cluster", "readOnly": True},
        ]
        return result

    def service(given: Manifest) -> Manifest:
        given["spec"]["selector"] = LABELS
        return given

    changed = workloads.replaced(upstream, "Deployment", deployment)
    changed = workloads.replaced(changed, "Service", service)
    changed = workloads.replaced(changed, "APIService", lambda given: workloads.with_authority(given, pair.bundle()))
    return [pair.secret(SECRET, NAMESPACE), *changed]
