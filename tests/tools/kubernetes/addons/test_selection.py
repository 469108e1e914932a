"""What network policies mean: the table of networking.k8s.io/v1, case by case."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from tools.kubernetes.addons.policy.selection import Allowance, Pod, isolations, matches, pods_of

SERVER = Pod(namespace="shop", name="server", address="10.0.0.2", labels={"app": "server"}, ports={("web", "TCP"): 8080})
FRIEND = Pod(namespace="shop", name="friend", address="10.0.0.3", labels={"app": "friend"})
NEIGHBOUR = Pod(namespace="next", name="friend", address="10.0.0.4", labels={"app": "friend"}, ports={("web", "TCP"): 9000})
PODS = [SERVER, FRIEND, NEIGHBOUR]
NAMESPACES = {"shop": {"kubernetes.io/metadata.name": "shop"}, "next": {"kubernetes.io/metadata.name": "next", "team": "b"}}


def policy(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels": {"app": "server"}}, **spec}}


def ingress_of_server(*policies: dict[str, Any]) -> tuple[Allowance, ...] | None:
    found = isolations(list(policies), PODS, NAMESPACES)
    return next((each.allowed for each in found if each.address == SERVER.address and each.direction == "ingress"), None)


def test_a_pod_that_no_policy_selects_is_not_isolated() -> None:
    assert isolations([policy(policyTypes=["Ingress"])], [FRIEND, NEIGHBOUR], NAMESPACES) == []
    elsewhere = {**policy(policyTypes=["Ingress"]), "metadata": {"name": "p", "namespace": "next"}}
    assert isolations([elsewhere], PODS, NAMESPACES) == []


def test_default_deny_isolates_every_pod_of_the_namespace_both_ways_and_nobody_elsewhere() -> None:
    found = isolations([policy(podSelector={}, policyTypes=["Ingress", "Egress"])], PODS, NAMESPACES)
    assert [(each.address, each.direction, each.allowed) for each in found] == [
        (SERVER.address, "ingress", ()),
        (SERVER.address, "egress", ()),
        (FRIEND.address, "ingress", ()),
        (FRIEND.address, "egress", ()),
    ]


@pytest.mark.parametrize(
    ("spec", "directions"),
    [
        ({}, ["ingress"]),
        ({"egress": [{}]}, ["ingress", "egress"]),
        ({"policyTypes": ["Egress"]}, ["egress"]),
    ],
)
def test_without_policy_types_egress_counts_only_where_it_has_rules(spec: dict[str, Any], directions: list[str]) -> None:
    assert [each.direction for each in isolations([policy(**spec)], PODS, NAMESPACES)] == directions


FRIENDS = {"podSelector": {"matchLabels": {"app": "friend"}}}
TEAM_B = {"namespaceSelector": {"matchLabels": {"team": "b"}}}


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        pytest.param({}, [Allowance("0.0.0.0/0")], id="an empty rule allows everything"),
        pytest.param({"from": [FRIENDS]}, [Allowance("10.0.0.3/32")], id="a pod selector means the policy's own namespace"),
        pytest.param({"from": [TEAM_B]}, [Allowance("10.0.0.4/32")], id="a namespace selector means all of its pods"),
        pytest.param({"from": [TEAM_B | FRIENDS]}, [Allowance("10.0.0.4/32")], id="both in one peer must hold together"),
        pytest.param(
            {"from": [TEAM_B | {"podSelector": {"matchLabels": {"app": "server"}}}]}, [], id="so one that fails refuses"
        ),
        pytest.param(
            {"from": [TEAM_B, FRIENDS]}, [Allowance("10.0.0.3/32"), Allowance("10.0.0.4/32")], id="two peers are alternatives"
        ),
        pytest.param(
            {"from": [{"namespaceSelector": {}}]},
            [Allowance("10.0.0.2/32"), Allowance("10.0.0.3/32"), Allowance("10.0.0.4/32")],
            id="an empty namespace selector means every namespace",
        ),
        pytest.param(
            {"from": [FRIENDS], "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]},
            [Allowance("10.0.0.3/32", "TCP", 80, 80), Allowance("10.0.0.3/32", "UDP", 53, 53)],
            id="ports are TCP unless they say otherwise",
        ),
        pytest.param(
            {"ports": [{"port": 30000, "endPort": 30010}]}, [Allowance("0.0.0.0/0", "TCP", 30000, 30010)], id="a range"
        ),
        pytest.param({"ports": [{"protocol": "UDP"}]}, [Allowance("0.0.0.0/0", "UDP")], id="a protocol with all its ports"),
        pytest.param(
            {"ports": [{"port": "web"}]}, [Allowance("0.0.0.0/0", "TCP", 8080, 8080)], id="a name is the pod's own port"
        ),
        pytest.param({"ports": [{"port": "other"}]}, [], id="a name that the pod does not have opens nothing"),
        pytest.param({"from": [{"ipBlock": {"cidr": "fd00::/8"}}]}, [], id="IPv6 opens nothing in an IPv4 cluster"),
    ],
)
def test_an_ingress_rule_allows(rule: dict[str, Any], allowed: list[Allowance]) -> None:
    assert ingress_of_server(policy(ingress=[rule])) == tuple(allowed)


def test_policies_add_up() -> None:
    first, second = policy(ingress=[{"ports": [{"port": 1}]}]), policy(ingress=[{"ports": [{"port": 2}]}])
    assert ingress_of_server(first, second) == (Allowance("0.0.0.0/0", "TCP", 1, 1), Allowance("0.0.0.0/0", "TCP", 2, 2))


def test_the_name_of_a_port_in_an_egress_rule_is_the_receiving_pods() -> None:
    rule = {"to": [{"namespaceSelector": {}}], "ports": [{"port": "web"}]}
    (found,) = isolations([policy(egress=[rule], policyTypes=["Egress"])], PODS, NAMESPACES)
    assert found.allowed == (Allowance("10.0.0.2/32", "TCP", 8080, 8080), Allowance("10.0.0.4/32", "TCP", 9000, 9000))


def test_an_address_block_without_its_exceptions_is_exactly_the_rest() -> None:
    excluded = ["10.0.0.0/8", "169.254.0.0/16"]
    allowed = ingress_of_server(policy(ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": excluded}}]}]))
    assert allowed is not None
    networks = [ipaddress.IPv4Network(each.peer) for each in allowed]
    assert sum(network.num_addresses for network in networks) == 2**32 - 2**24 - 2**16
    assert not any(network.overlaps(ipaddress.IPv4Network(cidr)) for network in networks for cidr in excluded)


@pytest.mark.parametrize(
    ("expression", "labels", "meets"),
    [
        ({"key": "a", "operator": "In", "values": ["1", "2"]}, {"a": "2"}, True),
        ({"key": "a", "operator": "In", "values": ["1"]}, {}, False),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, {}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, {"a": "1"}, False),
        ({"key": "a", "operator": "Exists"}, {"a": ""}, True),
        ({"key": "a", "operator": "Exists"}, {}, False),
        ({"key": "a", "operator": "DoesNotExist"}, {"a": ""}, False),
        ({"key": "a", "operator": "DoesNotExist"}, {}, True),
    ],
)
def test_expressions_of_a_label_selector(expression: dict[str, Any], labels: dict[str, str], meets: bool) -> None:
    assert matches({"matchExpressions": [expression]}, labels) is meets


def test_only_living_pods_with_an_address_of_their_own_count() -> None:
    def pod(name: str, *, phase: str = "Running", host: bool = False, addresses: tuple[str, ...] = ("10.0.0.9",)) -> Any:
        return {
            "metadata": {"namespace": "shop", "name": name},
            "spec": {
                "hostNetwork": host,
                "containers": [{"ports": [{"name": "web", "containerPort": 80}, {"containerPort": 81}]}],
            },
            "status": {"phase": phase, "podIPs": [{"ip": address} for address in addresses]},
        }

    given = [
        pod("runs", addresses=("10.0.0.9", "fd00::9")),
        pod("done", phase="Succeeded"),
        pod("host", host=True),
        pod("new", addresses=()),
    ]
    assert pods_of(given) == [Pod(namespace="shop", name="runs", address="10.0.0.9", labels={}, ports={("web", "TCP"): 80})]
