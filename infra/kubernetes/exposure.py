"""The way in: the Service ``gateway``, and an Ingress or a route of the Gateway API in front of it.

The gateway speaks TLS whoever stands before it. A controller therefore ends TLS, and encrypts again towards the pod; where
the stack's own authority signed the pod's certificate, the controller is told which one, so that it need not trust blindly.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import ConfigMap, Secret, Service, ServicePortArgs, ServiceSpecArgs
from pulumi_kubernetes.core.v1.outputs import ServiceStatus
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import (
    HTTPIngressPathArgs,
    HTTPIngressRuleValueArgs,
    Ingress,
    IngressBackendArgs,
    IngressRuleArgs,
    IngressServiceBackendArgs,
    IngressSpecArgs,
    IngressTLSArgs,
    ServiceBackendPortArgs,
)

from infra.cluster_settings import Exposure as ExposureSettings
from infra.kubernetes.names import GATEWAY_PORT, labels, selector
from infra.settings import Settings

NAME = "gateway"
HTTPS_PORT = 443
AUTHORITY = "gateway-authority"
AUTHORITY_KEY = "ca.crt"
# Above INFERENCE_TIMEOUT_SECONDS (app/settings.py): the gateway, which can say why, gives up first.
TIMEOUT_SECONDS = 90
_GATEWAY_API = "gateway.networking.k8s.io/v1"


@dataclass(frozen=True, kw_only=True)
class ExposureArgs:
    """``ca_certificate``: PEM of the authority that signed the pods' certificate; None: a public one did.
    ``tls_secret``: the name of the Secret with that certificate, which an Ingress shows to the world as well."""

    namespace: pulumi.Input[str]
    settings: Settings
    ca_certificate: pulumi.Input[str] | None
    tls_secret: pulumi.Input[str] | None


class Exposure(pulumi.ComponentResource):
    """``url``: where people reach the gateway."""

    url: pulumi.Output[str]

    def __init__(self, name: str, args: ExposureArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:Exposure", name, {}, opts)
        self._name, self._args, self._exposure = name, args, args.settings.exposure
        self._child = pulumi.ResourceOptions(parent=self)
        # The name that the pods' certificate is certain to carry.
        self._inner_name = pulumi.Output.concat(NAME, ".", args.namespace, ".svc")
        self.service = self._service()
        if self._exposure.kind == "ingress":
            self._ingress()
        elif self._exposure.kind == "gateway":
            self._route()
        # Not the status itself among all(), which would make an untyped dictionary of it.
        balancer = self.service.status.apply(balancer_address)
        self.url = pulumi.Output.all(self._inner_name, balancer).apply(lambda known: url(self._exposure, *known))
        self.register_outputs({"url": self.url})

    def _metadata(self, name: str, annotations: dict[str, pulumi.Input[str]] | None = None) -> ObjectMetaArgs:
        return ObjectMetaArgs(name=name, namespace=self._args.namespace, labels=labels("gateway"), annotations=annotations)

    def _service(self) -> Service:
        port = ServicePortArgs(
            name="https",
            port=HTTPS_PORT,
            target_port=GATEWAY_PORT,
            app_protocol="https",
            node_port=self._exposure.node_port,
        )
        return Service(
            f"{self._name}-service",
            metadata=self._metadata(NAME),
            spec=ServiceSpecArgs(type=self._exposure.service_type, selector=selector("gateway"), ports=[port]),
            opts=self._child,
        )

    def _ingress(self) -> None:
        host = self._exposure.host
        authority = self._args.ca_certificate
        if authority is not None:
            Secret(
                f"{self._name}-authority",
                metadata=self._metadata(AUTHORITY),
                string_data={AUTHORITY_KEY: authority},
                opts=self._child,
            )
        backend = IngressBackendArgs(
            service=IngressServiceBackendArgs(name=NAME, port=ServiceBackendPortArgs(number=HTTPS_PORT))
        )
        paths = [HTTPIngressPathArgs(path="/", path_type="Prefix", backend=backend)]
        Ingress(
            f"{self._name}-ingress",
            metadata=self._metadata(NAME, self._nginx_annotations()),
            spec=IngressSpecArgs(
                ingress_class_name=self._exposure.ingress_class,
                tls=[IngressTLSArgs(hosts=[host] if host else [], secret_name=self._args.tls_secret)],
                rules=[IngressRuleArgs(host=host, http=HTTPIngressRuleValueArgs(paths=paths))],
            ),
            opts=self._child,
        )

    def _nginx_annotations(self) -> dict[str, pulumi.Input[str]]:
        """For ingress-nginx, which takes no hint from ``appProtocol``; other controllers pass over them."""
        prefix = "nginx.ingress.kubernetes.io"
        annotations: dict[str, pulumi.Input[str]] = {
            f"{prefix}/backend-protocol": "HTTPS",
            f"{prefix}/proxy-read-timeout": str(TIMEOUT_SECONDS),
        }
        if self._args.ca_certificate is not None:
            annotations |= {
                f"{prefix}/proxy-ssl-secret": pulumi.Output.concat(self._args.namespace, "/", AUTHORITY),
                f"{prefix}/proxy-ssl-verify": "on",
                f"{prefix}/proxy-ssl-name": self._inner_name,
                f"{prefix}/proxy-ssl-server-name": "on",
                f"{prefix}/proxy-ssl-protocols": "TLSv1.2 TLSv1.3",
            }
        return annotations

    def _route(self) -> None:
        exposure = self._exposure
        if self._args.ca_certificate is not None:
            ConfigMap(
                f"{self._name}-authority",
                metadata=self._metadata(AUTHORITY),
                data={AUTHORITY_KEY: self._args.ca_certificate},
                opts=self._child,
            )
        CustomResource(
            f"{self._name}-route",
            api_version=_GATEWAY_API,
            kind="HTTPRoute",
            metadata=self._metadata(NAME),
            spec=http_route(exposure),
            opts=self._child,
        )
        CustomResource(
            f"{self._name}-backend-tls",
            api_version=_GATEWAY_API,
            kind="BackendTLSPolicy",
            metadata=self._metadata(NAME),
            spec={
                "targetRefs": [{"group": "", "kind": "Service", "name": NAME}],
                "validation": {"hostname": exposure.host, "wellKnownCACertificates": "System"}
                if self._args.ca_certificate is None
                else {
                    "hostname": self._inner_name,
                    "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": AUTHORITY}],
                },
            },
            opts=self._child,
        )


def http_route(exposure: ExposureSettings) -> dict[str, Any]:
    """Everything of the host, from the Gateway that the settings name."""
    namespace, gateway = (exposure.gateway or "/").split("/")
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [{"name": NAME, "port": HTTPS_PORT}],
        "timeouts": {"request": f"{TIMEOUT_SECONDS}s"},
    }
    # The Gateway API takes names alone; without one, the route serves whatever its Gateway lets in.
    names = {} if exposure.host is None or _is_address(exposure.host) else {"hostnames": [exposure.host]}
    return {"parentRefs": [{"namespace": namespace, "name": gateway}], **names, "rules": [rule]}


def url(exposure: ExposureSettings, inner_name: str, balancer: str | None) -> str:
    """``balancer``: the address that a load balancer was given, if it has one yet."""
    host = exposure.host or balancer or inner_name
    bracketed = f"[{host}]" if ":" in host else host
    port = f":{exposure.node_port}" if exposure.service_type == "NodePort" else ""
    return f"https://{bracketed}{port}"


def balancer_address(status: ServiceStatus | None) -> str | None:
    entries = status.load_balancer.ingress if status and status.load_balancer else None
    return (entries[0].hostname or entries[0].ip) if entries else None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
