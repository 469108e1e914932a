"""Security groups: one way in, and no way out for everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from policies.networks import Network, is_world
from policies.openings import (
    DEFAULT_GROUP,
    EGRESS_READS,
    EGRESS_RULE,
    GROUPS,
    INGRESS_READS,
    INGRESS_RULE,
    OLD_RULE,
    Opening,
    existing,
    group_of,
    holders,
    openings,
    reach_of,
)
from policies.relations import means, texts_of
from policies.resource import Resource, Stack, View
from policies.routes import VPCS
from policies.rule import PASS, Check, Finding, Outcome, Relation, Rule, Severity, Verdict, each, fail, found, undetermined
from policies.rules import edge, links, listeners
from policies.show import show

BALANCERS: Final = (*edge.BALANCERS, *listeners.CLASSIC)
SERVICE: Final = "kubernetes:core/v1:Service"
# What may wear a security group, and the property that says so: what shares the edge's is as open as the edge.
WEARERS: Final = {
    "aws:ec2/instance:Instance": ("vpcSecurityGroupIds", "networkInterfaces"),
    "aws:ec2/launchTemplate:LaunchTemplate": ("vpcSecurityGroupIds", "networkInterfaces"),
    "aws:ec2/networkInterface:NetworkInterface": ("securityGroups",),
    "aws:ecs/service:Service": ("networkConfiguration",),
    "aws:eks/cluster:Cluster": ("vpcConfig",),
    "aws:elasticache/replicationGroup:ReplicationGroup": ("securityGroupIds",),
    "aws:lambda/function:Function": ("vpcConfig",),
    "aws:memorydb/cluster:Cluster": ("securityGroupIds",),
    "aws:rds/cluster:Cluster": ("vpcSecurityGroupIds",),
    "aws:rds/instance:Instance": ("vpcSecurityGroupIds",),
    "pulumi-python:dynamic/aws:ModelTask": ("securityGroups",),
}

EDGE_PORTS: Final = (80, 443)
# More than half of all ports is no list of ports any more; the ephemeral ones (32768 to 60999) are fewer.
MOST_PORTS: Final = 32768
# Annotations by which a Service of type LoadBalancer stays inside (AWS Load Balancer Controller, and the older provider).
INTERNAL_ANNOTATIONS: Final = {
    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
}


def of_edge_ports(opening: Opening) -> bool:
    ports = opening.ports
    return opening.protocol == "tcp" and len(ports) == 1 and ports[0] in EDGE_PORTS


def is_wide(opening: Opening) -> bool:
    return len(opening.ports) > MOST_PORTS


def no_odd_way_in(resource: Resource) -> Verdict:
    """What a rule says by itself; whose group it belongs to, the relation below tells."""
    return each(*(partial(_no_odd_way_in, opening) for opening in openings(resource, inward=True)))


def _no_odd_way_in(opening: Opening) -> Verdict:
    if of_edge_ports(opening) or not is_world(opening.networks):
        return PASS
    return fail(f"{opening.words} to {_shown(opening.networks)}; the world comes in on tcp 80 and 443 alone")


def no_open_way_out(resource: Resource) -> Verdict:
    return each(*(partial(_no_open_way_out, opening) for opening in openings(resource, inward=False)))


def _no_open_way_out(opening: Opening) -> Verdict:
    if not is_wide(opening) or not is_world(opening.networks):
        return PASS
    return fail(f"{opening.words} to {_shown(opening.networks)}; name the ports that are needed")


def _shown(networks: Sequence[Network]) -> str:
    return ", ".join(show(str(network)) for network in networks)


def edge_alone(stack: Stack) -> list[Finding]:
    return [
        found(holder, partial(_in_of, stack, holder))
        for holder in holders(stack, inward=True)
        if no_fault(no_odd_way_in, holder)
    ]


def no_fault(judge: Callable[[Resource], Verdict], holder: Resource) -> bool:
    """Whether the check by itself finds nothing, so that the relation does not say it again."""
    return found(holder, partial(judge, holder)).verdict.outcome is not Outcome.FAIL


def _in_of(stack: Stack, holder: Resource) -> Verdict:
    own = [partial(_in, stack, holder, opening) for opening in existing(holder, inward=True)]
    return each(*own, partial(_in_together, stack, holder))


def _in(stack: Stack, holder: Resource, opening: Opening) -> Verdict:
    reach = reach_of(stack, holder, opening)
    if not reach.is_world and not reach.foreign:
        return PASS
    if of_edge_ports(opening):
        return _of_edge(stack, holder, opening)
    if reach.is_world:
        return fail(f"{opening.words} to the world by a prefix list; the world comes in on tcp 80 and 443 alone")
    return undetermined(f"{opening.words} to a prefix list that is not the stack's: nobody can say here who is on it")


def _of_edge(stack: Stack, holder: Resource, opening: Opening) -> Verdict:
    """That the group is a public load balancer's and nobody else's."""
    group = group_of(stack, holder)
    worn = [_wears(balancer, "securityGroups", holder, group) for balancer in stack.of_type(*BALANCERS) if _public(balancer)]
    if True not in worn:
        if None in worn:
            return undetermined(f"{opening.words} to the world, and it cannot be told whether the group is the load balancer's")
        return fail(f"{opening.words} to the world, and the group is no public load balancer's")
    others = [
        wearer.name
        for kind, names in WEARERS.items()
        for wearer in stack.of_type(kind)
        if any(_wears(wearer, name, holder, group) for name in names)
    ]
    shared = [f"{opening.words} to the world, and {show(name)} wears the load balancer's group" for name in others]
    return fail(*shared) if shared else PASS


def _public(balancer: Resource) -> bool:
    return balancer.view.boolean("internal") is not True


def _wears(wearer: Resource, name: str, holder: Resource, group: Resource | None) -> bool | None:
    if group is not None:
        return means(wearer, name, group)
    # Neither of the two made the group: both name it in plain.
    return bool(texts_of(wearer.view.raw(name)) & texts_of(holder.view.raw("securityGroupId")))


def _in_together(stack: Stack, group: Resource) -> Verdict:
    """A hundred networks, each somebody's, are the world as well."""
    networks: list[Network] = []
    for holder, opening in _of_group(stack, group, inward=True):
        small = reach_of(stack, holder, opening).networks
        allowed = of_edge_ports(opening) and _of_edge(stack, holder, opening).outcome is Outcome.PASS
        if not allowed and not is_world(small):
            networks += small
    return fail("the rules of this group together let the world in, each a part of it") if is_world(networks) else PASS


def _of_group(stack: Stack, group: Resource, *, inward: bool) -> list[tuple[Resource, Opening]]:
    if group.type not in GROUPS:
        return []
    return [
        (holder, opening)
        for holder in holders(stack, inward=inward)
        if group_of(stack, holder) is group
        for opening in existing(holder, inward=inward)
    ]


def no_way_out_together(stack: Stack) -> list[Finding]:
    return [
        found(holder, partial(_out_of, stack, holder))
        for holder in holders(stack, inward=False)
        if no_fault(no_open_way_out, holder)
    ]


def _out_of(stack: Stack, holder: Resource) -> Verdict:
    own = [partial(_out, stack, holder, opening) for opening in existing(holder, inward=False)]
    return each(*own, partial(_out_together, stack, holder))


def _out(stack: Stack, holder: Resource, opening: Opening) -> Verdict:
    if not is_wide(opening):
        return PASS
    reach = reach_of(stack, holder, opening)
    if reach.is_world:
        return fail(f"{opening.words} to the world by a prefix list; name the ports that are needed")
    if reach.foreign:
        return undetermined(f"{opening.words} to a prefix list that is not the stack's: nobody can say here who is on it")
    return PASS


def _out_together(stack: Stack, group: Resource) -> Verdict:
    """By parts: the world's networks one by one on every port, or every port one by one to the world."""
    ports: set[int] = set()
    networks: list[Network] = []
    for holder, opening in _of_group(stack, group, inward=False):
        reach = reach_of(stack, holder, opening)
        if reach.is_world and not is_wide(opening):
            ports.update(opening.ports)
        elif is_wide(opening) and not reach.is_world:
            networks += reach.networks
    if len(ports) > MOST_PORTS or is_world(networks):
        return fail("the rules of this group together let everything out, each a part of it")
    return PASS


def default_group_is_empty(resource: Resource) -> Verdict:
    view = resource.view
    return each(partial(_none, view, "ingress"), partial(_none, view, "egress"))


def _none(view: View, direction: str) -> Verdict:
    rules = view.mappings(direction) or []
    return fail(f"{direction} has {len(rules)} rules; what names no group gets this one") if rules else PASS


def default_group_is_taken(stack: Stack) -> list[Finding]:
    """Every network's default group is taken over, and gets no rule from elsewhere."""
    networks, groups = stack.of_type(*VPCS), stack.of_type(DEFAULT_GROUP)
    filled = [
        rule
        for rule in stack.of_type(INGRESS_RULE, EGRESS_RULE, OLD_RULE)
        if any(_of_default_group(rule, network) for network in networks)
        or any(means(rule, "securityGroupId", group) for group in groups)
    ]
    return [
        *(found(network, partial(_taken, network, groups)) for network in networks),
        *(found(rule, lambda: fail("securityGroupId is a default group, which stays without rules")) for rule in filled),
    ]


def _taken(network: Resource, groups: Sequence[Resource]) -> Verdict:
    taken = [means(group, "vpcId", network) for group in groups]
    if True in taken:
        return PASS
    if None in taken:
        return undetermined("it cannot be told whose the default security group of this stack is")
    return fail("the default security group of this network is not taken over: AWS made it open among its members and outwards")


def _of_default_group(rule: Resource, network: Resource) -> bool:
    """A network is no group: what was computed from one is its default group's identifier."""
    named, default = rule.view.raw("securityGroupId"), network.view.raw("defaultSecurityGroupId")
    return network.urn in rule.property_dependencies.get("securityGroupId", ()) or (isinstance(named, str) and named == default)


def service_ports(resource: Resource) -> Verdict:
    """A Service of type LoadBalancer is a way in that Kubernetes opens."""
    spec, metadata = resource.view.mapping("spec"), resource.view.mapping("metadata")
    if spec is None or spec.text("type") != "LoadBalancer":
        return PASS
    annotations = metadata.mapping("annotations") if metadata else None
    if annotations and any(annotations.text(name) == value for name, value in INTERNAL_ANNOTATIONS.items()):
        return PASS
    sources = Opening(View({"cidrBlocks": spec.raw("loadBalancerSourceRanges")}), "spec", False)
    if "loadBalancerSourceRanges" in spec and not is_world(sources.networks):
        return PASS
    odd = [
        f"{show(port.text('protocol') or 'TCP')} {port.integer('port')}"
        for port in spec.mappings("ports") or ()
        if (port.text("protocol") or "TCP") != "TCP" or port.integer("port") not in EDGE_PORTS
    ]
    return (
        fail(*(f"spec.ports opens {words} to the world; it comes in on TCP 80 and 443 alone" for words in odd)) if odd else PASS
    )


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R55",
        name="world-ingress-at-the-edge",
        title="The world comes in at the edge alone, on 443 and 80",
        severity=Severity.CRITICAL,
        controls=("8.20", "8.22"),
        remedy="open tcp 443 and 80 in the load balancer's own security group; let everything else in by group or by network",
        link=links.SECURITY_GROUPS,
        checks=(
            *(Check(types=(kind,), properties=names, judge=no_odd_way_in) for kind, names in INGRESS_READS.items()),
            Check(types=(SERVICE,), properties=("spec", "metadata"), judge=service_ports),
        ),
        relations=(
            Relation(
                reads={
                    **{kind: (*names, "securityGroupId") for kind, names in INGRESS_READS.items() if kind not in GROUPS},
                    **dict.fromkeys(BALANCERS, ("internal", "securityGroups")),
                    **WEARERS,
                },
                judge=edge_alone,
            ),
        ),
    ),
    Rule(
        id="R36",
        name="no-unrestricted-egress",
        title="No security group lets everything out to everywhere",
        severity=Severity.HIGH,
        controls=("8.12", "8.20"),
        remedy="name the ports in the egress rule (tcp 443 to anywhere is allowed), or the networks and groups it leads to",
        link=links.SECURITY_GROUPS,
        checks=tuple(Check(types=(kind,), properties=names, judge=no_open_way_out) for kind, names in EGRESS_READS.items()),
        relations=(Relation(reads=EGRESS_READS, judge=no_way_out_together),),
    ),
    Rule(
        id="R56",
        name="default-security-group-empty",
        title="The default security group of every network is empty",
        severity=Severity.MEDIUM,
        controls=("8.20", "8.22"),
        remedy="take the default group over (aws.ec2.DefaultSecurityGroup) without rules; give each thing a group of its own",
        link=links.DEFAULT_GROUP,
        checks=(Check(types=(DEFAULT_GROUP,), properties=("ingress", "egress"), judge=default_group_is_empty),),
        relations=(Relation(reads={DEFAULT_GROUP: ("vpcId",)}, judge=default_group_is_taken),),
    ),
)
