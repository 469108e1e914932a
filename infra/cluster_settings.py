"""The settings that only a Kubernetes target reads: where the cluster is, what runs there and how much of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from infra.section import Allowed, Defaults, Host, Section

# A DNS label (RFC 1123), which is what Kubernetes takes for a namespace, a Secret and most else.
_Label = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"), Allowed("lower case letters, digits and dashes, at most 63")
]
# Kubernetes' resource quantities, in the forms that people write.
_QUANTITY = r"^[1-9][0-9]*(\.[0-9]+)?(k|M|G|T|Ki|Mi|Gi|Ti)$"
_Cpu = Annotated[str, Field(pattern=r"^([1-9][0-9]*m|[0-9]+(\.[0-9]+)?)$"), Allowed("cores: 2, 0.5 or 500m")]
_Bytes = Annotated[str, Field(pattern=_QUANTITY), Allowed("bytes: 512Mi, 10Gi")]
_Replicas = Annotated[int, Field(ge=0, le=1000), Allowed("a whole number from 0 to 1000")]
_Digest = Annotated[
    str,
    Field(pattern=r"^[^\s@]+@sha256:[0-9a-f]{64}$"),
    Allowed("a published image by its digest: registry/name@sha256:<64 hexadecimal digits>"),
]


def _own_namespace(value: str) -> str:
    if value == "default" or value.startswith("kube-"):
        raise ValueError("that namespace is everybody's: the stack's own is made by up, restricted, and removed by destroy")
    return value


class Cluster(Section):
    """Which cluster, and where in it. The namespace is this stack's own: it is made and removed with it."""

    context: Annotated[str | None, Allowed("a context of your kubeconfig; left out: the current one")] = None
    namespace: Annotated[_Label, AfterValidator(_own_namespace)] = "assistant"
    # For networks that re-sign TLS: mounted into what calls out (the model Job, the worker), never baked into an image.
    certificate_authorities: Annotated[
        Path | None, AfterValidator(lambda path: path and path.expanduser()), Allowed("the path of a PEM file on this machine")
    ] = None


class Images(Section):
    """Published images by digest, or built by the stack from this checkout.

    What is built is pushed to ``registry``; without one it is handed to the cluster itself, where that is kind, minikube or
    the one of ``make cluster``.
    """

    registry: Annotated[
        str | None, Field(pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$"), Allowed("registry.example.com/team")
    ] = None
    gateway: _Digest | None = None  # gateway and worker
    transport: _Digest | None = None  # Slack's Socket Mode and Feishu's long connection, where they are chosen
    inference: _Digest | None = None  # inference and the model Job; the GPU variant where inference.device is cuda
    redis: _Digest | None = None
    pull_secret: Annotated[_Label | None, Allowed("the name of a Secret of type dockerconfigjson in the namespace")] = None


class Exposure(Section):
    """How people and platforms reach the gateway. It ends TLS itself, behind an Ingress or a Gateway as well."""

    kind: Annotated[Literal["service", "ingress", "gateway"], Allowed("service, ingress or gateway")] = "service"
    service_type: Annotated[
        Literal["ClusterIP", "NodePort", "LoadBalancer"], Allowed("ClusterIP, NodePort or LoadBalancer")
    ] = "ClusterIP"
    node_port: Annotated[int | None, Field(ge=30000, le=32767), Allowed("a port from 30000 to 32767")] = None
    host: Annotated[Host | None, Allowed("a host name or an IP address")] = None
    ingress_class: _Label | None = None
    gateway: Annotated[str | None, Field(pattern=r"^[a-z0-9.-]+/[a-z0-9.-]+$"), Allowed("the Gateway's <namespace>/<name>")] = (
        None
    )
    # What traffic comes from, for the network policy; left out: anywhere.
    controller_namespace: Annotated[_Label | None, Allowed("the namespace of the Ingress or Gateway controller")] = None
    tls_secret: Annotated[
        _Label | None, Allowed("a Secret of type kubernetes.io/tls in the namespace; left out: the stack's own authority signs")
    ] = None

    @model_validator(mode="after")
    def _complete(self) -> Exposure:
        if self.kind != "service" and self.host is None:
            raise ValueError(f"exposure.kind {self.kind} needs exposure.host, the name that people reach")
        if self.kind != "service" and self.service_type != "ClusterIP":
            raise ValueError(f"exposure.kind {self.kind} needs exposure.serviceType ClusterIP: there is one way in")
        if self.kind == "gateway" and self.gateway is None:
            raise ValueError("exposure.kind gateway needs exposure.gateway, the <namespace>/<name> of the Gateway to attach to")
        if self.node_port is not None and self.service_type == "ClusterIP":
            raise ValueError("exposure.nodePort needs exposure.serviceType NodePort or LoadBalancer")
        if self.service_type == "NodePort" and (self.host is None or self.node_port is None):
            raise ValueError("exposure.serviceType NodePort needs exposure.host, a node's address, and exposure.nodePort")
        if self.kind == "ingress" and self.host is not None and re.fullmatch(r"[0-9.]+|.*:.*", self.host):
            raise ValueError("an Ingress routes by name: exposure.host must not be an IP address")
        return self


class Storage(Section):
    """Volumes. ``ReadWriteOnce`` keeps all inference pods on one node; more nodes need ``ReadWriteMany``."""

    storage_class: Annotated[_Label | None, Allowed("a StorageClass; left out: the cluster's default")] = None
    model_access: Annotated[Literal["ReadWriteOnce", "ReadWriteMany"], Allowed("ReadWriteOnce or ReadWriteMany")] = (
        "ReadWriteOnce"
    )
    model_size: _Bytes = "10Gi"
    redis_size: _Bytes = "5Gi"


class Redis(Section):
    """The queue's store: the stack's own StatefulSet, or one of yours (``noeviction``, append-only file with fsync always)."""

    # The password, if any, is not part of it: secrets never stand in a setting.
    url: Annotated[
        str | None, Field(pattern=r"^rediss?://[^\s@/]+(/[0-9]+)?$"), Allowed("redis://host:port or rediss://host:port")
    ] = None
    password_secret: Annotated[
        _Label | None, Allowed("a Secret in the namespace whose key `password` opens the external Redis")
    ] = None
    cluster: Annotated[bool, Allowed("true where it speaks the cluster protocol")] = False

    @model_validator(mode="after")
    def _external_only(self) -> Redis:
        if self.url is None and (self.password_secret or self.cluster):
            raise ValueError("redis.passwordSecret and redis.cluster describe an external Redis: set redis.url as well")
        return self


class Compute(Section):
    """What one pod asks for and may use. Memory is asked for as it is limited, so that no neighbour can take it."""

    cpu: _Cpu
    cpu_limit: _Cpu
    memory: _Bytes

    @model_validator(mode="after")
    def _within_its_limit(self) -> Compute:
        if _millicores(self.cpu) > _millicores(self.cpu_limit):
            raise ValueError(f"cpu ({self.cpu}) must not be above cpuLimit ({self.cpu_limit})")
        return self


def _millicores(cpu: str) -> float:
    return float(cpu.removesuffix("m")) if cpu.endswith("m") else float(cpu) * 1000


def _compute(cpu: str, cpu_limit: str, memory: str) -> Compute:
    return Compute.model_validate({"cpu": cpu, "cpuLimit": cpu_limit, "memory": memory})


class Resources(Defaults):
    gateway: Compute = _compute("250m", "1", "384Mi")
    worker: Compute = _compute("250m", "1", "384Mi")
    inference: Compute = _compute("2", "4", "2Gi")
    model: Compute = _compute("1", "4", "4Gi")
    redis: Compute = _compute("100m", "1", "1Gi")
    gpus: Annotated[int, Field(ge=1, le=8), Allowed("GPUs a pod, from 1 to 8; read where inference.device is cuda")] = 1


class Bounds(Section):
    """``target``: what one pod should have to do — CPU in percent of its request for the gateway, events of the backlog for
    a worker, waiting requests for inference."""

    minimum: _Replicas
    maximum: _Replicas
    target: Annotated[int, Field(ge=1, le=100_000), Allowed("a whole number from 1")]

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if self.maximum < max(self.minimum, 1):
            raise ValueError(f"maximum ({self.maximum}) must be at least 1 and not below minimum ({self.minimum})")
        return self


class Autoscaling(Defaults):
    """``keda`` scales workers by the backlog and inference by its queue; without it, both follow their CPU like the gateway."""

    keda: Annotated[bool, Allowed("true where KEDA is installed in the cluster; the stack does not install it")] = False
    keda_namespace: _Label = "keda"
    gateway: Bounds = Bounds(minimum=2, maximum=6, target=70)
    worker: Bounds = Bounds(minimum=1, maximum=10, target=20)
    inference: Bounds = Bounds(minimum=1, maximum=4, target=4)
    polling_seconds: Annotated[int, Field(ge=1, le=300), Allowed("seconds, from 1 to 300")] = 10
    # Before a pod is taken away: the load must have been lower for so long.
    scale_down_seconds: Annotated[int, Field(ge=0, le=3600), Allowed("seconds, from 0 to 3600")] = 300


class Monitoring(Section):
    """ServiceMonitor and PrometheusRule are kinds of the Prometheus operator; without it the pods carry scrape annotations."""

    prometheus_operator: Annotated[bool, Allowed("true where the Prometheus operator's kinds are installed")] = False
    namespace: Annotated[_Label, Allowed("the namespace that Prometheus scrapes from")] = "monitoring"
