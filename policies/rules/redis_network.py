"""Who reaches Redis: the workloads' security groups, and no network of addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from policies.given import is_given
from policies.managed_redis import CACHE, CLUSTER, REPLICATION_GROUP, SERVERLESS, is_redis_alone
from policies.openings import DEFAULT_GROUP, GROUP, GROUPS, INGRESS_RULE, OLD_RULE, Opening, existing
from policies.relations import identities, means, meant
from policies.resource import Resource, Stack
from policies.rule import PASS, Finding, Relation, Rule, Severity, Verdict, all_of, each, fail, found, undetermined
from policies.rules import links
from policies.show import show

EKS: Final = "aws:eks/cluster:Cluster"
# What runs the workloads, and the property by which it says in which security groups they are.
WORKLOADS: Final = {
    "aws:ecs/service:Service": ("networkConfiguration",),
    "aws:ec2/launchTemplate:LaunchTemplate": ("networkInterfaces", "vpcSecurityGroupIds"),
    "aws:lambda/function:Function": ("vpcConfig",),
    EKS: ("vpcConfig",),
    "kubernetes:vpcresources.k8s.aws/v1beta1:SecurityGroupPolicy": ("spec",),
}
NETWORKS: Final = ("cidrIpv4", "cidrIpv6", "prefixListId", "cidrBlocks", "ipv6CidrBlocks", "prefixListIds")
SOURCES: Final = ("referencedSecurityGroupId", "sourceSecurityGroupId", "securityGroups")


def from_workloads_alone(stack: Stack) -> Sequence[Finding]:
    caches = [
        *stack.of_type(CLUSTER, REPLICATION_GROUP, SERVERLESS),
        *(cache for cache in stack.of_type(CACHE) if is_redis_alone(cache)),
    ]
    return [found(cache, partial(_reached, stack, cache)) for cache in caches]


def _reached(stack: Stack, cache: Resource) -> Verdict:
    name = "securityGroupIds"
    if not is_given(cache, name) or cache.view.raw(name) == []:
        return fail(f"{name} is not set: the VPC's default security group decides who reaches Redis")
    groups = meant(stack, cache, name, GROUPS)
    named = cache.view.raw(name)
    foreign = isinstance(named, list) and len(named) > len(groups)
    return each(
        *(partial(_group, stack, group) for group in groups),
        lambda: (
            undetermined(f"{name} names a security group that is not of this stack: whom it lets in, nobody can say here")
            if foreign or not groups
            else PASS
        ),
    )


def _group(stack: Stack, group: Resource) -> Verdict:
    related = [(rule, means(rule, "securityGroupId", group)) for rule in stack.of_type(INGRESS_RULE, OLD_RULE)]
    unclear = [rule.name for rule, belongs in related if belongs is None]
    holders = [group, *(rule for rule, belongs in related if belongs)]
    return each(
        *(partial(_holder, stack, group, holder) for holder in holders),
        lambda: undetermined(f"{unclear[0]}: securityGroupId is not known before the update") if unclear else PASS,
    )


def _holder(stack: Stack, group: Resource, holder: Resource) -> Verdict:
    return all_of(_opening(stack, group, holder, opening) for opening in existing(holder, inward=True))


def _opening(stack: Stack, group: Resource, holder: Resource, opening: Opening) -> Verdict:
    view = opening.view
    networks = [name for name in NETWORKS if view.raw(name) not in (None, [], "")]
    if networks:
        return fail(f"{holder.name}: {view.path(networks[0])} lets in a network, not the workloads' security group")
    sources = [name for name in SOURCES if view.raw(name) not in (None, [], "")]
    return all_of(
        _source(stack, group, holder, source, opening.view.path(name))
        for name in sources
        for source in _meant(stack, holder, opening, name)
    )


def _meant(stack: Stack, holder: Resource, opening: Opening, name: str) -> Iterator[Resource | None]:
    """The groups (or the cluster whose group it is) that ``name`` means; None for one that is not of the stack."""
    # The engine knows edges by a resource's own properties alone: of an inline rule, by `ingress`.
    outermost = "ingress" if holder.type in GROUPS else name
    value = opening.view.raw(name)
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield next((target for target in stack.of_type(*GROUPS, EKS) if item in _identities(target)), None)
            continue
        edges = [stack.by_urn[urn] for urn in holder.property_dependencies.get(outermost, ()) if urn in stack.by_urn]
        targets: list[Resource | None] = [target for target in edges if target.type in (*GROUPS, EKS)]
        yield from targets or [None]


def _identities(target: Resource) -> set[str]:
    """A cluster's own security group is known by an identifier within its outputs."""
    network = target.view.raw("vpcConfig")
    own = network.get("clusterSecurityGroupId") if isinstance(network, dict) else None
    return identities(target) | ({own} if isinstance(own, str) else set())


def _source(stack: Stack, group: Resource, holder: Resource, source: Resource | None, path: str) -> Verdict:
    if source is None:
        return undetermined(f"{holder.name}: {path} is no security group of this stack, so whose it is cannot be told")
    if source.type == EKS or source.urn == group.urn or _is_workloads(stack, source):
        return PASS
    return fail(f"{holder.name}: {path} is {show(source.name)}, in which no workload of this stack runs")


def _is_workloads(stack: Stack, group: Resource) -> bool:
    return any(
        means(workload, name, group) for kind, names in WORKLOADS.items() for workload in stack.of_type(kind) for name in names
    )


_READS: Final = ("securityGroupIds",)

RULES: Final = (
    Rule(
        id="R62",
        name="redis-ingress",
        title="Redis is reached from the workloads' security groups alone",
        severity=Severity.HIGH,
        controls=("8.22", "8.20"),
        remedy="let the ingress rules of Redis' security group name the group of the pods or tasks (referencedSecurityGroupId)",
        link=links.MANAGED_REDIS_NETWORK,
        relations=(
            Relation(
                reads={
                    CLUSTER: _READS,
                    REPLICATION_GROUP: _READS,
                    SERVERLESS: _READS,
                    CACHE: (*_READS, "engine", "replicationGroupId"),
                    GROUP: ("ingress",),
                    DEFAULT_GROUP: ("ingress",),
                    INGRESS_RULE: ("securityGroupId", "referencedSecurityGroupId", "cidrIpv4", "cidrIpv6", "prefixListId"),
                    OLD_RULE: (
                        "securityGroupId",
                        "sourceSecurityGroupId",
                        "cidrBlocks",
                        "ipv6CidrBlocks",
                        "prefixListIds",
                        "type",
                    ),
                    **WORKLOADS,
                },
                judge=from_workloads_alone,
            ),
        ),
    ),
)
