"""Which pods a network policy means and whom it lets speak to them. Pure, on the API server's objects.

Source: kubernetes.io/docs/concepts/services-networking/network-policies and the reference of networking.k8s.io/v1.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Object = Mapping[str, Any]
Direction = Literal["ingress", "egress"]
ANYWHERE = "0.0.0.0/0"
ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod with an address of its own. `ports`: (name, protocol) -> number."""

    namespace: str
    name: str
    address: str
    labels: Mapping[str, str]
    ports: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Allowance:
    """Connections with `peer` (a CIDR) that are allowed. Without a protocol all of them, without ports every port."""

    peer: str
    protocol: str = ""
    first: int = 0
    last: int = 0


@dataclass(frozen=True)
class Isolation:
    """In this direction the pod may only do what is allowed."""

    address: str
    direction: Direction
    allowed: tuple[Allowance, ...]


def pods_of(objects: Iterable[Object]) -> list[Pod]:
    """Those that have an IPv4 address of their own: a pod in the host's network is the host, which no policy isolates."""
    return [
        Pod(
            namespace=each["metadata"]["namespace"],
            name=each["metadata"]["name"],
            address=address,
            labels=each["metadata"].get("labels", {}),
            ports=_named_ports(each),
        )
        for each in objects
        if not each["spec"].get("hostNetwork") and each["status"].get("phase") not in ENDED
        for address in _ipv4(each["status"])
    ]


def _ipv4(status: Object) -> list[str]:
    addresses = [entry["ip"] for entry in status.get("podIPs") or [] if entry.get("ip")]
    return [address for address in addresses if ":" not in address]


def _named_ports(pod: Object) -> dict[tuple[str, str], int]:
    return {
        (port["name"], port.get("protocol", "TCP")): port["containerPort"]
        for container in pod["spec"].get("containers", [])
        for port in container.get("ports", [])
        if "name" in port
    }


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """A label selector; the empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(expression, labels) for expression in selector.get("matchExpressions") or [])


def _meets(expression: Object, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case operator:
            raise ValueError(f"a label selector with the operator {operator}")


def isolations(policies: Sequence[Object], pods: Sequence[Pod], namespaces: Mapping[str, Mapping[str, str]]) -> list[Isolation]:
    """What all policies together mean, in a stable order. `namespaces`: name -> labels."""
    directions: tuple[Direction, ...] = ("ingress", "egress")
    found = []
    for pod in sorted(pods, key=lambda each: (each.address, each.namespace, each.name)):
        for direction in directions:
            chosen = [policy for policy in policies if _selects(policy, pod) and direction in _directions(policy)]
            if chosen:
                allowed = {
                    allowance
                    for policy in chosen
                    for rule in policy["spec"].get(direction) or []
                    for allowance in _allowances(rule, direction, policy["metadata"]["namespace"], pod, pods, namespaces)
                }
                found.append(Isolation(pod.address, direction, tuple(sorted(allowed))))
    return found


def _selects(policy: Object, pod: Pod) -> bool:
    return bool(policy["metadata"]["namespace"] == pod.namespace) and matches(
        policy["spec"].get("podSelector") or {}, pod.labels
    )


def _directions(policy: Object) -> set[str]:
    """Without policyTypes: ingress always, egress where there are such rules."""
    given = policy["spec"].get("policyTypes") or ["Ingress", *(["Egress"] if policy["spec"].get("egress") else [])]
    return {each.lower() for each in given}


def _allowances(
    rule: Object,
    direction: Direction,
    namespace: str,
    pod: Pod,
    pods: Sequence[Pod],
    namespaces: Mapping[str, Mapping[str, str]],
) -> Iterable[Allowance]:
    peers = rule.get("from" if direction == "ingress" else "to")
    ports = rule.get("ports")
    if not peers:
        yield from _through(ports, ANYWHERE, [pod] if direction == "ingress" else pods)
        return
    for peer in peers:
        if "ipBlock" in peer:
            for cidr in _block(peer["ipBlock"]):
                yield from _through(ports, cidr, [pod] if direction == "ingress" else pods)
            continue
        for other in pods:
            if _is_peer(peer, other, namespace, namespaces):
                # A port's name is the receiving pod's.
                yield from _through(ports, f"{other.address}/32", [pod if direction == "ingress" else other])


def _is_peer(peer: Object, pod: Pod, namespace: str, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
    chosen = peer.get("namespaceSelector")
    if chosen is None:
        there = pod.namespace == namespace
    else:
        there = pod.namespace in namespaces and matches(chosen, namespaces[pod.namespace])
    return there and matches(peer.get("podSelector") or {}, pod.labels)


def _block(block: Object) -> list[str]:
    """The networks that are left of `cidr` without `except`; none for IPv6."""
    whole = ipaddress.ip_network(block["cidr"])
    if not isinstance(whole, ipaddress.IPv4Network):
        return []
    left = [whole]
    for excluded in (ipaddress.IPv4Network(cidr) for cidr in block.get("except") or []):
        left = [part for network in left for part in _without(network, excluded)]
    return [str(network) for network in ipaddress.collapse_addresses(left)]


def _without(network: ipaddress.IPv4Network, excluded: ipaddress.IPv4Network) -> list[ipaddress.IPv4Network]:
    if network.subnet_of(excluded):
        return []
    return list(network.address_exclude(excluded)) if excluded.subnet_of(network) else [network]


def _through(ports: Sequence[Object] | None, peer: str, receivers: Sequence[Pod]) -> Iterable[Allowance]:
    if not ports:
        yield Allowance(peer)
        return
    for port in ports:
        protocol, number = port.get("protocol", "TCP"), port.get("port")
        if number is None:
            yield Allowance(peer, protocol)
        elif isinstance(number, int):
            yield Allowance(peer, protocol, number, port.get("endPort") or number)
        else:
            known = {receiver.ports[number, protocol] for receiver in receivers if (number, protocol) in receiver.ports}
            yield from (Allowance(peer, protocol, each, each) for each in known)
