"""KEDA's operator and metrics adapter as upstream deploys them, but with a certificate made here: no wait for its rotation.

Triggers of type `metrics-api` that read Prometheus text, as KEDA 2.20 takes them (every value is a string):

One address, any pod of which answers for all::

    type: metrics-api
    metricType: AverageValue           # desired pods = ceil(value / targetValue)
    metadata:
      url: http://gateway-metrics.<namespace>.svc:9090/metrics
      format: prometheus
      valueLocation: assistant_queue_backlog      # a gauge or counter; labels match by equality: name{label="value"}
      targetValue: "20"

The sum over the ready pods of a Service; the host must be `<service>.<namespace>.svc…` (without `.svc` the port would stick to
the namespace), and the port must be the pods' own, as the Service's EndpointSlices list it::

    metadata:
      url: http://inference-metrics.<namespace>.svc:9090/metrics
      …
      aggregateFromKubeServiceEndpoints: "true"
      aggregationType: sum
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from tools.kubernetes.addons import workloads
from tools.kubernetes.addons.certificates import Pair
from tools.kubernetes.addons.sources import Manifest

NAMESPACE = "keda"
OPERATOR = "keda-operator"
ADAPTER = "keda-metrics-apiserver"
DEPLOYMENTS = (OPERATOR, ADAPTER)
SECRET = "kedaorg-certs"  # noqa: S105 - the name that upstream's Deployments mount
API_SERVICE = "v1beta1.external.metrics.k8s.io"
ARGUMENTS: Mapping[str, Sequence[str]] = {
    # One replica: no leader to elect. Its certificates are ours: --enable-cert-rotation stays off.
    OPERATOR: ("--zap-log-level=info", "--zap-encoder=console", "--zap-time-encoding=rfc3339"),
    ADAPTER: (
        "--secure-port=6443",
        "--zap-log-level=error",
        "--client-ca-file=/certs/ca.crt",
        "--tls-cert-file=/certs/tls.crt",
        "--tls-private-key-file=/certs/tls.key",
        "--cert-dir=/certs",
    ),
}


def objects(upstream: Sequence[Manifest], images: Mapping[str, str], pair: Pair) -> list[Manifest]:
    """What to apply. `upstream` is config/ of its sources; `images` by the Deployment's name."""
    mark = {"assistant/certificate": hashlib.sha256(pair.certificate).hexdigest()[:16]}

    def deployment(given: Manifest) -> Manifest:
        name = given["metadata"]["name"]
        return workloads.with_program(given, images[name], ARGUMENTS[name], mark)

    kept = [each for each in upstream if each["kind"] != "Kustomization"]
    changed = workloads.replaced(kept, "Deployment", deployment)
    changed = workloads.replaced(changed, "APIService", lambda given: workloads.with_authority(given, pair.bundle()))
    namespaces = [each for each in changed if each["kind"] == "Namespace"]
    return [*namespaces, pair.secret(SECRET, NAMESPACE), *(each for each in changed if each["kind"] != "Namespace")]
