"""Network policies: nothing passes in or out of the namespace but what :mod:`infra.kubernetes.edges` lists.

Probes come from the node's kubelet, which network plugins let through whatever a policy says; so no edge stands for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import (
    IPBlockArgs,
    NetworkPolicy,
    NetworkPolicyEgressRuleArgs,
    NetworkPolicyIngressRuleArgs,
    NetworkPolicyPeerArgs,
    NetworkPolicyPortArgs,
    NetworkPolicySpecArgs,
)

from infra.kubernetes.edges import NOTHING_ELSE, Edge, Surroundings, edges
from infra.kubernetes.names import APPLICATION, Part, labels, selector
from infra.kubernetes.peers import Addresses, Namespace, Peer, parts_of
from infra.kubernetes.redis_connection import RedisConnection
from infra.settings import Settings

DEFAULT_DENY = "default-deny"
# Set by the API server on every namespace.
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_BOTH_WAYS = ["Ingress", "Egress"]


@dataclass(frozen=True, kw_only=True)
class NetworkPoliciesArgs:
    """``redis`` and ``surroundings``: see :func:`infra.kubernetes.edges.edges`."""

    namespace: pulumi.Input[str]
    settings: Settings
    redis: RedisConnection | None = None
    surroundings: Surroundings = NOTHING_ELSE


class NetworkPolicies(pulumi.ComponentResource):
    """``default-deny`` for every pod of the namespace, and one policy a part that opens the part's edges."""

    def __init__(self, name: str, args: NetworkPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:kubernetes:NetworkPolicies", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.default_deny = NetworkPolicy(
            f"{name}-{DEFAULT_DENY}",
            metadata=ObjectMetaArgs(
                name=DEFAULT_DENY, namespace=args.namespace, labels={"app.kubernetes.io/part-of": APPLICATION}
            ),
            spec=default_deny(),
            opts=child,
        )
        table = edges(args.settings, args.redis, args.surroundings)
        self.policies = {
            part: NetworkPolicy(
                f"{name}-{part}",
                metadata=ObjectMetaArgs(name=part, namespace=args.namespace, labels=labels(part)),
                spec=policy(part, table),
                opts=child,
            )
            for part in parts_of(peer for edge in table for peer in (edge.source, edge.destination))
        }
        self.register_outputs({})


def default_deny() -> NetworkPolicySpecArgs:
    return NetworkPolicySpecArgs(pod_selector=LabelSelectorArgs(), policy_types=_BOTH_WAYS)


def policy(part: Part, table: Sequence[Edge]) -> NetworkPolicySpecArgs:
    """Both ends of an edge need their own rule: ``table``'s edges from ``part`` as egress, those to it as ingress."""
    ingress = [
        NetworkPolicyIngressRuleArgs(from_=_peers(edge.source), ports=[_port(edge)])
        for edge in table
        if edge.destination == part
    ]
    egress = [
        NetworkPolicyEgressRuleArgs(to=_peers(edge.destination), ports=[_port(edge)]) for edge in table if edge.source == part
    ]
    return NetworkPolicySpecArgs(
        pod_selector=LabelSelectorArgs(match_labels=selector(part)),
        policy_types=_BOTH_WAYS,
        # The API server drops an empty list, and every later apply would seem to bring a change.
        ingress=ingress or None,
        egress=egress or None,
    )


def _port(edge: Edge) -> NetworkPolicyPortArgs:
    return NetworkPolicyPortArgs(port=edge.port, protocol=edge.protocol)


def _peers(peer: Peer) -> list[NetworkPolicyPeerArgs] | None:
    match peer:
        case "anyone":
            return None  # where no peer is named, all are meant
        case Addresses(cidr, excluded):
            return [NetworkPolicyPeerArgs(ip_block=IPBlockArgs(cidr=cidr, except_=list(excluded) if excluded else None))]
        case Namespace(name, pods):
            return [
                NetworkPolicyPeerArgs(
                    namespace_selector=LabelSelectorArgs(match_labels={NAMESPACE_LABEL: name}),
                    pod_selector=LabelSelectorArgs(match_labels=dict(pods)) if pods else None,
                )
            ]
        case part:
            return [NetworkPolicyPeerArgs(pod_selector=LabelSelectorArgs(match_labels=selector(part)))]
