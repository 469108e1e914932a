"""What the rendered network policies let through, judged by Kubernetes' own rules written down a second time."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.kubernetes.aws_edges import aws_edges
from infra.kubernetes.edges import EDGES, Surroundings, edges
from infra.kubernetes.names import PARTS, labels
from infra.kubernetes.network_policy import NetworkPolicies, NetworkPoliciesArgs
from infra.kubernetes.peers import PRIVATE_NETWORK, PUBLIC, Addresses, Namespace, destinations
from infra.kubernetes.redis_connection import RedisConnection
from infra.settings import Settings

PORTS = (53, 80, 443, 6379, 6380, 8080, 8081, 8090, 8443, 9090)
PROTOCOLS = ("TCP", "UDP")


@dataclass(frozen=True)
class Place:
    """A pod, or a machine somewhere: a place that connections come from and go to."""

    address: str
    namespace: str = ""  # none: not a pod
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


OURS = {part: Place(f"10.0.0.{number}", "team-a", labels(part)) for number, part in enumerate(PARTS, 1)}
INTRUDER = Place("10.0.0.66", "team-a", {"app.kubernetes.io/name": "intruder"})
STRANGER = Place("10.0.1.1", "team-b", labels("worker"))  # our labels, in a namespace that is not ours
DNS = Place("10.0.2.1", "kube-system", {"k8s-app": "kube-dns"})
KUBE_SYSTEM = Place("10.0.2.2", "kube-system", {"k8s-app": "metrics-server"})
PROMETHEUS = Place("10.0.3.1", "monitoring")
KEDA = Place("10.0.4.1", "keda")
CONTROLLER = Place("10.0.5.1", "ingress-nginx")
INTERNET = Place("203.0.113.7")
INTERNET_6 = Place("2001:db8::7")
COMPANY = Place("10.20.30.40")
METADATA = Place("169.254.169.254")
POD_IDENTITY = Place("169.254.170.23")
POD_IDENTITY_6 = Place("fd00:ec2::23")
LOAD_BALANCER = Place("10.40.0.9")
NODE_LOCAL_DNS = Place("169.254.20.10")
OTHERS = {
    "intruder": INTRUDER,
    "stranger": STRANGER,
    "dns": DNS,
    "kube-system": KUBE_SYSTEM,
    "prometheus": PROMETHEUS,
    "keda": KEDA,
    "controller": CONTROLLER,
    "internet": INTERNET,
    "internet6": INTERNET_6,
    "company": COMPANY,
    "metadata": METADATA,
    "node-local-dns": NODE_LOCAL_DNS,
}
PLACES = {**OURS, **OTHERS}


@pytest.fixture
def render(kubernetes_objects: Any, cluster_settings: Callable[..., Settings]) -> Callable[..., Any]:
    async def render(given: dict[str, Any] | None = None, **groups: Any) -> list[dict[str, Any]]:
        args = NetworkPoliciesArgs(namespace="team-a", settings=cluster_settings(**groups), **(given or {}))
        objects = await kubernetes_objects.rendered(lambda: NetworkPolicies("network", args))
        return list(objects["NetworkPolicy"].values())

    return render


def passes(objects: list[dict[str, Any]], source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
    """Both ends have to let it through. https://kubernetes.io/docs/concepts/services-networking/network-policies/"""
    return _allowed(objects, source, target, "Egress", port, protocol) and _allowed(
        objects, target, source, "Ingress", port, protocol
    )


def _allowed(objects: list[dict[str, Any]], pod: Place, peer: Place, way: str, port: int, protocol: str) -> bool:
    selecting = [
        policy["spec"]
        for policy in objects
        if pod.namespace == policy["metadata"]["namespace"]
        and way in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], pod.labels)
    ]
    if not selecting:
        return True
    key, peers = ("egress", "to") if way == "Egress" else ("ingress", "from")
    return any(
        _matches_port(rule.get("ports"), port, protocol)
        and (not rule.get(peers) or any(_matches_peer(one, peer, pod.namespace) for one in rule[peers]))
        for spec in selecting
        for rule in spec.get(key, [])
    )


def _matches_port(ports: list[dict[str, Any]] | None, port: int, protocol: str) -> bool:
    return not ports or any(one["port"] == port and one.get("protocol", "TCP") == protocol for one in ports)


def _matches_peer(peer: dict[str, Any], place: Place, namespace: str) -> bool:
    if block := peer.get("ipBlock"):
        address = ipaddress.ip_address(place.address)
        within = [address in ipaddress.ip_network(cidr) for cidr in (block["cidr"], *block.get("except", []))]
        return within[0] and not any(within[1:])
    if not place.namespace:
        return False
    if "namespaceSelector" in peer:
        inside = _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": place.namespace})
    else:
        inside = place.namespace == namespace
    return inside and _selects(peer.get("podSelector", {}), place.labels)


def _selects(selector: dict[str, Any], pod_labels: Mapping[str, str]) -> bool:
    return (selector.get("matchLabels") or {}).items() <= dict(pod_labels).items()


def opened(objects: list[dict[str, Any]]) -> set[tuple[str, str, int]]:
    """Every connection over TCP that passes and begins or ends at one of our pods."""
    return {
        (source, target, port)
        for source, target in itertools.permutations(PLACES, 2)
        if source in OURS or target in OURS
        for port in PORTS
        if passes(objects, PLACES[source], PLACES[target], port)
    }


DNS_CONNECTIONS = {(part, place, 53) for part in ("gateway", "worker", "model") for place in ("dns", "node-local-dns")}
# The picture, by hand.
PICTURE = {
    ("gateway", "redis", 6379),
    ("gateway", "inference", 8080),
    ("worker", "redis", 6379),
    ("worker", "inference", 8080),
    ("model", "internet", 443),
    ("model", "internet6", 443),
    ("prometheus", "gateway", 9090),
    ("prometheus", "worker", 9090),
    ("prometheus", "inference", 9090),
} | DNS_CONNECTIONS
# Not the intruder: what is in the namespace has no way out of itself.
WAY_IN = {(name, "gateway", 8443) for name in OTHERS if name != "intruder"}


async def test_only_the_picture_is_open(render: Any) -> None:
    assert opened(await render()) == PICTURE | WAY_IN


async def test_a_controller_namespace_is_then_the_only_way_in(render: Any) -> None:
    assert opened(await render(exposure={"controllerNamespace": "ingress-nginx"})) == PICTURE | {
        ("controller", "gateway", 8443)
    }


async def test_keda_reads_what_it_scales_by(render: Any) -> None:
    assert opened(await render(autoscaling={"keda": True})) == PICTURE | WAY_IN | {
        ("keda", "gateway", 9090),
        ("keda", "inference", 9090),
    }


@pytest.mark.parametrize(
    ("url", "open_to"),
    [
        ("https://platform.example.com", {("worker", "internet", 443), ("worker", "internet6", 443)}),
        ("http://platform.example.com", {("worker", "internet", 80), ("worker", "internet6", 80)}),
        ("https://10.20.30.40:8090/hooks", {("worker", "company", 8090)}),
        ("https://[2001:db8::7]", {("worker", "internet6", 443)}),
        ("http://emulator.keda.svc:8090", {("worker", "keda", 8090)}),
        ("http://emulator.keda.svc.cluster.local:8090", {("worker", "keda", 8090)}),
    ],
)
async def test_the_worker_reaches_its_platform_and_no_other_address(
    render: Any, url: str, open_to: set[tuple[str, str, int]]
) -> None:
    assert opened(await render(platforms={"generic": {"url": url}})) == PICTURE | WAY_IN | open_to


async def test_a_platform_in_a_private_network_is_reached_there_alone(render: Any) -> None:
    objects = await render(platforms={"generic": {"url": "https://chat.corp"}})
    assert passes(objects, OURS["worker"], COMPANY, 443)
    assert not passes(objects, OURS["worker"], INTERNET, 443)


async def test_nothing_reaches_the_credentials_of_the_cloud(render: Any) -> None:
    objects = await render(platforms={"generic": {"url": "https://chat.example.com"}}, redis={"url": "redis://db.example.com"})
    reached = [(part, port) for part in OURS for port in PORTS if passes(objects, OURS[part], METADATA, port)]
    assert reached == []


async def test_an_external_redis_takes_the_place_of_the_stacks_own(render: Any) -> None:
    objects = await render(redis={"url": "rediss://10.20.30.40:6380"})
    own = {edge for edge in PICTURE if edge[1] == "redis"}
    external = {("gateway", "company", 6380), ("worker", "company", 6380)}
    found = {edge for edge in opened(objects) if edge[1] != "redis"}
    assert found == (PICTURE - own) | WAY_IN | external


async def test_a_redis_by_name_is_reached_at_private_and_at_public_addresses(render: Any) -> None:
    objects = await render(redis={"url": "rediss://queue.example.com:6380"})
    assert passes(objects, OURS["gateway"], COMPANY, 6380)
    assert passes(objects, OURS["worker"], INTERNET, 6380)


async def test_the_other_nodes_of_a_redis_cluster_are_reached_too(render: Any) -> None:
    objects = await render(redis={"url": "rediss://10.20.30.41:6380", "cluster": True})
    assert passes(objects, OURS["gateway"], COMPANY, 6380)
    assert not passes(objects, OURS["gateway"], METADATA, 6380)


async def test_where_the_load_balancer_is_known_nothing_else_comes_in(render: Any) -> None:
    objects = await render({"surroundings": Surroundings(way_in=(Addresses("10.40.0.0/20"), Addresses("10.40.16.0/20")))})
    assert passes(objects, LOAD_BALANCER, OURS["gateway"], 8443)
    assert not passes(objects, LOAD_BALANCER, OURS["gateway"], 9090)
    assert opened(objects) == PICTURE


async def test_in_aws_a_part_with_credentials_reaches_them_and_the_services_but_not_its_nodes_own(render: Any) -> None:
    objects = await render({"surroundings": Surroundings(edges=aws_edges())})
    for part in ("gateway", "worker", "inference", "model"):
        assert passes(objects, OURS[part], POD_IDENTITY, 80)
        assert passes(objects, OURS[part], POD_IDENTITY_6, 80)
        assert all(passes(objects, OURS[part], place, 443) for place in (COMPANY, INTERNET, INTERNET_6))
        assert passes(objects, OURS[part], DNS, 53, "UDP")
        assert not any(passes(objects, OURS[part], METADATA, port) for port in PORTS)
        assert not any(passes(objects, OURS[part], POD_IDENTITY, port) for port in PORTS if port != 80)
        assert not passes(objects, OURS[part], INTERNET, 80)
    assert not passes(objects, OURS["redis"], POD_IDENTITY, 80)


async def test_elsewhere_nobody_reaches_what_hands_out_credentials(render: Any) -> None:
    objects = await render()
    assert not any(passes(objects, OURS[part], POD_IDENTITY, port) for part in OURS for port in PORTS)


async def test_what_is_open_already_is_not_opened_a_second_time(cluster_settings: Callable[..., Settings]) -> None:
    table = edges(cluster_settings(), None, Surroundings(edges=aws_edges()))
    connections = [(edge.source, edge.destination, edge.port, edge.protocol) for edge in table]
    assert len(connections) == len(set(connections)) > len(edges(cluster_settings()))


async def test_a_redis_that_no_setting_names_is_reached_where_it_is_said_to_be(render: Any) -> None:
    elsewhere = RedisConnection(url="rediss://a.b:6380/0", peers=(Addresses("10.20.30.0/24"),), port=6380)
    objects = await render({"redis": elsewhere})
    own = {edge for edge in PICTURE if edge[1] == "redis"}
    assert opened(objects) == (PICTURE - own) | WAY_IN | {("gateway", "company", 6380), ("worker", "company", 6380)}


async def test_names_are_looked_up_over_udp_as_well(render: Any) -> None:
    objects = await render()
    assert passes(objects, OURS["worker"], DNS, 53, "UDP")
    assert not passes(objects, OURS["worker"], INTERNET, 53, "UDP")
    assert not passes(objects, OURS["inference"], DNS, 53, "UDP")


@pytest.mark.parametrize("missing", ["gateway", "worker", "redis", "inference"])
async def test_an_edge_needs_both_its_ends(render: Any, missing: str) -> None:
    """Take one part's policy away: its own default-deny then shuts every edge that the part has."""
    objects = [policy for policy in await render() if policy["metadata"]["name"] != missing]
    assert not [edge for edge in opened(objects) if edge[0] == missing or edge[1] == missing]


async def test_every_edge_of_the_table_is_rendered_at_both_ends(render: Any, cluster_settings: Callable[..., Settings]) -> None:
    groups = {"autoscaling": {"keda": True}, "platforms": {"generic": {"url": "https://chat.example.com"}}}
    objects = {policy["metadata"]["name"]: policy["spec"] for policy in await render(**groups)}
    table = edges(cluster_settings(**groups))
    assert set(EDGES) <= set(table)
    for part in PARTS:
        assert len(objects[part].get("egress", [])) == sum(edge.source == part for edge in table)
        assert len(objects[part].get("ingress", [])) == sum(edge.destination == part for edge in table)


async def test_no_rule_is_an_empty_list(render: Any) -> None:
    """The API server drops them, so that a second apply would change what the first one made."""
    objects = await render()
    assert not [spec for spec in (policy["spec"] for policy in objects) for key in ("ingress", "egress") if spec.get(key) == []]


async def test_a_pod_that_nobody_knows_is_shut_off(render: Any) -> None:
    objects = await render()
    assert not passes(objects, INTRUDER, INTERNET, 443)
    assert not passes(objects, OURS["worker"], INTRUDER, 8080)
    assert not passes(objects, INTRUDER, OURS["redis"], 6379)
    assert not passes(objects, STRANGER, OURS["redis"], 6379)


@pytest.mark.parametrize(
    ("url", "peers", "port"),
    [
        ("redis://cache", PRIVATE_NETWORK, 6379),
        ("https://chat.internal/", PRIVATE_NETWORK, 443),
        ("https://chat.example.com./", PUBLIC, 443),
        ("https://192.0.2.1:8443", (Addresses("192.0.2.1/32"),), 8443),
        ("redis://redis.data.svc.cluster.local", (Namespace("data"),), 6379),
    ],
)
def test_an_address_is_opened_as_narrowly_as_its_form_allows(url: str, peers: tuple[Any, ...], port: int) -> None:
    assert destinations(url) == (peers, port)
