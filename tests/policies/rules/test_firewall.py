"""What the cases of the rules on security groups do not say."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from cases.firewall import EGRESS, EVERYWHERE, GROUP, INGRESS, THEME

from policies.networks import PRIVATE, is_private, is_world
from policies.resource import Resource, Stack
from policies.rule import Outcome, Verdict, all_of, judge, judge_stack
from policies.rules import RULES
from policies.values import UNKNOWN

ALL = {rule.id: rule for rule in RULES}
PASS, FAIL, UNDETERMINED = Outcome.PASS, Outcome.FAIL, Outcome.UNDETERMINED
# What decides, by rule and type: it must not be among what Pulumi ignores.
READ = {
    "R36": {
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "egress",
        "aws:ec2/securityGroup:SecurityGroup": "egress",
        "aws:ec2/securityGroupRule:SecurityGroupRule": "cidrBlocks fromPort ipv6CidrBlocks prefixListIds protocol toPort type",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "cidrIpv4 cidrIpv6 fromPort ipProtocol prefixListId toPort",
    },
    "R55": {
        "aws:alb/loadBalancer:LoadBalancer": "internal securityGroups",
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "ingress",
        "aws:ec2/instance:Instance": "networkInterfaces vpcSecurityGroupIds",
        "aws:ec2/launchTemplate:LaunchTemplate": "networkInterfaces vpcSecurityGroupIds",
        "aws:ec2/networkInterface:NetworkInterface": "securityGroups",
        "aws:ec2/securityGroup:SecurityGroup": "ingress",
        "aws:ec2/securityGroupRule:SecurityGroupRule": "cidrBlocks fromPort ipv6CidrBlocks prefixListIds "
        "protocol securityGroupId toPort type",
        "aws:ecs/service:Service": "networkConfiguration",
        "aws:eks/cluster:Cluster": "vpcConfig",
        "aws:elasticache/replicationGroup:ReplicationGroup": "securityGroupIds",
        "aws:elb/loadBalancer:LoadBalancer": "internal securityGroups",
        "aws:lambda/function:Function": "vpcConfig",
        "aws:lb/loadBalancer:LoadBalancer": "internal securityGroups",
        "aws:memorydb/cluster:Cluster": "securityGroupIds",
        "aws:rds/cluster:Cluster": "vpcSecurityGroupIds",
        "aws:rds/instance:Instance": "vpcSecurityGroupIds",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "cidrIpv4 cidrIpv6 fromPort ipProtocol "
        "prefixListId securityGroupId toPort",
        "kubernetes:core/v1:Service": "metadata spec",
        "pulumi-python:dynamic/aws:ModelTask": "securityGroups",
    },
    "R56": {
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "egress ingress vpcId",
    },
}
OLD = "aws:ec2/securityGroupRule:SecurityGroupRule"
LIST, ENTRY = "aws:ec2/managedPrefixList:ManagedPrefixList", "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry"


def made(kind: str, name: str, properties: dict[str, Any], **edges: str) -> Resource:
    """A resource beside the theme's; ``edges``: the names, in the theme, of what a property was computed from."""
    refers = {key: (THEME.urn(target) if target in THEME.good else target,) for key, target in edges.items()}
    urn = f"urn:pulumi:prod::assistant::{kind}::{name}"
    return Resource(urn=urn, type=kind, name=name, properties=properties, property_dependencies=refers)


def judged(rule_id: str, *resources: Resource, stack: Stack | None = None) -> Verdict:
    """Checks on ``resources`` and relations on the good stack with them (those of the same name replaced)."""
    names = {resource.name for resource in resources}
    whole = stack or Stack((*(each for each in THEME.stack().resources if each.name not in names), *resources))
    rule = ALL[rule_id]
    said = [judge(check, each) for each in whole.resources for check in rule.checks if each.type in check.types]
    return all_of([*said, *(found.verdict for relation in rule.relations for found in judge_stack(relation, whole))])


def ingress(name: str, cidr: str, port: int, group: str = "tasks", **more: Any) -> Resource:
    properties = {"securityGroupId": UNKNOWN, "cidrIpv4": cidr, "ipProtocol": "tcp", "fromPort": port, "toPort": port, **more}
    return made(INGRESS, name, {key: value for key, value in properties.items() if value is not None}, securityGroupId=group)


def egress(name: str, cidr: str | None, first: int, last: int, **more: Any) -> Resource:
    properties = {"securityGroupId": UNKNOWN, "cidrIpv4": cidr, "ipProtocol": "tcp", "fromPort": first, "toPort": last, **more}
    return made(EGRESS, name, {key: value for key, value in properties.items() if value is not None}, securityGroupId="tasks")


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        (["0.0.0.0/0"], True),
        (["128.0.0.0/1"], True),
        (["3.0.0.0/7"], True),
        (["3.0.0.0/8"], False),
        (["3.0.0.0/8", "5.0.0.0/32"], True),
        (["3.0.0.0/8", "3.1.0.0/16"], False),
        (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"], False),
        (["10.0.0.0/7"], True),
        (["::/0"], True),
        (["2000::/3"], True),
        (["2600::/16"], False),
        (["2600::/15"], True),
        (["fc00::/7", "fe80::/10"], False),
        (["3.0.0.0/8", "2600::/16"], False),
        ([], False),
    ],
)
def test_the_world_is_more_than_anybody_was_given(networks: list[str], expected: bool) -> None:
    assert is_world([ipaddress.ip_network(text, strict=False) for text in networks]) is expected


PRIVATE_TEXTS = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
]


def test_private_networks_are_those_of_the_standard_and_what_lies_within() -> None:
    assert [str(network) for network in PRIVATE] == PRIVATE_TEXTS
    assert is_private(ipaddress.ip_network("192.168.4.0/24"))
    assert not is_private(ipaddress.ip_network("192.169.0.0/24"))
    assert not is_private(ipaddress.ip_network("172.0.0.0/8"))


def test_protocols_may_be_numbers_and_networks_hosts() -> None:
    assert judged("R55", ingress("a", EVERYWHERE, 443, group="edge", ipProtocol="6")).outcome is PASS
    assert judged("R55", ingress("a", EVERYWHERE, 443, group="edge", ipProtocol="17")).outcome is FAIL
    assert judged("R55", ingress("a", "203.0.113.7/24", 22)).outcome is PASS
    assert "every protocol" in judged("R36", egress("a", EVERYWHERE, 443, 443, ipProtocol=None)).reasons[0]
    assert judged("R36", egress("a", EVERYWHERE, 0, 443)).outcome is PASS


def test_https_to_anywhere_and_a_private_network_on_every_port_are_no_unrestricted_way_out() -> None:
    assert judged("R36", egress("a", EVERYWHERE, 443, 443)).outcome is PASS
    assert judged("R36", egress("a", "10.0.0.0/8", 0, 65535)).outcome is PASS
    assert judged("R36", egress("a", None, 0, 65535, referencedSecurityGroupId="sg-1")).outcome is PASS
    assert judged("R36", egress("a", EVERYWHERE, -1, -1, ipProtocol="icmp")).outcome is PASS


def test_more_than_half_of_the_ports_is_every_port() -> None:
    assert judged("R36", egress("a", EVERYWHERE, 1, 32767)).outcome is PASS
    assert judged("R36", egress("a", EVERYWHERE, 0, 32767)).outcome is PASS
    assert judged("R36", egress("a", EVERYWHERE, 0, 32768)).outcome is FAIL


def test_ports_that_are_not_said_are_every_port() -> None:
    for missing in ({"fromPort": None}, {"toPort": None}, {"fromPort": -1, "toPort": -1}, {"ipProtocol": None}):
        assert judged("R36", egress("a", EVERYWHERE, 443, 443, **missing)).outcome is FAIL, missing


def test_all_ports_in_two_rules_are_all_ports() -> None:
    halves = egress("a", EVERYWHERE, 0, 30000), egress("b", EVERYWHERE, 30001, 65535, ipProtocol="tcp")
    verdict = judged("R36", halves[0], egress("b", EVERYWHERE, 30001, 60000))
    assert verdict.outcome is FAIL
    assert "together" in verdict.reasons[0]
    assert judged("R36", halves[0]).outcome is PASS


def test_the_world_in_pieces_is_the_world_both_ways() -> None:
    pieces = [f"{first}.0.0.0/8" for first in range(20, 24)]
    out = [egress(f"out-{number}", piece, 0, 65535) for number, piece in enumerate(pieces)]
    assert "together" in judged("R36", *out).reasons[0]
    assert judged("R36", out[0]).outcome is PASS
    narrow = [egress(f"out-{number}", piece, 443, 443) for number, piece in enumerate(pieces)]
    assert judged("R36", *narrow).outcome is PASS
    inward = [ingress(f"in-{number}", piece, 22) for number, piece in enumerate(pieces)]
    assert "together" in judged("R55", *inward).reasons[0]
    assert judged("R55", inward[0]).outcome is PASS
    https = [ingress(f"in-{number}", piece, 443) for number, piece in enumerate(pieces)]
    assert "together" in judged("R55", *https).reasons[0]
    at_the_edge = [ingress(f"in-{number}", piece, 443, group="edge") for number, piece in enumerate(pieces)]
    assert judged("R55", *at_the_edge).outcome is PASS


def test_pieces_in_groups_of_their_own_are_pieces() -> None:
    other = made(GROUP, "other", {"name": "other"})
    pieces = (
        ingress("a", "20.0.0.0/8", 22),
        made(INGRESS, "b", {**ingress("b", "21.0.0.0/8", 22).properties}, securityGroupId=other.urn),
    )
    assert judged("R55", other, *pieces).outcome is PASS


def test_a_group_whose_rules_aws_says_later_holds_none_of_its_own() -> None:
    group = made(GROUP, "tasks", {"name": "x", "ingress": UNKNOWN, "egress": UNKNOWN})
    stack = Stack((*(each for each in THEME.stack().resources if each.name not in ("tasks", "tasks-old")), group))
    for rule_id in ("R55", "R36"):
        relations = ALL[rule_id].relations
        assert all_of(found.verdict for relation in relations for found in judge_stack(relation, stack)).outcome is PASS
        verdicts = [judge(check, group) for check in ALL[rule_id].checks if GROUP in check.types]
        assert all_of(verdicts).outcome is UNDETERMINED


def test_the_edges_group_is_known_by_its_identifier_where_it_has_one() -> None:
    balancer = THEME.resource("balancer", {"securityGroups": ["sg-1"]}, linked=False)
    edge = THEME.resource("edge", {"name": "edge"}, linked=False)
    edge = made(GROUP, "edge", {**edge.properties, "id": "sg-1"})
    known = [THEME.resource(name, {"securityGroupId": "sg-1"}, linked=False) for name in ("edge-in-443", "edge-in-80")]
    assert judged("R55", balancer, edge, *known).outcome is PASS
    other = THEME.resource("edge-in-443", {"securityGroupId": "sg-2"}, linked=False)
    assert judged("R55", balancer, edge, other, known[1]).outcome is FAIL


def test_a_group_that_the_stack_did_not_make_may_be_the_edges() -> None:
    balancer = THEME.resource("balancer", {"securityGroups": ["sg-1"]}, linked=False)
    rules = [THEME.resource(name, {"securityGroupId": "sg-1"}, linked=False) for name in ("edge-in-443", "edge-in-80")]
    rest = [each for each in THEME.stack().resources if not each.name.startswith("edge")]
    others = [each for each in rest if each.name != "balancer"]
    assert judged("R55", stack=Stack((*others, balancer, *rules))).outcome is PASS
    assert judged("R55", stack=Stack((*others, *rules))).outcome is FAIL


def test_whose_group_it_is_may_be_impossible_to_tell() -> None:
    verdict = judged("R55", THEME.resource("balancer", linked=False))
    assert verdict.outcome is UNDETERMINED
    assert "whether the group is the load balancer's" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("kind", "properties", "name"),
    [
        ("aws:ecs/service:Service", {"networkConfiguration": {"securityGroups": [UNKNOWN]}}, "networkConfiguration"),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"networkInterfaces": [{"securityGroups": [UNKNOWN]}]}, "networkInterfaces"),
        ("aws:ec2/instance:Instance", {"vpcSecurityGroupIds": [UNKNOWN]}, "vpcSecurityGroupIds"),
        ("aws:memorydb/cluster:Cluster", {"securityGroupIds": [UNKNOWN]}, "securityGroupIds"),
    ],
)
def test_the_edges_group_is_worn_by_the_load_balancer_alone(kind: str, properties: dict[str, Any], name: str) -> None:
    assert judged("R55", made(kind, "other", properties, **{name: "tasks"})).outcome is PASS
    verdict = judged("R55", made(kind, "other", properties, **{name: "edge"}))
    assert verdict.outcome is FAIL
    assert "other wears the load balancer's group" in verdict.reasons[0]


def test_a_prefix_list_of_the_stacks_is_what_it_holds() -> None:
    narrow = made(LIST, "list", {"name": "partners", "entries": [{"cidr": "203.0.113.0/24"}]})
    wide = made(LIST, "list", {"name": "partners", "entries": [{"cidr": "0.0.0.0/1"}]})
    by_list = made(
        INGRESS,
        "listed",
        {"securityGroupId": UNKNOWN, "prefixListId": UNKNOWN, "ipProtocol": "tcp", "fromPort": 22, "toPort": 22},
        securityGroupId="tasks",
        prefixListId=narrow.urn,
    )
    assert judged("R55", narrow, by_list).outcome is PASS
    assert "by a prefix list" in judged("R55", wide, by_list).reasons[0]
    entry = made(ENTRY, "entry", {"cidr": "0.0.0.0/0", "prefixListId": UNKNOWN}, prefixListId=narrow.urn)
    assert "by a prefix list" in judged("R55", narrow, entry, by_list).reasons[0]
    elsewhere = made(ENTRY, "entry", {"cidr": "0.0.0.0/0", "prefixListId": "pl-other"})
    assert judged("R55", narrow, elsewhere, by_list).outcome is PASS
    host = made(LIST, "list", {"entries": [{"cidr": "203.0.113.7/24"}]})
    assert judged("R55", host, by_list).outcome is PASS
    mistyped = made(LIST, "list", {"entries": [{"cidr": "anywhere"}]})
    assert "was expected" in judged("R55", mistyped, by_list).reasons[0]


def test_a_prefix_list_of_somebody_elses_is_undetermined_where_it_matters() -> None:
    foreign = {"cidrIpv4": None, "prefixListId": "pl-1"}
    assert judged("R55", ingress("a", "", 22, **foreign)).outcome is UNDETERMINED
    assert judged("R55", ingress("a", "", 443, group="edge", **foreign)).outcome is PASS
    assert judged("R55", ingress("a", "", 443, **foreign)).outcome is FAIL
    assert judged("R36", egress("a", None, 443, 443, prefixListId="pl-1")).outcome is PASS
    assert judged("R36", egress("a", None, 0, 65535, prefixListId="pl-1")).outcome is UNDETERMINED


def test_an_inline_rule_may_name_prefix_lists_one_of_them_somebody_elses() -> None:
    own = made(LIST, "list", {"id": "pl-1", "entries": [{"cidr": "0.0.0.0/0"}]})
    rule = {"protocol": "tcp", "fromPort": 0, "toPort": 65535, "prefixListIds": ["pl-1"]}
    assert judged("R36", own, made(GROUP, "g", {"egress": [rule]})).outcome is FAIL
    narrow = made(LIST, "list", {"id": "pl-1", "entries": [{"cidr": "203.0.113.0/24"}]})
    assert judged("R36", narrow, made(GROUP, "g", {"egress": [rule]})).outcome is PASS
    both = {**rule, "prefixListIds": ["pl-1", "pl-2"]}
    assert judged("R36", narrow, made(GROUP, "g", {"egress": [both]})).outcome is UNDETERMINED


def test_a_cidr_that_is_none_is_a_finding_that_does_not_repeat_it() -> None:
    verdict = judged("R55", ingress("a", "every-where", 22))
    assert verdict.outcome is FAIL
    assert "every-where" not in verdict.reasons[0]
    assert "cidrIpv4: a network such as 10.0.0.0/16 was expected" in verdict.reasons[0]


def test_a_service_inside_or_for_named_networks_is_no_way_in_for_the_world() -> None:
    odd = {"spec/ports/0/port": 6379}
    internal = {"metadata/annotations": {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"}}
    older = {"metadata/annotations": {"service.beta.kubernetes.io/aws-load-balancer-internal": "true"}}
    assert judged("R55", THEME.resource("service", {**odd, **older})).outcome is PASS
    facing = {"metadata/annotations": {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing"}}
    assert judged("R55", THEME.resource("service", {**odd, **internal})).outcome is PASS
    assert judged("R55", THEME.resource("service", {**odd, **facing})).outcome is FAIL
    assert judged("R55", THEME.resource("service", {**odd, "spec/type": "ClusterIP"})).outcome is PASS
    assert judged("R55", THEME.resource("service", {**odd, "spec/type": None})).outcome is PASS
    assert (
        judged("R55", THEME.resource("service", {**odd, "spec/loadBalancerSourceRanges": ["203.0.113.0/24"]})).outcome is PASS
    )
    assert judged("R55", THEME.resource("service", {**odd, "spec/loadBalancerSourceRanges": [EVERYWHERE]})).outcome is FAIL
    assert judged("R55", THEME.resource("service", {"spec/ports/0/port": 80})).outcome is PASS
    assert judged("R55", THEME.resource("service", {"spec": None})).outcome is PASS


def test_the_default_group_gets_no_rule_from_elsewhere() -> None:
    by_group = made(INGRESS, "a", {"securityGroupId": UNKNOWN, "ipProtocol": "-1"}, securityGroupId="default")
    assert "is a default group" in judged("R56", by_group).reasons[0]
    by_network = made(EGRESS, "a", {"securityGroupId": UNKNOWN, "ipProtocol": "-1"}, securityGroupId="vpc")
    assert "is a default group" in judged("R56", by_network).reasons[0]
    network = THEME.resource("vpc", {"defaultSecurityGroupId": "sg-9"})
    by_value = made(OLD, "a", {"securityGroupId": "sg-9", "type": "ingress"})
    assert "is a default group" in judged("R56", network, by_value).reasons[0]
    assert judged("R56", network, made(OLD, "a", {"securityGroupId": "sg-8", "type": "ingress"})).outcome is PASS


def test_whose_default_group_it_is_may_be_impossible_to_tell_and_another_networks_does_not_count() -> None:
    assert judged("R56", THEME.resource("default", linked=False)).outcome is UNDETERMINED
    assert judged("R56", THEME.resource("default", {"vpcId": "vpc-2"}, linked=False)).outcome is FAIL


def test_a_stack_without_security_groups_has_nothing_to_say() -> None:
    for rule_id in ("R55", "R36", "R56"):
        assert [found for relation in ALL[rule_id].relations for found in judge_stack(relation, Stack(()))] == []


@pytest.mark.parametrize(("rule_id", "kind"), [(rule_id, kind) for rule_id, kinds in READ.items() for kind in kinds])
def test_ignoring_changes_of_what_decides_is_refused(rule_id: str, kind: str) -> None:
    for name in READ[rule_id][kind].split():
        urn = f"urn:pulumi:prod::assistant::{kind}::x"
        resource = Resource(urn=urn, type=kind, name="x", properties={}, ignored_changes=(name,))
        reasons = all_of(judge(check, resource) for check in ALL["R75"].checks if kind in check.types).reasons
        assert any(rule_id in reason for reason in reasons), name
