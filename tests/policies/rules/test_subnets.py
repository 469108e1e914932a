"""What the cases of the rules on networks do not say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cases.subnets import PRIVATE, PUBLIC, THEME, ZONES

from policies.resource import Resource, Stack
from policies.routes import is_public
from policies.rule import Outcome, Verdict, all_of, judge, judge_stack
from policies.rules import RULES
from policies.values import UNKNOWN

ALL = {rule.id: rule for rule in RULES}
PASS, FAIL, UNDETERMINED = Outcome.PASS, Outcome.FAIL, Outcome.UNDETERMINED
# What decides, by rule and type: it must not be among what Pulumi ignores.
READ = {
    "R38": {
        "aws:ec2/vpcEndpoint:VpcEndpoint": "privateDnsEnabled routeTableIds serviceName vpcEndpointType vpcId",
        "aws:ec2/vpcEndpointRouteTableAssociation:VpcEndpointRouteTableAssociation": "vpcEndpointId",
    },
    "R42": {
        "aws:alb/loadBalancer:LoadBalancer": "subnets",
        "aws:autoscaling/group:Group": "vpcZoneIdentifiers",
        "aws:ec2/subnet:Subnet": "availabilityZone availabilityZoneId",
        "aws:ecs/service:Service": "networkConfiguration",
        "aws:eks/cluster:Cluster": "vpcConfig",
        "aws:eks/fargateProfile:FargateProfile": "subnetIds",
        "aws:eks/nodeGroup:NodeGroup": "subnetIds",
        "aws:elasticache/subnetGroup:SubnetGroup": "subnetIds",
        "aws:lambda/function:Function": "vpcConfig",
        "aws:lb/loadBalancer:LoadBalancer": "subnets",
        "aws:memorydb/subnetGroup:SubnetGroup": "subnetIds",
        "aws:rds/subnetGroup:SubnetGroup": "subnetIds",
    },
    "R49": {
        "aws:ec2/flowLog:FlowLog": "trafficType vpcId",
    },
    "R61": {
        "aws:autoscaling/group:Group": "vpcZoneIdentifiers",
        "aws:ec2/defaultRouteTable:DefaultRouteTable": "routes",
        "aws:ec2/defaultSubnet:DefaultSubnet": "mapPublicIpOnLaunch",
        "aws:ec2/eip:Eip": "instance",
        "aws:ec2/eipAssociation:EipAssociation": "instanceId",
        "aws:ec2/instance:Instance": "associatePublicIpAddress subnetId",
        "aws:ec2/launchConfiguration:LaunchConfiguration": "associatePublicIpAddress",
        "aws:ec2/launchTemplate:LaunchTemplate": "networkInterfaces",
        "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation": "routeTableId vpcId",
        "aws:ec2/route:Route": "gatewayId routeTableId",
        "aws:ec2/routeTable:RouteTable": "routes",
        "aws:ec2/routeTableAssociation:RouteTableAssociation": "routeTableId subnetId",
        "aws:ec2/subnet:Subnet": "mapPublicIpOnLaunch",
        "aws:ecs/service:Service": "networkConfiguration",
        "aws:eks/fargateProfile:FargateProfile": "subnetIds",
        "aws:eks/nodeGroup:NodeGroup": "subnetIds",
        "aws:elasticache/subnetGroup:SubnetGroup": "subnetIds",
        "aws:lambda/function:Function": "vpcConfig",
        "aws:memorydb/subnetGroup:SubnetGroup": "subnetIds",
        "aws:rds/subnetGroup:SubnetGroup": "subnetIds",
        "pulumi-python:dynamic/aws:ModelTask": "subnets",
    },
}
TABLE, DEFAULT_TABLE = "aws:ec2/routeTable:RouteTable", "aws:ec2/defaultRouteTable:DefaultRouteTable"
MAIN = "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation"
ROUTE = "aws:ec2/route:Route"


def made(kind: str, name: str, properties: dict[str, Any], **edges: str | tuple[str, ...]) -> Resource:
    refers = {key: tuple(map(urn_of, (target,) if isinstance(target, str) else target)) for key, target in edges.items()}
    urn = f"urn:pulumi:prod::assistant::{kind}::{name}"
    return Resource(urn=urn, type=kind, name=name, properties=properties, property_dependencies=refers)


def urn_of(name: str) -> str:
    return THEME.urn(name) if name in THEME.good else name


def stack_of(*resources: Resource, without: tuple[str, ...] = ()) -> Stack:
    """The good stack with these beside it, or in place of those of the same name."""
    names = {resource.name for resource in resources} | set(without)
    return Stack((*(each for each in THEME.stack().resources if each.name not in names), *resources))


def verdict(rule_id: str, *resources: Resource, without: tuple[str, ...] = ()) -> Verdict:
    stack = stack_of(*resources, without=without)
    return all_of(found.verdict for relation in ALL[rule_id].relations for found in judge_stack(relation, stack))


def one(name: str, changes: dict[str, Any]) -> Outcome:
    resource = THEME.resource(name, changes)
    return all_of(judge(check, resource) for check in ALL["R61"].checks if resource.type in check.types).outcome


def of(kind: str, properties: dict[str, Any]) -> Outcome:
    resource = made(kind, "x", properties)
    return all_of(judge(check, resource) for check in ALL["R61"].checks if kind in check.types).outcome


# Which subnets are public


def public(name: str, *resources: Resource, without: tuple[str, ...] = ()) -> bool | None:
    stack = stack_of(*resources, without=without)
    return is_public(stack, next(each for each in stack.resources if each.name == name))


def test_a_route_to_an_internet_gateway_makes_a_subnet_public() -> None:
    assert [public(name) for name in (*PRIVATE, *PUBLIC)] == [False, False, True, True]
    assert public("public-0", without=("to-world",)) is False


def test_the_gateway_may_be_named_in_plain_whosever_it_is() -> None:
    for target, expected in (("igw-0a1b", True), ("local", False), ("vgw-0a1b", False)):
        named = made(ROUTE, "extra", {"routeTableId": UNKNOWN, "gatewayId": target}, routeTableId="inward")
        assert public("private-0", named) is expected
    own = made("aws:ec2/internetGateway:InternetGateway", "internet", {"id": "own-gateway"})
    named = made(ROUTE, "extra", {"routeTableId": UNKNOWN, "gatewayId": "own-gateway"}, routeTableId="inward")
    assert public("private-0", own, named) is True


def test_routes_may_stand_in_the_table_itself() -> None:
    def inward(routes: Any, target: str = "") -> Resource:
        edges = {"routes": target} if target else {}
        return made(TABLE, "inward", {"vpcId": UNKNOWN, "routes": routes}, vpcId="vpc", **edges)

    assert public("private-0", inward([{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-0a1b"}])) is True
    assert public("private-0", inward([{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-0a1b"}])) is False
    assert public("private-0", inward([{"gatewayId": UNKNOWN}], target="internet")) is True
    assert public("private-0", inward([{"natGatewayId": UNKNOWN}], target="nat")) is False
    assert public("private-0", inward(UNKNOWN)) is False  # what AWS will say of it is this stack's own routes


def test_routes_of_another_shape_are_a_finding() -> None:
    strange = made(TABLE, "inward", {"vpcId": UNKNOWN, "routes": ["0.0.0.0/0"]}, vpcId="vpc")
    assert "a mapping was expected" in verdict("R61", strange).reasons[0]


def test_a_route_to_who_knows_where_is_undetermined() -> None:
    unknown = made(ROUTE, "extra", {"routeTableId": UNKNOWN, "gatewayId": UNKNOWN}, routeTableId="inward")
    assert public("private-0", unknown) is None
    result = verdict("R61", unknown)
    assert result.outcome is UNDETERMINED
    assert "private-0, whose routes cannot be told" in result.reasons[0]


def test_whose_route_it_is_matters_where_it_leads_out() -> None:
    outward = made(ROUTE, "extra", {"routeTableId": UNKNOWN, "gatewayId": "igw-0a1b"})
    assert public("private-0", outward) is None
    assert public("public-0", outward) is True
    assert public("private-0", made(ROUTE, "extra", {"routeTableId": UNKNOWN, "gatewayId": "local"})) is False


def test_a_subnet_of_no_table_has_its_networks_main_one() -> None:
    bare = ("private-0-routes",)
    assert public("private-0", without=bare) is False
    main = made(MAIN, "main", {"vpcId": UNKNOWN, "routeTableId": UNKNOWN}, vpcId="vpc", routeTableId="outward")
    assert public("private-0", main, without=bare) is True
    assert public("private-0", main) is False
    inward = replace(main, property_dependencies={"vpcId": (THEME.urn("vpc"),), "routeTableId": (THEME.urn("inward"),)})
    assert public("private-0", inward, without=bare) is False
    theirs = made(MAIN, "main", {"vpcId": "vpc-2", "routeTableId": UNKNOWN}, routeTableId="outward")
    assert public("private-0", theirs, without=bare) is False


def test_the_main_table_may_be_the_networks_own() -> None:
    bare = ("private-0-routes",)
    default = {"defaultRouteTableId": UNKNOWN, "routes": [{"gatewayId": "igw-0a1b"}]}
    assert public("private-0", made(DEFAULT_TABLE, "main", default, defaultRouteTableId="vpc"), without=bare) is True
    closed = {**default, "routes": []}
    assert public("private-0", made(DEFAULT_TABLE, "main", closed, defaultRouteTableId="vpc"), without=bare) is False
    of_another = made(DEFAULT_TABLE, "main", {**default, "defaultRouteTableId": "rtb-9"})
    assert public("private-0", of_another, without=bare) is False
    link = made(
        "aws:ec2/routeTableAssociation:RouteTableAssociation", "private-0-routes", {"subnetId": UNKNOWN, "routeTableId": "x"}
    )
    link = replace(link, property_dependencies={"subnetId": (THEME.urn("private-0"),)})
    named = made(DEFAULT_TABLE, "main", {**default, "id": "x"})
    assert public("private-0", named, link) is True
    route = made(ROUTE, "extra", {"routeTableId": UNKNOWN, "gatewayId": "igw-0a1b"}, routeTableId="vpc")
    assert public("private-0", route, without=bare) is True
    vpc = THEME.resource("vpc", {"mainRouteTableId": "rtb-1", "defaultRouteTableId": "rtb-0"})
    for table, expected in (("rtb-0", True), ("rtb-1", True), ("rtb-2", False)):
        by_value = made(ROUTE, "extra", {"routeTableId": table, "gatewayId": "igw-0a1b"})
        assert public("private-0", vpc, by_value, without=bare) is expected


def test_what_cannot_be_told_of_a_subnet() -> None:
    assert public("private-0", THEME.resource("private-0-routes", linked=False)) is None
    unlinked = made("aws:ec2/routeTableAssociation:RouteTableAssociation", "private-0-routes", {"subnetId": UNKNOWN})
    assert public("private-0", unlinked) is None
    table_of_theirs = replace(THEME.resource("private-0-routes"), property_dependencies={"subnetId": (THEME.urn("private-0"),)})
    assert public("private-0", table_of_theirs) is None
    theirs = made("aws:ec2/subnet:Subnet", "other", {"vpcId": "vpc-2"})
    assert is_public(Stack((theirs,)), theirs) is None
    default = made("aws:ec2/defaultSubnet:DefaultSubnet", "other", {})
    assert is_public(Stack((default,)), default) is True


# R61


@pytest.mark.parametrize(
    ("kind", "properties", "name"),
    [
        ("aws:eks/nodeGroup:NodeGroup", {"subnetIds": [UNKNOWN, UNKNOWN]}, "subnetIds"),
        ("aws:eks/fargateProfile:FargateProfile", {"subnetIds": [UNKNOWN, UNKNOWN]}, "subnetIds"),
        ("aws:autoscaling/group:Group", {"vpcZoneIdentifiers": [UNKNOWN, UNKNOWN]}, "vpcZoneIdentifiers"),
        ("aws:ecs/service:Service", {"networkConfiguration": {"subnets": [UNKNOWN, UNKNOWN]}}, "networkConfiguration"),
        ("aws:lambda/function:Function", {"vpcConfig": {"subnetIds": [UNKNOWN, UNKNOWN]}}, "vpcConfig"),
        ("aws:memorydb/subnetGroup:SubnetGroup", {"subnetIds": [UNKNOWN, UNKNOWN]}, "subnetIds"),
        ("aws:elasticache/subnetGroup:SubnetGroup", {"subnetIds": [UNKNOWN, UNKNOWN]}, "subnetIds"),
        ("aws:rds/subnetGroup:SubnetGroup", {"subnetIds": [UNKNOWN, UNKNOWN]}, "subnetIds"),
        ("aws:ec2/instance:Instance", {"subnetId": UNKNOWN}, "subnetId"),
        ("pulumi-python:dynamic/aws:ModelTask", {"subnets": [UNKNOWN, UNKNOWN]}, "subnets"),
    ],
)
def test_whatever_runs_or_keeps_something_is_inside(kind: str, properties: dict[str, Any], name: str) -> None:
    private = PRIVATE[0] if name == "subnetId" else PRIVATE
    assert verdict("R61", made(kind, "x", properties, **{name: private})).outcome is PASS
    public_one = PUBLIC[0] if name == "subnetId" else (PRIVATE[0], PUBLIC[0])
    result = verdict("R61", made(kind, "x", properties, **{name: public_one}))
    assert result.outcome is FAIL
    assert "has public-0, which has a route to the internet" in result.reasons[0]


def test_subnets_of_somebody_elses_are_undetermined_and_none_is_nothing() -> None:
    for subnets in (["subnet-1", "subnet-2"], [UNKNOWN]):
        nodes = made("aws:eks/nodeGroup:NodeGroup", "nodes", {"subnetIds": subnets})
        result = verdict("R61", nodes)
        assert result.outcome is UNDETERMINED
        assert "not this stack's" in result.reasons[0]
    mixed = made("aws:eks/nodeGroup:NodeGroup", "nodes", {"subnetIds": [UNKNOWN, UNKNOWN, UNKNOWN]}, subnetIds=PRIVATE)
    assert verdict("R61", mixed).outcome is UNDETERMINED
    for properties in ({}, {"subnetIds": []}):
        assert verdict("R61", made("aws:eks/nodeGroup:NodeGroup", "nodes", properties)).outcome is PASS
    assert verdict("R61", made("aws:lambda/function:Function", "x", {"vpcConfig": None})).outcome is PASS


def test_subnets_are_known_by_their_identifiers_once_they_have_them() -> None:
    bare = [THEME.resource(name) for name in (*PRIVATE, *PUBLIC)]
    subnets = [replace(each, properties={**each.properties, "id": f"subnet-{each.name}"}) for each in bare]
    inside = made("aws:eks/nodeGroup:NodeGroup", "nodes", {"subnetIds": ["subnet-private-0", "subnet-private-1"]})
    assert verdict("R61", *subnets, inside).outcome is PASS
    outside = made("aws:eks/nodeGroup:NodeGroup", "nodes", {"subnetIds": ["subnet-private-0", "subnet-public-1"]})
    assert verdict("R61", *subnets, outside).outcome is FAIL


def test_public_addresses_in_other_forms() -> None:
    assert of("aws:ec2/defaultSubnet:DefaultSubnet", {}) is FAIL  # AWS' default there
    assert of("aws:ec2/defaultSubnet:DefaultSubnet", {"mapPublicIpOnLaunch": False}) is PASS
    assert of("aws:ec2/subnet:Subnet", {}) is PASS
    assert of("aws:ec2/launchConfiguration:LaunchConfiguration", {"associatePublicIpAddress": "TRUE"}) is FAIL
    assert of("aws:ec2/launchConfiguration:LaunchConfiguration", {}) is PASS
    assert of("aws:ec2/instance:Instance", {"associatePublicIpAddress": UNKNOWN}) is UNDETERMINED
    assert of("aws:ec2/eipAssociation:EipAssociation", {"instanceId": UNKNOWN}) is FAIL
    assert of("aws:ec2/eipAssociation:EipAssociation", {"networkInterfaceId": "eni-1"}) is PASS
    assert of("aws:ecs/service:Service", {}) is PASS
    assert one("template", {"networkInterfaces": None}) is PASS
    assert one("template", {"networkInterfaces": [{}]}) is PASS
    remediation = ALL["R61"].remediation
    assert remediation is not None
    assert remediation.propose(THEME.resource("private-0")) == {("mapPublicIpOnLaunch",): False}


# R42


def test_one_subnet_is_one_zone_and_two_of_unknown_zones_are_not_known() -> None:
    single = made("aws:eks/nodeGroup:NodeGroup", "nodes", {"subnetIds": [UNKNOWN]}, subnetIds="private-0")
    assert "subnetIds is in 1 zone" in verdict("R42", single).reasons[0]
    blank = [THEME.resource(name, {"availabilityZone": UNKNOWN}) for name in PRIVATE]
    assert "zones of its subnets are not known" in verdict("R42", *blank).reasons[0]
    unsaid = THEME.resource(PRIVATE[0], {"availabilityZone": UNKNOWN})
    assert verdict("R42", unsaid, single).outcome is FAIL
    third = made("aws:ec2/subnet:Subnet", "third", {"availabilityZone": UNKNOWN})
    three = made("aws:eks/nodeGroup:NodeGroup", "nodes", {"subnetIds": [UNKNOWN] * 3}, subnetIds=(*PRIVATE, third.urn))
    assert verdict("R42", third, three).outcome is PASS


def test_a_zone_may_be_named_by_its_identifier() -> None:
    by_id = [
        made("aws:ec2/subnet:Subnet", name, {"availabilityZoneId": f"euc1-az{number}", "availabilityZone": UNKNOWN})
        for number, name in enumerate((*PRIVATE, *PUBLIC))
    ]
    assert verdict("R42", *by_id).outcome is PASS
    same = [replace(each, properties={**each.properties, "availabilityZoneId": "euc1-az1"}) for each in by_id]
    assert verdict("R42", *same).outcome is FAIL


def test_zones_of_somebody_elses_subnets_are_for_aws_to_refuse_where_it_does() -> None:
    theirs = ["subnet-1", "subnet-2"]
    assert verdict("R42", made("aws:eks/nodeGroup:NodeGroup", "nodes", {"subnetIds": theirs})).outcome is UNDETERMINED
    assert verdict("R42", made("aws:eks/cluster:Cluster", "cluster", {"vpcConfig": {"subnetIds": theirs}})).outcome is PASS
    assert verdict("R42", made("aws:lb/loadBalancer:LoadBalancer", "balancer", {"subnets": theirs})).outcome is PASS
    assert verdict("R42", made("aws:lb/loadBalancer:LoadBalancer", "balancer", {"subnets": None})).outcome is PASS


def test_what_runs_once_needs_one_zone() -> None:
    assert verdict("R42", made("aws:ec2/instance:Instance", "x", {"subnetId": UNKNOWN}, subnetId="private-0")).outcome is PASS
    task = made("pulumi-python:dynamic/aws:ModelTask", "x", {"subnets": [UNKNOWN]}, subnets="private-0")
    assert verdict("R42", task).outcome is PASS
    assert len(ZONES) == 2


# R49 and R38


def test_accepted_and_rejected_traffic_in_two_logs_is_all_of_it() -> None:
    kind = "aws:ec2/flowLog:FlowLog"
    accepted = made(kind, "flow", {"trafficType": "ACCEPT", "vpcId": UNKNOWN}, vpcId="vpc")
    rejected = made(kind, "more", {"trafficType": "REJECT", "vpcId": UNKNOWN}, vpcId="vpc")
    assert verdict("R49", accepted).outcome is FAIL
    assert verdict("R49", accepted, rejected).outcome is PASS
    assert verdict("R49", THEME.resource("flow", {"trafficType": UNKNOWN})).outcome is UNDETERMINED


def test_a_log_of_another_network_or_of_one_subnet_is_not_the_networks() -> None:
    kind = "aws:ec2/flowLog:FlowLog"
    assert verdict("R49", made(kind, "flow", {"trafficType": "ALL", "vpcId": "vpc-2"})).outcome is FAIL
    assert verdict("R49", made(kind, "flow", {"trafficType": "ALL", "subnetId": "subnet-1"})).outcome is FAIL
    unlinked = THEME.resource("flow", linked=False)
    assert verdict("R49", unlinked).outcome is UNDETERMINED
    other = made("aws:ec2/vpc:Vpc", "other", {})
    assert verdict("R49", other).outcome is FAIL


def test_an_endpoint_may_be_entered_in_tables_one_by_one_or_be_an_interface() -> None:
    bare = THEME.resource("endpoint-s3", {"routeTableIds": None})
    kind = "aws:ec2/vpcEndpointRouteTableAssociation:VpcEndpointRouteTableAssociation"
    entered = made(kind, "entry", {"vpcEndpointId": UNKNOWN, "routeTableId": UNKNOWN}, vpcEndpointId="endpoint-s3")
    assert verdict("R38", bare, entered).outcome is PASS
    interface = THEME.resource("endpoint-s3", {"vpcEndpointType": "Interface", "privateDnsEnabled": True})
    assert verdict("R38", interface).outcome is PASS


def test_services_in_china_have_names_of_their_own() -> None:
    renamed = THEME.resource("endpoint-sts", {"serviceName": "cn.com.amazonaws.cn-north-1.sts"})
    assert verdict("R38", renamed).outcome is PASS
    assert verdict("R38", THEME.resource("endpoint-sts", {"serviceName": "com.example.sts"})).outcome is FAIL


def test_endpoints_of_another_network_do_not_count() -> None:
    other = made("aws:ec2/vpc:Vpc", "other", {})
    result = verdict("R38", other)
    assert result.outcome is FAIL
    assert "no endpoint for s3, secretsmanager, ecr.api, ecr.dkr, sts, logs" in result.reasons[0]


def test_a_stack_without_a_network_has_nothing_to_say() -> None:
    for rule_id in ("R38", "R42", "R49", "R61"):
        assert [found for relation in ALL[rule_id].relations for found in judge_stack(relation, Stack(()))] == []


@pytest.mark.parametrize(("rule_id", "kind"), [(rule_id, kind) for rule_id, kinds in READ.items() for kind in kinds])
def test_ignoring_changes_of_what_decides_is_refused(rule_id: str, kind: str) -> None:
    for name in READ[rule_id][kind].split():
        urn = f"urn:pulumi:prod::assistant::{kind}::x"
        resource = Resource(urn=urn, type=kind, name="x", properties={}, ignored_changes=(name,))
        reasons = all_of(judge(check, resource) for check in ALL["R75"].checks if kind in check.types).reasons
        assert any(rule_id in reason for reason in reasons), name
