"""What a security group lets through, in the four forms in which it can be written.

===============================================  =====================================================
``aws:vpc/securityGroup{Ingress,Egress}Rule``     one network, by ``cidrIpv4``, ``cidrIpv6`` or a prefix list
``aws:ec2/securityGroupRule``                     lists of networks, the direction in ``type``
``ingress`` and ``egress`` of a security group    the same, inline
``aws:ec2/defaultSecurityGroup``                  inline as well
===============================================  =====================================================
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policies.networks import Network, is_world
from policies.relations import means, meant
from policies.resource import Malformed, Resource, Stack, View
from policies.show import show
from policies.values import UNKNOWN

GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_GROUP: Final = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
GROUPS: Final = (GROUP, DEFAULT_GROUP)
INGRESS_RULE: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE: Final = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
OLD_RULE: Final = "aws:ec2/securityGroupRule:SecurityGroupRule"
PREFIX_LIST: Final = "aws:ec2/managedPrefixList:ManagedPrefixList"
PREFIX_LIST_ENTRY: Final = "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry"

ONE_NETWORK: Final = ("cidrIpv4", "cidrIpv6", "prefixListId", "ipProtocol", "fromPort", "toPort")
MANY_NETWORKS: Final = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "protocol", "fromPort", "toPort")
INGRESS_READS: Final = {
    GROUP: ("ingress",),
    DEFAULT_GROUP: ("ingress",),
    INGRESS_RULE: ONE_NETWORK,
    OLD_RULE: (*MANY_NETWORKS, "type"),
}
EGRESS_READS: Final = {
    GROUP: ("egress",),
    DEFAULT_GROUP: ("egress",),
    EGRESS_RULE: ONE_NETWORK,
    OLD_RULE: (*MANY_NETWORKS, "type"),
}

LAST_PORT: Final = 65535
ALL_PORTS: Final = range(LAST_PORT + 1)
EVERY_PROTOCOL: Final = "all"
# By IANA's numbers, which AWS takes as well.
PROTOCOLS: Final = {"-1": EVERY_PROTOCOL, "6": "tcp", "17": "udp"}
WITH_PORTS: Final = frozenset({"tcp", "udp", EVERY_PROTOCOL})


@dataclass(frozen=True)
class Opening:
    """One rule. Each part is read when it is asked for, so that what does not matter may be unknown."""

    view: View
    where: str
    one_network: bool

    @property
    def protocol(self) -> str:
        came = self.view.text("ipProtocol" if self.one_network else "protocol")
        name = (came or EVERY_PROTOCOL).lower()
        return PROTOCOLS.get(name, name)

    @property
    def ports(self) -> range:
        """Empty for a protocol without ports."""
        if self.protocol not in WITH_PORTS:
            return range(0)
        if self.protocol == EVERY_PROTOCOL:
            return ALL_PORTS
        first, last = self.view.integer("fromPort"), self.view.integer("toPort")
        if first is None or last is None or first < 0:
            return ALL_PORTS
        return range(first, last + 1)

    @property
    def networks(self) -> list[Network]:
        return [self._network(name, text) for name, text in self._network_texts()]

    def _network_texts(self) -> list[tuple[str, str]]:
        names = ("cidrIpv4", "cidrIpv6") if self.one_network else ("cidrBlocks", "ipv6CidrBlocks")
        if self.one_network:
            return [(name, text) for name in names if (text := self.view.text(name))]
        return [(name, text) for name in names for text in self.view.texts(name) or ()]

    def _network(self, name: str, text: str) -> Network:
        try:
            return ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise Malformed(self.view.path(name), "a network such as 10.0.0.0/16", "another text") from None

    @property
    def prefix_lists(self) -> str:
        """The property that names prefix lists, if it does."""
        name = "prefixListId" if self.one_network else "prefixListIds"
        return name if self.view.raw(name) not in (None, []) else ""

    @property
    def words(self) -> str:
        """``ingress[0] opens tcp 22``, for messages."""
        ports = self.ports
        if self.protocol == EVERY_PROTOCOL:
            what = "every protocol"
        elif not ports:
            what = show(self.protocol)
        else:
            what = f"{show(self.protocol)} {ports[0]}" + (f" to {ports[-1]}" if len(ports) > 1 else "")
        return f"{self.where} opens {what}"


def openings(resource: Resource, *, inward: bool) -> list[Opening]:
    """The rules of one direction that ``resource`` is or holds. Raises what a :class:`View` raises."""
    direction = "ingress" if inward else "egress"
    if resource.type in (INGRESS_RULE, EGRESS_RULE):
        return [Opening(resource.view, "the rule", True)] if (resource.type == INGRESS_RULE) is inward else []
    if resource.type == OLD_RULE:
        return [Opening(resource.view, "the rule", False)] if resource.view.text("type") == direction else []
    return [
        Opening(item, f"{direction}[{position}]", False)
        for position, item in enumerate(resource.view.mappings(direction) or ())
    ]


def existing(resource: Resource, *, inward: bool) -> list[Opening]:
    """The same of a resource's outputs: a group without inline rules hears from AWS, later, which rules others gave it."""
    if resource.view.raw("ingress" if inward else "egress") is UNKNOWN:
        return []
    return openings(resource, inward=inward)


def holders(stack: Stack, *, inward: bool) -> list[Resource]:
    """Every resource that may hold rules of this direction."""
    return stack.of_type(*(INGRESS_READS if inward else EGRESS_READS))


def group_of(stack: Stack, holder: Resource) -> Resource | None:
    """The security group, among the stack's, that the rules of ``holder`` belong to."""
    if holder.type in GROUPS:
        return holder
    return next((group for group in stack.of_type(*GROUPS) if means(holder, "securityGroupId", group)), None)


@dataclass(frozen=True)
class Reach:
    """``networks`` of an opening with those of the stack's own prefix lists; ``foreign``: it names a list that is not the
    stack's, so that nobody can say here what it holds."""

    networks: Sequence[Network]
    foreign: bool

    @property
    def is_world(self) -> bool:
        return is_world(self.networks)


def reach_of(stack: Stack, holder: Resource, opening: Opening) -> Reach:
    """Of one opening of ``holder``. Raises what a :class:`View` raises."""
    networks = opening.networks
    name = opening.prefix_lists
    if not name:
        return Reach(networks, False)
    # The engine knows edges by a resource's own properties alone: of an inline rule, by `ingress` or `egress`.
    outermost = opening.where.partition("[")[0] if holder.type in GROUPS else name
    lists = meant(stack, holder, outermost, (PREFIX_LIST,))
    named = opening.view.raw(name)
    foreign = len(lists) < (len(named) if isinstance(named, list) else 1)
    return Reach([*networks, *(network for each in lists for network in _held(stack, each))], foreign)


def _held(stack: Stack, prefix_list: Resource) -> list[Network]:
    entries = [] if prefix_list.view.raw("entries") is UNKNOWN else prefix_list.view.mappings("entries") or []
    further = [
        entry.view for entry in stack.of_type(PREFIX_LIST_ENTRY) if means(entry, "prefixListId", prefix_list) is not False
    ]
    texts = [text for view in (*entries, *further) if (text := view.text("cidr"))]
    try:
        return [ipaddress.ip_network(text, strict=False) for text in texts]
    except ValueError:
        raise Malformed("entries", "networks such as 10.0.0.0/16", "another text") from None
