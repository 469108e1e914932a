"""A network as the AWS targets register it, in two zones, and what stands in it."""

from __future__ import annotations

from typing import Any

from cases.theme import Bad, Cases, Good, Theme

from policies.values import UNKNOWN

ZONES = ("eu-central-1a", "eu-central-1b")
SERVICES = ("s3", "secretsmanager", "ecr.api", "ecr.dkr", "sts", "logs")
PRIVATE = ("private-0", "private-1")
PUBLIC = ("public-0", "public-1")


def subnet(zone: int) -> Good:
    properties = {"vpcId": UNKNOWN, "availabilityZone": ZONES[zone], "mapPublicIpOnLaunch": False}
    return Good(type="aws:ec2/subnet:Subnet", properties=properties, refers={"vpcId": ("vpc",)})


def table() -> Good:
    return Good(
        type="aws:ec2/routeTable:RouteTable", properties={"vpcId": UNKNOWN, "routes": UNKNOWN}, refers={"vpcId": ("vpc",)}
    )


def route(of: str, name: str, target: str) -> Good:
    properties = {"destinationCidrBlock": "0.0.0.0/0", "routeTableId": UNKNOWN, name: UNKNOWN}
    return Good(type="aws:ec2/route:Route", properties=properties, refers={"routeTableId": (of,), name: (target,)})


def associated(with_table: str, of: str) -> Good:
    return Good(
        type="aws:ec2/routeTableAssociation:RouteTableAssociation",
        properties={"routeTableId": UNKNOWN, "subnetId": UNKNOWN},
        refers={"routeTableId": (with_table,), "subnetId": (of,)},
    )


def endpoint(service: str) -> Good:
    properties: dict[str, Any] = {"vpcId": UNKNOWN, "serviceName": f"com.amazonaws.eu-central-1.{service}"}
    if service == "s3":
        more = {"vpcEndpointType": "Gateway", "routeTableIds": [UNKNOWN]}
    else:
        more = {"vpcEndpointType": "Interface", "privateDnsEnabled": True}
    return Good(type="aws:ec2/vpcEndpoint:VpcEndpoint", properties={**properties, **more}, refers={"vpcId": ("vpc",)})


THEME = Theme(
    good={
        "vpc": Good(type="aws:ec2/vpc:Vpc", properties={"cidrBlock": "10.40.0.0/16"}),
        "internet": Good(type="aws:ec2/internetGateway:InternetGateway", properties={"vpcId": UNKNOWN}),
        **{name: subnet(zone) for zone, name in enumerate(PRIVATE)},
        **{name: subnet(zone) for zone, name in enumerate(PUBLIC)},
        "outward": table(),
        "inward": table(),
        "to-world": route("outward", "gatewayId", "internet"),
        "through-nat": route("inward", "natGatewayId", "nat"),
        "nat": Good(type="aws:ec2/natGateway:NatGateway", properties={"subnetId": UNKNOWN}, refers={"subnetId": ("public-0",)}),
        **{f"{name}-routes": associated("inward", name) for name in PRIVATE},
        **{f"{name}-routes": associated("outward", name) for name in PUBLIC},
        "flow": Good(
            type="aws:ec2/flowLog:FlowLog",
            properties={"trafficType": "ALL", "vpcId": UNKNOWN},
            refers={"vpcId": ("vpc",)},
        ),
        **{f"endpoint-{service}": endpoint(service) for service in SERVICES},
        "cluster": Good(
            type="aws:eks/cluster:Cluster",
            properties={"vpcConfig": {"subnetIds": [UNKNOWN, UNKNOWN]}},
            refers={"vpcConfig": PRIVATE},
        ),
        "nodes": Good(
            type="aws:eks/nodeGroup:NodeGroup", properties={"subnetIds": [UNKNOWN, UNKNOWN]}, refers={"subnetIds": PRIVATE}
        ),
        "store": Good(
            type="aws:memorydb/subnetGroup:SubnetGroup",
            properties={"subnetIds": [UNKNOWN, UNKNOWN]},
            refers={"subnetIds": PRIVATE},
        ),
        "gateway": Good(
            type="aws:ecs/service:Service",
            properties={"networkConfiguration": {"subnets": [UNKNOWN, UNKNOWN], "assignPublicIp": False}},
            refers={"networkConfiguration": PRIVATE},
        ),
        "balancer": Good(
            type="aws:lb/loadBalancer:LoadBalancer", properties={"subnets": [UNKNOWN, UNKNOWN]}, refers={"subnets": PUBLIC}
        ),
        "template": Good(
            type="aws:ec2/launchTemplate:LaunchTemplate",
            properties={"networkInterfaces": [{"associatePublicIpAddress": "false"}]},
        ),
        "instance": Good(
            type="aws:ec2/instance:Instance",
            properties={"subnetId": UNKNOWN, "associatePublicIpAddress": False},
            refers={"subnetId": ("private-0",)},
        ),
        "address": Good(type="aws:ec2/eip:Eip", properties={"domain": "vpc"}),
    },
    cases={
        "R38": Cases(
            failing=(
                *(Bad(f"endpoint-{name}", {}, f"no endpoint for {name}:", without=(f"endpoint-{name}",)) for name in SERVICES),
                Bad("endpoint-s3", {"routeTableIds": []}, "no endpoint for s3:"),
                Bad("endpoint-s3", {"routeTableIds": None}, "no endpoint for s3:"),
                Bad("endpoint-s3", {"vpcEndpointType": None, "routeTableIds": None}, "no endpoint for s3:"),
                Bad("endpoint-sts", {"privateDnsEnabled": False}, "no endpoint for sts:"),
                Bad("endpoint-sts", {"privateDnsEnabled": None}, "no endpoint for sts:"),
                Bad("endpoint-sts", {"serviceName": None}, "no endpoint for sts:"),
                Bad("endpoint-logs", {"serviceName": "com.amazonaws.eu-central-1.monitoring"}, "no endpoint for logs:"),
            ),
            unknown=("endpoint-sts", "vpcId"),
            malformed=("endpoint-sts", "serviceName"),
        ),
        "R42": Cases(
            failing=(
                Bad("private-1", {"availabilityZone": ZONES[0]}, "subnetIds is in 1 zone"),
                Bad("public-1", {"availabilityZone": ZONES[0]}, "subnets is in 1 zone"),
            ),
            unknown=("private-0", "availabilityZone"),
            malformed=("nodes", "subnetIds"),
        ),
        "R49": Cases(
            failing=(
                Bad("flow", {}, "no flow log is this network's", without=("flow",)),
                Bad("flow", {"trafficType": "REJECT"}, "trafficType of its flow log is REJECT"),
                Bad("flow", {"trafficType": None}, "trafficType of its flow log is not set"),
            ),
            unknown=("flow", "vpcId"),
            malformed=("flow", "trafficType"),
        ),
        "R61": Cases(
            failing=(
                Bad("private-0", {"mapPublicIpOnLaunch": True}, "mapPublicIpOnLaunch is true"),
                Bad("gateway", {"networkConfiguration/assignPublicIp": True}, "assignPublicIp is true"),
                Bad("template", {"networkInterfaces/0/associatePublicIpAddress": "true"}, "associatePublicIpAddress is true"),
                Bad("template", {"networkInterfaces/0/associatePublicIpAddress": True}, "associatePublicIpAddress is true"),
                Bad("instance", {"associatePublicIpAddress": True}, "associatePublicIpAddress is true"),
                Bad("address", {"instance": "i-0a1b"}, "instance is set"),
                Bad("through-nat", {"gatewayId": "igw-0a1b"}, "subnetIds has private-0, which has a route to the internet"),
            ),
            unknown=("nodes", "subnetIds"),
            malformed=("nodes", "subnetIds"),
        ),
    },
)
