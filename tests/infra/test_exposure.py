"""The ways in: a Service, an Ingress, a route of the Gateway API; and the address that people are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.kubernetes.exposure import Exposure, ExposureArgs, url
from infra.settings import Settings

MakeSettings = Callable[..., Settings]
INGRESS = {"kind": "ingress", "host": "chat.example.com", "ingressClass": "nginx"}
GATEWAY = {"kind": "gateway", "host": "chat.example.com", "gateway": "edge/public"}


@pytest.fixture
def render(kubernetes_objects: Any, cluster_settings: MakeSettings) -> Callable[..., Any]:
    async def render(exposure: dict[str, Any], ca_certificate: str | None = "PEM") -> tuple[Any, str]:
        args = ExposureArgs(
            namespace="team-a",
            settings=cluster_settings(exposure=exposure),
            ca_certificate=ca_certificate,
            tls_secret="gateway-certificate",
        )
        addresses: list[str] = []
        objects = await kubernetes_objects.rendered(lambda: Exposure("exposure", args).url.apply(addresses.append))
        return objects, addresses[0]

    return render


async def test_the_service_leads_to_the_gateways_https_port_and_says_it_is_https(render: Any) -> None:
    objects, _ = await render({})
    assert objects.keys() == {"Service"}
    spec = objects["Service"]["gateway"]["spec"]
    assert spec["type"] == "ClusterIP"
    assert spec["selector"]["app.kubernetes.io/name"] == "gateway"
    assert spec["ports"] == [{"name": "https", "port": 443, "targetPort": 8443, "appProtocol": "https"}]


async def test_a_node_port_is_the_one_asked_for(render: Any) -> None:
    objects, address = await render({"serviceType": "NodePort", "host": "10.88.77.1", "nodePort": 30443})
    spec = objects["Service"]["gateway"]["spec"]
    assert (spec["type"], spec["ports"][0]["nodePort"]) == ("NodePort", 30443)
    assert address == "https://10.88.77.1:30443"


@pytest.mark.parametrize(
    ("ingress", "address"),
    [
        ([{"ip": "203.0.113.9"}], "https://203.0.113.9"),
        ([{"ip": "2001:db8::9"}], "https://[2001:db8::9]"),
        ([{"hostname": "lb.example.net"}], "https://lb.example.net"),
        ([], "https://gateway.team-a.svc"),
    ],
)
async def test_the_address_of_a_load_balancer_is_what_the_cluster_gave_it(
    render: Any, kubernetes_objects: Any, ingress: list[dict[str, str]], address: str
) -> None:
    kubernetes_objects.status["Service"] = {"loadBalancer": {"ingress": ingress}}
    assert (await render({"serviceType": "LoadBalancer"}))[1] == address


@pytest.mark.parametrize(
    ("exposure", "address"),
    [
        ({}, "https://gateway.team-a.svc"),
        ({"host": "chat.example.com"}, "https://chat.example.com"),
        ({"serviceType": "LoadBalancer", "host": "chat.example.com"}, "https://chat.example.com"),
        ({"serviceType": "NodePort", "host": "fd00::1", "nodePort": 30443}, "https://[fd00::1]:30443"),
        (INGRESS, "https://chat.example.com"),
        (GATEWAY, "https://chat.example.com"),
    ],
)
def test_people_are_told_the_host_they_were_promised(
    cluster_settings: MakeSettings, exposure: dict[str, Any], address: str
) -> None:
    assert url(cluster_settings(exposure=exposure).exposure, "gateway.team-a.svc", None) == address


async def test_an_ingress_ends_tls_with_the_given_certificate(render: Any) -> None:
    objects, _ = await render(INGRESS)
    spec = objects["Ingress"]["gateway"]["spec"]
    assert spec["ingressClassName"] == "nginx"
    assert spec["tls"] == [{"hosts": ["chat.example.com"], "secretName": "gateway-certificate"}]
    (rule,) = spec["rules"]
    assert rule["host"] == "chat.example.com"
    assert rule["http"]["paths"] == [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "gateway", "port": {"number": 443}}}}
    ]


async def test_an_ingress_encrypts_again_and_verifies_the_pod(render: Any) -> None:
    objects, _ = await render(INGRESS)
    annotations = {
        key.removeprefix("nginx.ingress.kubernetes.io/"): value
        for key, value in objects["Ingress"]["gateway"]["metadata"]["annotations"].items()
    }
    assert annotations["backend-protocol"] == "HTTPS"
    assert annotations["proxy-ssl-verify"] == "on"
    assert annotations["proxy-ssl-secret"] == "team-a/gateway-authority"
    assert annotations["proxy-ssl-name"] == "gateway.team-a.svc"
    assert "TLSv1.1" not in annotations["proxy-ssl-protocols"].split()
    assert objects["Secret"]["gateway-authority"]["stringData"]["value"] == {"ca.crt": "PEM"}


async def test_with_a_public_certificate_an_ingress_has_no_authority_to_check_by(render: Any) -> None:
    objects, _ = await render(INGRESS, None)
    assert "Secret" not in objects
    annotations = objects["Ingress"]["gateway"]["metadata"]["annotations"]
    assert "nginx.ingress.kubernetes.io/proxy-ssl-secret" not in annotations
    assert annotations["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTPS"


async def test_a_route_attaches_to_the_gateway_that_the_settings_name(render: Any) -> None:
    objects, _ = await render(GATEWAY)
    route = objects["HTTPRoute"]["gateway"]
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert route["spec"]["parentRefs"] == [{"namespace": "edge", "name": "public"}]
    assert route["spec"]["hostnames"] == ["chat.example.com"]
    assert route["spec"]["rules"][0]["backendRefs"] == [{"name": "gateway", "port": 443}]


async def test_a_gateway_by_address_routes_without_a_name(render: Any) -> None:
    objects, _ = await render({**GATEWAY, "host": "203.0.113.9"})
    assert "hostnames" not in objects["HTTPRoute"]["gateway"]["spec"]


async def test_a_gateway_verifies_the_pod_by_the_stacks_authority(render: Any) -> None:
    objects, _ = await render(GATEWAY)
    spec = objects["BackendTLSPolicy"]["gateway"]["spec"]
    assert spec["targetRefs"] == [{"group": "", "kind": "Service", "name": "gateway"}]
    assert spec["validation"] == {
        "hostname": "gateway.team-a.svc",
        "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "gateway-authority"}],
    }
    assert objects["ConfigMap"]["gateway-authority"]["data"] == {"ca.crt": "PEM"}


async def test_a_gateway_verifies_a_public_certificate_by_its_host(render: Any) -> None:
    objects, _ = await render(GATEWAY, None)
    assert objects["BackendTLSPolicy"]["gateway"]["spec"]["validation"] == {
        "hostname": "chat.example.com",
        "wellKnownCACertificates": "System",
    }
    assert "ConfigMap" not in objects


@pytest.mark.parametrize("exposure", [INGRESS, GATEWAY])
async def test_behind_a_controller_the_service_is_not_a_second_way_in(render: Any, exposure: dict[str, Any]) -> None:
    objects, _ = await render(exposure)
    assert objects["Service"]["gateway"]["spec"]["type"] == "ClusterIP"
