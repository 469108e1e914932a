"""What the addons are made of: versions, the programs that are built, and the manifests that come with their sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tools.kubernetes.golang_build import GoProgram
from tools.kubernetes.programs import MODULES

Name = Literal["kinds", "metrics-server", "keda", "network-policies"]
NAMES: tuple[Name, ...] = get_args(Name)

METRICS_SERVER_VERSION = "v0.9.0"
# Not 2.17: a metrics-api trigger cannot add up the pods of a Service there, and before 2.20.0 it takes all Services of the
# namespace for the one (KEDA #7641).
KEDA_VERSION = "v2.20.2"
KUBE_SCORE_VERSION = "v1.20.0"
PROMETHEUS_OPERATOR_VERSION = "v0.83.0"
GATEWAY_API_VERSION = "v1.4.0"

METRICS_SERVER = "sigs.k8s.io/metrics-server"
KEDA = "github.com/kedacore/keda/v2"
KUBE_SCORE = "github.com/zegl/kube-score"


@dataclass(frozen=True)
class Folder:
    """A folder of manifests in a Go module. `files`: those of it that are wanted, or all of its YAML."""

    module: str
    version: str
    path: str
    files: tuple[str, ...] = ()


METRICS_SERVER_MANIFESTS = Folder(METRICS_SERVER, METRICS_SERVER_VERSION, "manifests/base")
KEDA_MANIFESTS = tuple(
    Folder(KEDA, KEDA_VERSION, f"config/{name}") for name in ("general", "service_account", "rbac", "manager", "metrics-server")
)
KINDS = (
    Folder(KEDA, KEDA_VERSION, "config/crd/bases"),
    Folder(
        "github.com/prometheus-operator/prometheus-operator",
        PROMETHEUS_OPERATOR_VERSION,
        "example/prometheus-operator-crd",
        ("monitoring.coreos.com_servicemonitors.yaml", "monitoring.coreos.com_prometheusrules.yaml"),
    ),
    Folder("sigs.k8s.io/gateway-api", GATEWAY_API_VERSION, "config/crd/standard"),
)
"""Custom kinds that the stack may use. Only KEDA's have a controller here; of the others the API server knows the schema."""


def metrics_server() -> GoProgram:
    variables = {f"{METRICS_SERVER}/pkg/version.gitVersion": METRICS_SERVER_VERSION}
    return GoProgram(
        "metrics-server",
        METRICS_SERVER_VERSION,
        MODULES / "metrics-server",
        (f"{METRICS_SERVER}/cmd/metrics-server",),
        variables,
    )


def keda() -> GoProgram:
    packages = (f"{KEDA}/cmd/operator", f"{KEDA}/cmd/adapter")
    variables = {f"{KEDA}/version.Version": KEDA_VERSION.removeprefix("v")}
    return GoProgram("keda", KEDA_VERSION, MODULES / "keda", packages, variables)


def kube_score() -> GoProgram:
    variables = {"main.version": KUBE_SCORE_VERSION.removeprefix("v")}
    return GoProgram("kube-score", KUBE_SCORE_VERSION, MODULES / "kube-score", (f"{KUBE_SCORE}/cmd/kube-score",), variables)
