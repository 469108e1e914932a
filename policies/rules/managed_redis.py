"""Redis as AWS runs it (MemoryDB, ElastiCache): encrypted, over several zones, with snapshots, and who may log in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.given import is_given
from policies.managed_redis import (
    ACL,
    CACHE,
    CACHE_USER,
    CLUSTER,
    REPLICATION_GROUP,
    SERVERLESS,
    SUBNET,
    SUBNET_GROUPS,
    USER,
    USER_GROUP,
    USER_GROUP_MEMBER,
    is_redis_alone,
)
from policies.relations import means, meant
from policies.resource import Resource, Stack
from policies.rule import (
    PASS,
    Check,
    Finding,
    Relation,
    Remediation,
    Rule,
    Severity,
    Verdict,
    all_of,
    each,
    fail,
    found,
    undetermined,
)
from policies.rules import links, redis_network
from policies.show import show
from policies.values import UNKNOWN, Value

SHORTEST_SNAPSHOTS_DAYS: Final = 7
FEWEST_ZONES: Final = 2
OPEN_ACL: Final = "open-access"  # MemoryDB's own list, by which everybody may do everything
NO_PASSWORD: Final = ("no-password", "no-password-required")
# Valkey's groups are encrypted unless somebody says no; Redis OSS' are not unless somebody says yes.
ENCRYPTED_BY_DEFAULT: Final = "valkey"


def logs_in(stack: Stack) -> Sequence[Finding]:
    """R08, of what AWS runs."""
    return [
        *(found(each, partial(_memorydb_users, stack, each)) for each in stack.of_type(CLUSTER)),
        *(found(each, partial(_group_users, stack, each)) for each in stack.of_type(REPLICATION_GROUP)),
        *(found(each, partial(_serverless_users, stack, each)) for each in stack.of_type(SERVERLESS)),
        *(
            found(each, lambda: fail("a cache without a replication group has neither a token nor users: make it one"))
            for each in stack.of_type(CACHE)
            if is_redis_alone(each)
        ),
    ]


def _memorydb_users(stack: Stack, cluster: Resource) -> Verdict:
    if cluster.view.raw("aclName") == OPEN_ACL:
        return fail(f"aclName is {OPEN_ACL}: whoever reaches the port may read and write all events")
    lists = meant(stack, cluster, "aclName", (ACL,))
    if not lists:
        return _elsewhere(cluster, "aclName")
    users = [user for acl in lists for user in meant(stack, acl, "userNames", (USER,))]
    if not users:
        return _elsewhere(lists[0], "userNames")
    return each(*(partial(_user, user) for user in users))


def _group_users(stack: Stack, group: Resource) -> Verdict:
    if any(name in group.view for name in ("authToken", "authTokenWo")):  # no provider computes one
        return PASS
    return _users_of(stack, group, "userGroupIds")


def _serverless_users(stack: Stack, cache: Resource) -> Verdict:
    return PASS if cache.view.raw("engine") == "memcached" else _users_of(stack, cache, "userGroupId")


def _users_of(stack: Stack, cache: Resource, name: str) -> Verdict:
    if not is_given(cache, name) or cache.view.raw(name) == []:
        return fail(f"{name} is not set, nor is an authToken: whoever reaches the port may read and write all events")
    groups = meant(stack, cache, name, (USER_GROUP,))
    if not groups:
        return _elsewhere(cache, name)
    members = [
        *(user for group in groups for user in meant(stack, group, "userIds", (CACHE_USER,))),
        *(
            user
            for link in stack.of_type(USER_GROUP_MEMBER)
            if any(means(link, "userGroupId", group) for group in groups)
            for user in meant(stack, link, "userId", (CACHE_USER,))
        ),
    ]
    return each(*(partial(_user, user) for user in members)) if members else _elsewhere(groups[0], "userIds")


def _user(user: Resource) -> Verdict:
    view = user.view
    mode = view.mapping("authenticationMode") if is_given(user, "authenticationMode") else None
    kind = mode.text("type") if mode else None
    opened = view.boolean("noPasswordRequired") if is_given(user, "noPasswordRequired") else False
    words = (view.text("accessString") or "").lower().split()
    if words[:1] == ["off"]:
        return PASS
    if kind in NO_PASSWORD or opened or "nopass" in words:
        return fail(f"the user {show(user.name)} needs no password")
    return PASS


def _elsewhere(resource: Resource, name: str) -> Verdict:
    return undetermined(f"{name} of {show(resource.name)} names nothing of this stack, so nobody can say who may log in")


def minor_upgrades(cache: Resource) -> Verdict:
    """ElastiCache's Cluster has a text where the others have a boolean; without a word AWS upgrades."""
    value = cache.view.raw("autoMinorVersionUpgrade")
    if cache.type == CACHE and isinstance(value, str):
        said = cache.view.text("autoMinorVersionUpgrade") != "false"
    else:
        said = cache.view.boolean("autoMinorVersionUpgrade") is not False
    return PASS if said else fail("autoMinorVersionUpgrade is false: mends of holes wait for somebody's hand")


def upgraded(cache: Resource) -> dict[tuple[str, ...], Value]:
    return {("autoMinorVersionUpgrade",): "true" if cache.type == CACHE else True}


def snapshots_kept(cache: Resource) -> Verdict:
    if cache.type == CACHE and not is_redis_alone(cache):
        return PASS
    days = cache.view.integer("snapshotRetentionLimit") or 0
    if days >= SHORTEST_SNAPSHOTS_DAYS:
        return PASS
    return fail(f"snapshotRetentionLimit is {days}: fewer than {SHORTEST_SNAPSHOTS_DAYS} days of snapshots")


def encrypted(cache: Resource) -> Verdict:
    view = cache.view
    if cache.type == CLUSTER:
        # At rest MemoryDB encrypts always.
        return (
            PASS
            if view.boolean("tlsEnabled") is not False
            else fail("tlsEnabled is false: passwords cross the network in plain")
        )
    if cache.type == CACHE:
        if not is_redis_alone(cache):
            return PASS
        return fail("a cache without a replication group is not encrypted at rest: make it one")
    return each(
        partial(_says_yes, cache, "atRestEncryptionEnabled"),
        partial(_says_yes, cache, "transitEncryptionEnabled"),
        lambda: (
            fail("transitEncryptionMode is preferred: clients may do without TLS")
            if view.text("transitEncryptionMode") == "preferred"
            else PASS
        ),
    )


def _says_yes(cache: Resource, name: str) -> Verdict:
    said = cache.view.boolean(name)
    if said is None and cache.view.text("engine") == ENCRYPTED_BY_DEFAULT:
        return PASS
    return PASS if said else fail(f"{name} is {'false' if said is False else 'not set'}")


def fails_over(stack: Stack) -> Sequence[Finding]:
    return [
        *(found(each, partial(_memorydb, stack, each)) for each in stack.of_type(CLUSTER)),
        *(found(each, partial(_replication, stack, each)) for each in stack.of_type(REPLICATION_GROUP)),
        *(found(each, partial(_in_zones, stack, each, "subnetIds")) for each in stack.of_type(SERVERLESS)),
        *(
            found(each, lambda: fail("a cache without a replication group is one server: nothing takes its place"))
            for each in stack.of_type(CACHE)
            if is_redis_alone(each)
        ),
    ]


def _memorydb(stack: Stack, cluster: Resource) -> Verdict:
    replicas = cluster.view.integer("numReplicasPerShard") if is_given(cluster, "numReplicasPerShard") else 1
    return each(
        lambda: PASS if replicas else fail("numReplicasPerShard is 0: nothing takes the place of a server that fails"),
        partial(_grouped_zones, stack, cluster),
    )


def _replication(stack: Stack, group: Resource) -> Verdict:
    view = group.view
    return each(
        lambda: PASS if view.boolean("automaticFailoverEnabled") else fail("automaticFailoverEnabled is not true"),
        lambda: PASS if view.boolean("multiAzEnabled") else fail("multiAzEnabled is not true: all servers may be in one zone"),
        lambda: (
            PASS
            if _count(group, "replicasPerNodeGroup") > 0 or _count(group, "numCacheClusters") > 1
            else fail("neither replicasPerNodeGroup nor numCacheClusters asks for a replica")
        ),
        partial(_grouped_zones, stack, group),
    )


def _count(group: Resource, name: str) -> int:
    return (group.view.integer(name) or 0) if is_given(group, name) else 0


def _grouped_zones(stack: Stack, cache: Resource) -> Verdict:
    groups = meant(stack, cache, "subnetGroupName", SUBNET_GROUPS)
    if not groups and is_given(cache, "subnetGroupName"):
        cache.view.text("subnetGroupName")  # known, and so somebody else's, whose zones are their business
    return all_of(_in_zones(stack, group, "subnetIds") for group in groups)


def _in_zones(stack: Stack, holder: Resource, name: str) -> Verdict:
    """Where subnets are not the stack's own, their zones are their owner's business."""
    subnets = meant(stack, holder, name, (SUBNET,))
    if not subnets:
        if is_given(holder, name):
            holder.view.texts(name)  # known, and so somebody else's
        return PASS
    names = [subnet.view.raw("availabilityZone") or subnet.view.raw("availabilityZoneId") for subnet in subnets]
    zones = {zone for zone in names if isinstance(zone, str)}
    if len(zones) >= FEWEST_ZONES:
        return PASS
    if any(zone is UNKNOWN for zone in names) and len(subnets) >= FEWEST_ZONES:
        return undetermined(f"{name}: the zones of the subnets are not known before the update")
    return fail(f"{name} leads into one zone alone: with it goes the service")


_ALL: Final = (CLUSTER, REPLICATION_GROUP, CACHE)
_WHICH: Final = ("engine", "replicationGroupId")  # decide whether a cache is Redis, and alone

AUTHENTICATION: Final = Relation(
    reads={
        CLUSTER: ("aclName",),
        ACL: ("userNames",),
        USER: ("authenticationMode", "accessString"),
        REPLICATION_GROUP: ("authToken", "authTokenWo", "userGroupIds"),
        SERVERLESS: ("userGroupId",),
        USER_GROUP: ("userIds",),
        USER_GROUP_MEMBER: ("userGroupId", "userId"),
        CACHE_USER: ("authenticationMode", "noPasswordRequired", "accessString"),
    },
    judge=logs_in,
)

RULES: Final = (
    Rule(
        id="R26",
        name="redis-minor-upgrades",
        title="Minor upgrades of the Redis service are automatic",
        severity=Severity.LOW,
        controls=("8.8",),
        remedy="leave autoMinorVersionUpgrade on, and say when in maintenanceWindow",
        link=links.MANAGED_REDIS_VERSIONS,
        checks=(Check(types=_ALL, properties=("autoMinorVersionUpgrade",), judge=minor_upgrades),),
        remediation=Remediation(types=_ALL, propose=upgraded),
    ),
    Rule(
        id="R40",
        name="redis-snapshots",
        title="Snapshots of Redis are kept for 7 days or longer",
        severity=Severity.MEDIUM,
        controls=("8.13",),
        remedy="set snapshotRetentionLimit to 7 or more",
        link=links.MANAGED_REDIS_SNAPSHOTS,
        checks=(
            Check(types=(CLUSTER, REPLICATION_GROUP, SERVERLESS), properties=("snapshotRetentionLimit",), judge=snapshots_kept),
            Check(types=(CACHE,), properties=("snapshotRetentionLimit", *_WHICH), judge=snapshots_kept),
        ),
    ),
    Rule(
        id="R41",
        name="redis-failover",
        title="Redis fails over across zones",
        severity=Severity.HIGH,
        controls=("8.14", "5.30"),
        remedy="give each shard a replica, in a subnet group of two zones or more; for ElastiCache, automatic failover as well",
        link=links.MANAGED_REDIS_ZONES,
        relations=(
            Relation(
                reads={
                    CLUSTER: ("numReplicasPerShard", "subnetGroupName"),
                    REPLICATION_GROUP: (
                        "automaticFailoverEnabled",
                        "multiAzEnabled",
                        "replicasPerNodeGroup",
                        "numCacheClusters",
                        "subnetGroupName",
                    ),
                    SERVERLESS: ("subnetIds",),
                    CACHE: _WHICH,
                    **dict.fromkeys(SUBNET_GROUPS, ("subnetIds",)),
                    SUBNET: ("availabilityZone", "availabilityZoneId"),
                },
                judge=fails_over,
            ),
        ),
    ),
    Rule(
        id="R68",
        name="redis-encryption",
        title="Redis is encrypted in transit and at rest",
        severity=Severity.HIGH,
        controls=("8.24", "8.20"),
        remedy="leave tlsEnabled on (MemoryDB); set atRestEncryptionEnabled and transitEncryptionEnabled (ElastiCache)",
        link=links.MANAGED_REDIS_ENCRYPTION,
        checks=(
            Check(types=(CLUSTER,), properties=("tlsEnabled",), judge=encrypted),
            Check(
                types=(REPLICATION_GROUP,),
                properties=("atRestEncryptionEnabled", "transitEncryptionEnabled", "transitEncryptionMode"),
                judge=encrypted,
            ),
            Check(types=(CACHE,), properties=_WHICH, judge=encrypted),
        ),
    ),
    *redis_network.RULES,
)
