"""The VPC: a public and a private subnet in each zone, ways out by NAT, endpoints for AWS' own services, and flow logs.

Public subnets hold the load balancer and the NAT gateways and nothing else; nodes, pods, tasks and the queue are in private
ones. With ``network.vpcId`` of the settings nothing is made: your subnets are looked up.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.network_endpoints import NetworkEndpoints, NetworkEndpointsArgs
from infra.aws.network_flow import FlowLogs, FlowLogsArgs
from infra.aws.network_layout import layout

EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """``logs_key_arn``: of the flow logs' group, which only a VPC of the stack's own has."""

    context: AwsContext
    logs_key_arn: pulumi.Input[str]


class Network(pulumi.ComponentResource):
    """``egress_addresses``: of the NAT gateways, to enter where a platform wants trusted addresses; none in a VPC of yours.
    ``endpoint_security_group_id``: None where there are no interface endpoints."""

    vpc_id: pulumi.Output[str]
    vpc_cidr: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    public_cidrs: list[pulumi.Input[str]]
    egress_addresses: list[pulumi.Output[str]]
    endpoint_security_group_id: pulumi.Output[str] | None

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Network", name, {}, opts)
        self._name, self._args, self._own = name, args, pulumi.ResourceOptions(parent=self)
        self.egress_addresses = []
        self.endpoint_security_group_id = None
        if args.context.settings.network.vpc_id:
            self._look_up(args.context.settings.network.vpc_id)
        else:
            self._make()
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "publicSubnetIds": self.public_subnet_ids,
                "privateSubnetIds": self.private_subnet_ids,
                "egressAddresses": self.egress_addresses,
            }
        )

    def _look_up(self, vpc_id: str) -> None:
        settings, invoke = self._args.context.settings.network, pulumi.InvokeOptions(parent=self)
        found = aws.ec2.get_vpc_output(id=vpc_id, opts=invoke)
        self.vpc_id, self.vpc_cidr = found.id, found.cidr_block
        self.public_subnet_ids = [pulumi.Output.from_input(subnet) for subnet in settings.public_subnet_ids]
        self.private_subnet_ids = [pulumi.Output.from_input(subnet) for subnet in settings.private_subnet_ids]
        self.public_cidrs = [
            aws.ec2.get_subnet_output(id=subnet, vpc_id=vpc_id, opts=invoke).cidr_block for subnet in settings.public_subnet_ids
        ]

    def _make(self) -> None:
        name, context, own = self._name, self._args.context, self._own
        settings = context.settings.network
        split = layout(settings.cidr, settings.zones)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=settings.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # interface endpoints take the services' public names
            tags=self._named("vpc"),
            opts=own,
        )
        self.vpc_id, self.vpc_cidr = vpc.id, vpc.cidr_block
        # Every VPC has this group and nobody can delete it: with no rules, what lands in it by mistake reaches nothing.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=vpc.id, ingress=[], egress=[], tags=self._named("none"), opts=own
        )
        flow = FlowLogsArgs(context=context, vpc_id=vpc.id, key_arn=self._args.logs_key_arn)
        FlowLogs(f"{name}-flow", flow, opts=own)
        gateway = aws.ec2.InternetGateway(f"{name}-internet", vpc_id=vpc.id, tags=self._named("internet"), opts=own)

        # Kubernetes' controllers find subnets by these roles.
        public_role, private_role = {"kubernetes.io/role/elb": "1"}, {"kubernetes.io/role/internal-elb": "1"}
        public = [self._subnet(vpc, "public", zone, cidr, public_role) for zone, cidr in enumerate(split.public)]
        private = [self._subnet(vpc, "private", zone, cidr, private_role) for zone, cidr in enumerate(split.private)]
        self.public_subnet_ids = [subnet.id for subnet in public]
        self.private_subnet_ids = [subnet.id for subnet in private]
        self.public_cidrs = list(split.public)

        outward = self._table(vpc, "public")
        to_world = aws.ec2.Route(
            f"{name}-public-world",
            route_table_id=outward.id,
            destination_cidr_block=EVERYWHERE,
            gateway_id=gateway.id,
            opts=own,
        )
        for zone, subnet in enumerate(public):
            self._associate(f"public-{zone}", subnet, outward)

        # AWS detaches no gateway to the internet while addresses are used behind it: they depend on it, so that they go first.
        through = pulumi.ResourceOptions(parent=self, depends_on=[to_world])
        gateways = [
            self._nat(zone, public[zone], through) for zone in range(settings.zones if settings.nat == "perZone" else 1)
        ]
        tables = []
        for zone, subnet in enumerate(private):
            table = self._table(vpc, f"private-{zone}")
            aws.ec2.Route(
                f"{name}-private-{zone}-world",
                route_table_id=table.id,
                destination_cidr_block=EVERYWHERE,
                nat_gateway_id=gateways[min(zone, len(gateways) - 1)].id,
                opts=own,
            )
            self._associate(f"private-{zone}", subnet, table)
            tables.append(table)

        endpoints = NetworkEndpoints(
            f"{name}-endpoints",
            NetworkEndpointsArgs(
                context=context,
                vpc_id=vpc.id,
                vpc_cidr=vpc.cidr_block,
                subnet_ids=self.private_subnet_ids,
                route_table_ids=[table.id for table in (*tables, outward)],
            ),
            opts=own,
        )
        self.endpoint_security_group_id = endpoints.security_group_id

    def _named(self, *words: str) -> dict[str, str]:
        return {"Name": self._args.context.name(*words)}

    def _subnet(self, vpc: aws.ec2.Vpc, kind: str, zone: int, cidr: str, role: dict[str, str]) -> aws.ec2.Subnet:
        return aws.ec2.Subnet(
            f"{self._name}-{kind}-{zone}",
            vpc_id=vpc.id,
            cidr_block=cidr,
            availability_zone=self._args.context.zones[zone],
            map_public_ip_on_launch=False,
            tags={**self._named(kind, str(zone)), **role},
            opts=self._own,
        )

    def _table(self, vpc: aws.ec2.Vpc, words: str) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(f"{self._name}-{words}-table", vpc_id=vpc.id, tags=self._named(words), opts=self._own)

    def _associate(self, words: str, subnet: aws.ec2.Subnet, table: aws.ec2.RouteTable) -> None:
        aws.ec2.RouteTableAssociation(
            f"{self._name}-{words}-routes", subnet_id=subnet.id, route_table_id=table.id, opts=self._own
        )

    def _nat(self, zone: int, subnet: aws.ec2.Subnet, opts: pulumi.ResourceOptions) -> aws.ec2.NatGateway:
        name = self._name
        address = aws.ec2.Eip(f"{name}-nat-{zone}-address", domain="vpc", tags=self._named("nat", str(zone)), opts=opts)
        self.egress_addresses.append(address.public_ip)
        return aws.ec2.NatGateway(
            f"{name}-nat-{zone}", allocation_id=address.id, subnet_id=subnet.id, tags=self._named("nat", str(zone)), opts=opts
        )
