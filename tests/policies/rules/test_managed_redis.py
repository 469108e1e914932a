"""What the cases of Redis as AWS runs it do not say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases.managed_redis import EDGE_GROUP, GOOD, REDIS_GROUP, TASKS_GROUP
from cases.theme import Theme

from policies.resource import Resource, Stack
from policies.rule import Outcome, Verdict, all_of, judge, judge_stack
from policies.rules import RULES
from policies.values import UNKNOWN, Secret

ALL = {rule.id: rule for rule in RULES}
THEME = Theme(good=GOOD, cases={})
CACHE = "aws:elasticache/cluster:Cluster"
SERVERLESS = "aws:elasticache/serverlessCache:ServerlessCache"


def of(rule: str, stack: Stack, name: str | None = None) -> Verdict:
    findings = [finding for relation in ALL[rule].relations for finding in judge_stack(relation, stack)]
    return all_of(finding.verdict for finding in findings if name is None or finding.urn.endswith(f"::{name}"))


def said(rule: str, stack: Stack) -> list[Outcome]:
    return [finding.verdict.outcome for relation in ALL[rule].relations for finding in judge_stack(relation, stack)]


def checked(rule: str, resource: Resource) -> Outcome:
    return all_of(judge(check, resource) for check in ALL[rule].checks if resource.type in check.types).outcome


def made(kind: str, name: str, properties: dict[str, Any], **options: Any) -> Resource:
    return Resource(urn=f"urn:pulumi:prod::assistant::{kind}::{name}", type=kind, name=name, properties=properties, **options)


def changed(name: str, changes: dict[str, Any], **options: Any) -> Stack:
    return THEME.stack(THEME.resource(name, changes, **options))


@pytest.mark.parametrize("rule", ["R08", "R41", "R62"])
def test_a_stack_without_redis_has_no_finding(rule: str) -> None:
    assert said(rule, Stack(())) == []
    assert said(rule, Stack((made(CACHE, "memcached", {"engine": "memcached"}),))) == []
    assert said(rule, Stack((made(CACHE, "member", {"engine": "redis", "replicationGroupId": "group"}),))) == []


@pytest.mark.parametrize("rule", ["R08", "R41", "R62"])
def test_a_cache_without_a_replication_group_can_be_none_of_it(rule: str) -> None:
    for properties in ({"engine": "redis"}, {"engine": "valkey", "replicationGroupId": UNKNOWN}, {}):
        assert said(rule, Stack((made(CACHE, "alone", properties),))) == [Outcome.FAIL]
    assert checked("R68", made(CACHE, "alone", {"engine": "redis"})) is Outcome.FAIL


def test_what_is_said_of_a_member_or_of_memcached_is_said_elsewhere() -> None:
    for properties in ({"engine": "memcached"}, {"engine": "redis", "replicationGroupId": "group"}):
        assert checked("R68", made(CACHE, "cache", properties)) is Outcome.PASS
        assert checked("R40", made(CACHE, "cache", properties)) is Outcome.PASS
    assert checked("R40", made(CACHE, "cache", {"engine": "redis"})) is Outcome.FAIL
    assert checked("R40", made(CACHE, "cache", {"engine": "redis", "snapshotRetentionLimit": 7})) is Outcome.PASS


def test_before_anything_exists_the_edges_say_who_is_whose() -> None:
    changes: dict[str, dict[str, Any]] = {
        "cluster": {"aclName": UNKNOWN, "securityGroupIds": [UNKNOWN], "subnetGroupName": UNKNOWN},
        "acl": {"userNames": [UNKNOWN], "name": UNKNOWN},
        "user": {"id": UNKNOWN, "userName": UNKNOWN},
        "subnets": {"subnetIds": [UNKNOWN, UNKNOWN], "name": UNKNOWN},
        "subnet-a": {"id": UNKNOWN},
        "subnet-b": {"id": UNKNOWN},
        "group": {"id": UNKNOWN, "ingress": UNKNOWN},
        "tasks": {"id": UNKNOWN},
        "from-tasks": {"securityGroupId": UNKNOWN, "referencedSecurityGroupId": UNKNOWN},
        "service": {"networkConfiguration/securityGroups": [UNKNOWN]},
        "cache": {"securityGroupIds": UNKNOWN, "userGroupIds": [UNKNOWN], "subnetGroupName": UNKNOWN},
        "cache-users": {"id": UNKNOWN, "userIds": [UNKNOWN]},
        "cache-user": {"id": UNKNOWN},
        "cache-subnets": {"name": UNKNOWN, "subnetIds": UNKNOWN},
    }
    stack = THEME.stack(*(THEME.resource(name, change) for name, change in changes.items()))
    for rule in ("R08", "R41", "R62"):
        assert set(said(rule, stack)) == {Outcome.PASS}, rule


def test_a_list_of_users_from_outside_is_undetermined() -> None:
    assert of("R08", changed("cluster", {"aclName": "somebody-elses"}, linked=False), "cluster").outcome is Outcome.UNDETERMINED
    assert of("R08", changed("acl", {"userNames": ["others"]}, linked=False), "cluster").outcome is Outcome.UNDETERMINED
    assert of("R08", changed("cache", {"userGroupIds": ["others"]}, linked=False), "cache").outcome is Outcome.UNDETERMINED
    assert of("R08", changed("cache-users", {"userIds": ["others"]}, linked=False), "cache").outcome is Outcome.UNDETERMINED


def test_a_token_is_authentication() -> None:
    for token in ("authToken", "authTokenWo"):
        for value in (Secret("s3cr3t-s3cr3t-s3cr3t"), Secret(UNKNOWN), UNKNOWN):
            assert of("R08", changed("cache", {"userGroupIds": None, token: value})).outcome is Outcome.PASS


def test_a_user_that_is_off_logs_in_nowhere() -> None:
    off = {"accessString": "off ~* nopass", "authenticationMode/type": "no-password-required"}
    assert of("R08", changed("cache-user", off)).outcome is Outcome.PASS


def test_each_user_counts_also_one_that_is_associated_later() -> None:
    opened = made("aws:elasticache/user:User", "eve", {"id": "eve", "accessString": "on ~*", "noPasswordRequired": True})
    link = made("aws:elasticache/userGroupAssociation:UserGroupAssociation", "link", {"userGroupId": "users", "userId": "eve"})
    good = THEME.stack()
    assert of("R08", Stack((*good.resources, opened))).outcome is Outcome.PASS
    assert of("R08", Stack((*good.resources, opened, link))).outcome is Outcome.FAIL
    other = replace(link, properties={"userGroupId": "others", "userId": "eve"})
    assert of("R08", Stack((*good.resources, opened, other))).outcome is Outcome.PASS


def test_what_the_provider_will_compute_of_a_user_is_no_open_door() -> None:
    computed = {"authenticationMode": UNKNOWN, "noPasswordRequired": UNKNOWN}
    assert of("R08", changed("cache-user", computed)).outcome is Outcome.PASS


def test_a_serverless_cache_needs_a_group_of_users_and_two_zones() -> None:
    def stack(properties: dict[str, Any]) -> Stack:
        return Stack((*THEME.stack().resources, made(SERVERLESS, "serverless", {"engine": "valkey", **properties})))

    assert of("R08", stack({}), "serverless").outcome is Outcome.FAIL
    assert of("R08", stack({"engine": "memcached"}), "serverless").outcome is Outcome.PASS
    assert of("R08", stack({"userGroupId": "users"}), "serverless").outcome is Outcome.PASS
    assert of("R41", stack({"subnetIds": ["subnet-a"]}), "serverless").outcome is Outcome.FAIL
    assert of("R41", stack({"subnetIds": ["subnet-a", "subnet-b"]}), "serverless").outcome is Outcome.PASS
    assert checked("R40", made(SERVERLESS, "serverless", {"snapshotRetentionLimit": 6})) is Outcome.FAIL
    assert checked("R40", made(SERVERLESS, "serverless", {"snapshotRetentionLimit": 7})) is Outcome.PASS


def test_minor_upgrades_are_on_unless_somebody_says_no() -> None:
    assert checked("R26", THEME.resource("cluster", {"autoMinorVersionUpgrade": None})) is Outcome.PASS
    assert checked("R26", made(CACHE, "cache", {"autoMinorVersionUpgrade": "true"})) is Outcome.PASS
    assert checked("R26", made(CACHE, "cache", {"autoMinorVersionUpgrade": "false"})) is Outcome.FAIL
    assert checked("R26", made(CACHE, "cache", {"autoMinorVersionUpgrade": False})) is Outcome.FAIL
    assert checked("R26", made(CACHE, "cache", {"autoMinorVersionUpgrade": Secret("false")})) is Outcome.FAIL


def test_memorydb_encrypts_unless_somebody_says_no_and_so_does_valkey() -> None:
    assert checked("R68", THEME.resource("cluster", {"tlsEnabled": None})) is Outcome.PASS
    nothing = {"atRestEncryptionEnabled": None, "transitEncryptionEnabled": None, "transitEncryptionMode": None}
    assert checked("R68", THEME.resource("cache", {**nothing, "engine": "valkey"})) is Outcome.PASS
    assert checked("R68", THEME.resource("cache", nothing)) is Outcome.FAIL
    said_no = {"atRestEncryptionEnabled": False, "engine": "valkey"}
    assert checked("R68", THEME.resource("cache", said_no)) is Outcome.FAIL


def test_a_replica_is_one_by_default_in_memorydb_and_asked_for_in_elasticache() -> None:
    assert of("R41", changed("cluster", {"numReplicasPerShard": None}), "cluster").outcome is Outcome.PASS
    assert of("R41", changed("cluster", {"numReplicasPerShard": 1}), "cluster").outcome is Outcome.PASS
    by_shard = changed("cache", {"numCacheClusters": None, "replicasPerNodeGroup": 1})
    assert of("R41", by_shard, "cache").outcome is Outcome.PASS
    computed = changed("cache", {"numCacheClusters": UNKNOWN, "replicasPerNodeGroup": UNKNOWN})
    assert of("R41", computed, "cache").outcome is Outcome.FAIL
    assert of("R41", changed("cache", {"multiAzEnabled": None}), "cache").outcome is Outcome.FAIL


def test_zones_that_are_not_known_are_undetermined_unless_there_is_one_subnet() -> None:
    unknown = [THEME.resource(name, {"availabilityZone": UNKNOWN}) for name in ("subnet-a", "subnet-b")]
    assert of("R41", THEME.stack(*unknown), "cluster").outcome is Outcome.UNDETERMINED
    one = THEME.resource("subnets", {"subnetIds": ["subnet-a"]}, linked=False)
    assert of("R41", THEME.stack(*unknown, one), "cluster").outcome is Outcome.FAIL
    by_id = [
        THEME.resource(name, {"availabilityZone": None, "availabilityZoneId": f"euc1-az{number}"})
        for number, name in enumerate(("subnet-a", "subnet-b"))
    ]
    assert of("R41", THEME.stack(*by_id), "cluster").outcome is Outcome.PASS


def test_subnets_of_somebody_elses_are_their_owners_business() -> None:
    assert of("R41", changed("subnets", {"subnetIds": ["subnet-x"]}, linked=False), "cluster").outcome is Outcome.PASS
    assert of("R41", changed("cluster", {"subnetGroupName": "theirs"}, linked=False), "cluster").outcome is Outcome.PASS
    partly = changed("subnets", {"subnetIds": ["subnet-x", UNKNOWN]}, linked=False)
    assert of("R41", partly, "cluster").outcome is Outcome.UNDETERMINED


def test_the_clusters_own_group_is_the_pods_by_edge_or_by_value() -> None:
    cluster = made("aws:eks/cluster:Cluster", "eks", {"name": "x", "vpcConfig": {"clusterSecurityGroupId": "sg-cluster"}})
    rule = THEME.resource("from-tasks", {"referencedSecurityGroupId": "sg-cluster"}, linked=False)
    by_value = Stack((*THEME.stack(rule).resources, cluster))
    assert of("R62", by_value, "cluster").outcome is Outcome.PASS
    unknown = THEME.resource("from-tasks", {"referencedSecurityGroupId": UNKNOWN})
    edges = {"securityGroupId": (THEME.urn("group"),), "referencedSecurityGroupId": (cluster.urn,)}
    by_edge = Stack((*THEME.stack(replace(unknown, property_dependencies=edges)).resources, cluster))
    assert of("R62", by_edge, "cluster").outcome is Outcome.PASS
    assert of("R62", THEME.stack(rule), "cluster").outcome is Outcome.UNDETERMINED


@pytest.mark.parametrize(
    ("kind", "properties", "outcome"),
    [
        ("aws:ec2/launchTemplate:LaunchTemplate", {"networkInterfaces": [{"securityGroups": [TASKS_GROUP]}]}, Outcome.PASS),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"vpcSecurityGroupIds": [TASKS_GROUP]}, Outcome.PASS),
        ("aws:lambda/function:Function", {"vpcConfig": {"securityGroupIds": [TASKS_GROUP]}}, Outcome.PASS),
        ("aws:eks/cluster:Cluster", {"vpcConfig": {"securityGroupIds": [TASKS_GROUP]}}, Outcome.PASS),
        (
            "kubernetes:vpcresources.k8s.aws/v1beta1:SecurityGroupPolicy",
            {"spec": {"securityGroups": {"groupIds": [TASKS_GROUP]}}},
            Outcome.PASS,
        ),
        ("aws:lb/loadBalancer:LoadBalancer", {"securityGroups": [TASKS_GROUP]}, Outcome.FAIL),
        ("aws:ec2/instance:Instance", {"vpcSecurityGroupIds": [TASKS_GROUP]}, Outcome.FAIL),
    ],
)
def test_workloads_are_what_runs_the_assistant_and_nothing_else(
    kind: str, properties: dict[str, Any], outcome: Outcome
) -> None:
    stack = THEME.stack(without=("service",))
    assert of("R62", Stack((*stack.resources, made(kind, "other", properties))), "cluster").outcome is outcome


def test_rules_of_the_older_type_and_inline_count_too() -> None:
    kind = "aws:ec2/securityGroupRule:SecurityGroupRule"

    def judged(properties: dict[str, Any]) -> Outcome:
        rule = made(kind, "older", {"type": "ingress", "securityGroupId": REDIS_GROUP, **properties})
        return of("R62", Stack((*THEME.stack().resources, rule)), "cluster").outcome

    assert judged({"sourceSecurityGroupId": TASKS_GROUP}) is Outcome.PASS
    assert judged({"self": True}) is Outcome.PASS
    assert judged({"sourceSecurityGroupId": EDGE_GROUP}) is Outcome.FAIL
    assert judged({"cidrBlocks": ["10.0.0.1/32"]}) is Outcome.FAIL
    assert judged({"cidrBlocks": [], "ipv6CidrBlocks": ["fd00::/8"]}) is Outcome.FAIL
    assert judged({"prefixListIds": ["pl-1"]}) is Outcome.FAIL
    assert judged({"cidrBlocks": ["0.0.0.0/0"], "type": "egress"}) is Outcome.PASS
    assert judged({"cidrBlocks": ["0.0.0.0/0"], "securityGroupId": TASKS_GROUP}) is Outcome.PASS
    assert judged({"sourceSecurityGroupId": TASKS_GROUP, "securityGroupId": UNKNOWN}) is Outcome.UNDETERMINED
    inline = changed(
        "group", {"ingress": [{"securityGroups": [TASKS_GROUP]}, {"securityGroups": [REDIS_GROUP]}, {"self": True}]}
    )
    assert of("R62", inline, "cluster").outcome is Outcome.PASS


def test_an_inline_rule_of_an_unknown_source_is_told_by_the_groups_edges() -> None:
    group = THEME.resource("group", {"ingress": [{"securityGroups": [UNKNOWN]}]})

    def judged(*sources: str) -> Outcome:
        edges = {"ingress": tuple(THEME.urn(source) for source in sources)}
        return of("R62", THEME.stack(replace(group, property_dependencies=edges)), "cluster").outcome

    assert judged("tasks") is Outcome.PASS
    assert judged("edge") is Outcome.FAIL
    assert judged("tasks", "edge") is Outcome.FAIL
    assert judged("subnet-a") is Outcome.UNDETERMINED
    assert judged() is Outcome.UNDETERMINED


def test_a_group_that_is_not_the_stacks_is_undetermined() -> None:
    two = changed("cluster", {"securityGroupIds": [REDIS_GROUP, "sg-theirs"]}, linked=False)
    assert of("R62", two, "cluster").outcome is Outcome.UNDETERMINED
    theirs = changed("cluster", {"securityGroupIds": ["sg-theirs"]}, linked=False)
    assert of("R62", theirs, "cluster").outcome is Outcome.UNDETERMINED
    opened = THEME.resource("from-tasks", {"cidrIpv4": "10.0.0.0/8"})
    both = THEME.stack(opened, THEME.resource("cluster", {"securityGroupIds": [REDIS_GROUP, "sg-theirs"]}))
    assert of("R62", both, "cluster").outcome is Outcome.FAIL


def test_redis_that_nobody_reaches_is_no_finding() -> None:
    assert of("R62", THEME.stack(without=("from-tasks",)), "cluster").outcome is Outcome.PASS
