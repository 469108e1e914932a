"""The network: how it is divided, what is public of it, which ways lead out."""

from __future__ import annotations

import ipaddress
import itertools

import pytest
from aws_rendering import aws_settings, render_component

from infra.aws.network import Network, NetworkArgs
from infra.aws.network_layout import layout

OWN = {"vpcId": "vpc-0a", "privateSubnetIds": ["subnet-1", "subnet-2"], "publicSubnetIds": ["subnet-3", "subnet-4"]}


def network(context):
    return Network("net", NetworkArgs(context=context, logs_key_arn="logs-key"))


async def render(profile="prod", **groups):
    return await render_component(network, aws_settings(profile, **groups), stack=profile)


@pytest.mark.parametrize("zones", [2, 3])
@pytest.mark.parametrize("cidr", ["10.40.0.0/16", "172.16.128.0/17", "192.168.0.0/18", "100.64.32.0/19", "10.0.16.0/20"])
def test_subnets_lie_in_the_network_share_no_address_and_leave_most_to_what_is_private(cidr, zones):
    whole, split = ipaddress.IPv4Network(cidr), layout(cidr, zones)
    public, private = ([ipaddress.IPv4Network(it) for it in side] for side in (split.public, split.private))
    assert len(public) == len(private) == zones
    assert all(subnet.subnet_of(whole) for subnet in (*public, *private))
    assert not any(one.overlaps(other) for one, other in itertools.combinations((*public, *private), 2))
    assert all(subnet.num_addresses * 4 == whole.num_addresses for subnet in private)
    assert all(16 <= subnet.num_addresses < private[0].num_addresses for subnet in public)  # AWS takes no smaller than /28


def test_a_third_zone_moves_no_subnet():
    two, three = layout("10.40.0.0/16", 2), layout("10.40.0.0/16", 3)
    assert (three.public[:2], three.private[:2]) == (two.public, two.private)


def test_a_fourth_zone_is_refused():
    with pytest.raises(ValueError, match="at most 3"):
        layout("10.40.0.0/16", 4)


async def test_public_subnets_alone_lead_to_the_internet_and_give_no_address_by_themselves():
    rendered = await render()
    assert all(it.inputs["mapPublicIpOnLaunch"] is False for it in rendered.of("Subnet"))
    tables = {it.name: it.inputs for it in rendered.of("Route")}
    assert [name for name, inputs in tables.items() if "gatewayId" in inputs] == ["net-public-world"]
    of_subnet = {it.inputs["subnetId"]: it.inputs["routeTableId"] for it in rendered.of("RouteTableAssociation")}
    for zone in range(3):
        assert of_subnet[f"net-public-{zone}-id"] == "net-public-table-id"
        assert of_subnet[f"net-private-{zone}-id"] == f"net-private-{zone}-table-id"


async def test_subnets_are_spread_over_zones_and_tagged_for_kubernetes():
    rendered = await render()
    for side, role in (("public", "kubernetes.io/role/elb"), ("private", "kubernetes.io/role/internal-elb")):
        found = [rendered.one("Subnet", f"net-{side}-{zone}").inputs for zone in range(3)]
        assert [it["availabilityZone"] for it in found] == ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
        assert all(it["tags"][role] == "1" for it in found)


@pytest.mark.parametrize(
    ("nat", "gateways"), [("one", ["net-nat-0"] * 3), ("perZone", ["net-nat-0", "net-nat-1", "net-nat-2"])]
)
async def test_the_ways_out_are_as_set_each_with_a_fixed_address(nat, gateways):
    rendered = await render(network={"nat": nat})
    ways = [rendered.one("Route", f"net-private-{zone}-world").inputs["natGatewayId"] for zone in range(3)]
    assert ways == [f"{gateway}-id" for gateway in gateways]
    assert set(rendered.names("NatGateway")) == set(gateways)
    assert all(it.inputs["domain"] == "vpc" for it in rendered.of("Eip"))
    assert len(rendered.of("Eip")) == len(rendered.made.egress_addresses) == len(set(gateways))


async def test_the_group_that_every_vpc_has_lets_nothing_in_or_out():
    group = (await render()).one("DefaultSecurityGroup").inputs
    assert not group.get("ingress")
    assert not group.get("egress")


async def test_all_traffic_is_logged_into_an_encrypted_group():
    rendered = await render()
    flow = rendered.one("FlowLog").inputs
    assert (flow["trafficType"], flow["vpcId"]) == ("ALL", "net-vpc-id")
    assert rendered.one("LogGroup").inputs["kmsKeyId"] == "logs-key"


async def test_s3_is_reached_from_every_subnet_without_leaving_the_network():
    endpoint = (await render("dev")).one("VpcEndpoint").inputs  # dev has no other
    assert (endpoint["vpcEndpointType"], endpoint["serviceName"]) == ("Gateway", "com.amazonaws.eu-central-1.s3")
    assert set(endpoint["routeTableIds"]) == {"net-private-0-table-id", "net-private-1-table-id", "net-public-table-id"}


async def test_interface_endpoints_are_there_by_setting_and_open_to_the_vpc_on_443_alone():
    rendered = await render()
    services = {it.inputs["serviceName"].split("eu-central-1.")[1] for it in rendered.of("VpcEndpoint")}
    assert services >= {"s3", "ecr.api", "ecr.dkr", "sts", "secretsmanager", "logs", "monitoring", "kms", "eks", "eks-auth"}
    rule = rendered.one("SecurityGroupIngressRule").inputs
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == ("10.40.0.0/16", 443, 443, "tcp")
    assert not rendered.of("SecurityGroupEgressRule")
    without = await render(network={"interfaceEndpoints": False})
    assert len(without.of("VpcEndpoint")) == 1
    assert without.made.endpoint_security_group_id is None


async def test_fargate_needs_no_endpoints_of_nodes():
    rendered = await render("serverless", network={"interfaceEndpoints": True})
    services = {it.inputs["serviceName"].split("eu-central-1.")[1] for it in rendered.of("VpcEndpoint")}
    assert "secretsmanager" in services
    assert not services & {"eks", "eks-auth", "autoscaling"}


async def test_endpoints_have_the_names_that_they_have_in_china():
    rendered = await render(aws={"region": "cn-north-1"})
    names = {it.inputs["serviceName"] for it in rendered.of("VpcEndpoint")}
    assert names >= {
        "com.amazonaws.cn-north-1.s3",
        "com.amazonaws.cn-north-1.secretsmanager",
        "cn.com.amazonaws.cn-north-1.ecr.api",
        "cn.com.amazonaws.cn-north-1.sts",
    }


async def test_in_a_vpc_of_yours_nothing_is_made():
    answers = {
        "aws:ec2/getVpc:getVpc": {"id": "vpc-0a", "cidrBlock": "10.9.0.0/16"},
        "aws:ec2/getSubnet:getSubnet": {"id": "subnet-3", "cidrBlock": "10.9.1.0/24"},
    }
    known: dict[str, object] = {}

    def make(context):
        made = network(context)
        made.vpc_cidr.apply(lambda cidr: known.update(cidr=cidr))
        made.public_cidrs[0].apply(lambda cidr: known.update(public=cidr))
        made.private_subnet_ids[1].apply(lambda subnet: known.update(private=subnet))
        return made

    rendered = await render_component(make, aws_settings("prod", network=OWN), answers=answers)
    assert [it.type for it in rendered.resources if it.type.startswith("aws:")] == []
    assert known == {"cidr": "10.9.0.0/16", "public": "10.9.1.0/24", "private": "subnet-2"}
    assert rendered.made.egress_addresses == []
    assert rendered.made.endpoint_security_group_id is None
