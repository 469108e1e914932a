"""Networks: what stands in private subnets, in how many zones, what is written down of it, and its ways to AWS' services."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from policies import routes
from policies.relations import identities, means, texts_of
from policies.resource import Malformed, Resource, Stack
from policies.rule import PASS, Check, Finding, Relation, Remediation, Rule, Severity, Verdict, fail, found, undetermined
from policies.rules import links
from policies.show import show
from policies.values import UNKNOWN, Secret, Value, describe

CLUSTER: Final = "aws:eks/cluster:Cluster"
BALANCERS: Final = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
SERVICE: Final = "aws:ecs/service:Service"
LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE: Final = "aws:ec2/instance:Instance"
ENDPOINT: Final = "aws:ec2/vpcEndpoint:VpcEndpoint"
ENDPOINT_TABLE: Final = "aws:ec2/vpcEndpointRouteTableAssociation:VpcEndpointRouteTableAssociation"
FLOW_LOG: Final = "aws:ec2/flowLog:FlowLog"
ADDRESS: Final = "aws:ec2/eip:Eip"
ADDRESS_ASSOCIATION: Final = "aws:ec2/eipAssociation:EipAssociation"

# What runs or keeps something, and the property (and the one within it) that says in which subnets.
INSIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "aws:eks/nodeGroup:NodeGroup": ("subnetIds",),
    "aws:eks/fargateProfile:FargateProfile": ("subnetIds",),
    "aws:autoscaling/group:Group": ("vpcZoneIdentifiers",),
    SERVICE: ("networkConfiguration", "subnets"),
    "aws:lambda/function:Function": ("vpcConfig", "subnetIds"),
    "aws:memorydb/subnetGroup:SubnetGroup": ("subnetIds",),
    "aws:elasticache/subnetGroup:SubnetGroup": ("subnetIds",),
    "aws:rds/subnetGroup:SubnetGroup": ("subnetIds",),
    INSTANCE: ("subnetId",),
    "pulumi-python:dynamic/aws:ModelTask": ("subnets",),
}
# What one subnet is enough for: it runs once, and may run again elsewhere.
ONCE: Final = frozenset({INSTANCE, "pulumi-python:dynamic/aws:ModelTask"})
IN_ZONES: Final[Mapping[str, tuple[str, ...]]] = {
    **{kind: path for kind, path in INSIDE.items() if kind not in ONCE},
    CLUSTER: ("vpcConfig", "subnetIds"),
    **dict.fromkeys(BALANCERS, ("subnets",)),
}
# Of these AWS itself refuses fewer than two zones, whosever subnets they are.
AWS_REFUSES: Final = frozenset({CLUSTER, *BALANCERS})
LEAST_ZONES: Final = 2

WANTED_SERVICES: Final = ("s3", "secretsmanager", "ecr.api", "ecr.dkr", "sts", "logs")
# com.amazonaws.eu-central-1.ecr.api; in China cn.com.amazonaws.…
SERVICE_NAME: Final = re.compile(r"(?:cn\.)?com\.amazonaws\.[a-z0-9-]+\.(.+)")
ALL_TRAFFIC: Final = (frozenset({"ALL"}), frozenset({"ACCEPT", "REJECT"}))


@dataclass(frozen=True)
class Placement:
    """``here``: the stack's own subnets; ``elsewhere``: how many are somebody else's; ``certain``: those are all."""

    here: Sequence[Resource]
    elsewhere: int
    certain: bool


def placement(stack: Stack, resource: Resource, path: tuple[str, ...]) -> Placement | None:
    """Where ``resource`` stands; None where it names no subnets. Raises what a :class:`policies.resource.View` raises."""
    named = _named(resource, path)
    if named in (None, []):
        return None
    subnets = stack.of_type(*routes.SUBNETS)
    meanings = [means(resource, path[0], subnet) for subnet in subnets]
    here = [subnet for subnet, meaning in zip(subnets, meanings, strict=True) if meaning]
    own = {text for subnet in here for text in identities(subnet)}
    known = texts_of(named)
    elsewhere = len(known - own)
    return Placement(here, elsewhere, len(here) + elsewhere >= (len(named) if isinstance(named, list) else 1))


def _named(resource: Resource, path: tuple[str, ...]) -> Value:
    """The list of subnets, the unknown ones among them; a single one by itself."""
    view = resource.view
    for outer in path[:-1]:
        inner = view.mapping(outer)
        if inner is None:
            return None
        view = inner
    value = view.raw(path[-1])
    items = value if isinstance(value, list) else [] if value is None else [value]
    for item in items:
        plain = item.value if isinstance(item, Secret) else item
        if plain is not UNKNOWN and not isinstance(plain, str):
            raise Malformed(view.path(path[-1]), "subnets", describe(plain))
    return value


def what_runs_is_inside(stack: Stack) -> Sequence[Finding]:
    return _of_placed(stack, INSIDE, _inside)


def _of_placed(
    stack: Stack, paths: Mapping[str, tuple[str, ...]], judge: Callable[[Stack, Resource, tuple[str, ...]], Verdict]
) -> Sequence[Finding]:
    return [
        found(resource, partial(judge, stack, resource, path))
        for kind, path in paths.items()
        for resource in stack.of_type(kind)
    ]


def _inside(stack: Stack, resource: Resource, path: tuple[str, ...]) -> Verdict:
    placed = placement(stack, resource, path)
    if placed is None:
        return PASS
    where = ".".join(path)
    open_ones = [(subnet, routes.is_public(stack, subnet)) for subnet in placed.here]
    public = [f"{where} has {show(subnet.name)}, which has a route to the internet" for subnet, open_ in open_ones if open_]
    if public:
        return fail(*public)
    untold = [f"{where} has {show(subnet.name)}, whose routes cannot be told" for subnet, open_ in open_ones if open_ is None]
    if untold:
        return undetermined(*untold)
    if placed.elsewhere or not placed.certain:
        return undetermined(f"{where} has subnets that are not this stack's: nobody can say here whether they are private")
    return PASS


def subnet_gives_no_address(resource: Resource) -> Verdict:
    given = resource.view.boolean("mapPublicIpOnLaunch")
    if given is True or (given is None and resource.type == routes.DEFAULT_SUBNET):
        return fail("mapPublicIpOnLaunch is true: whatever starts in this subnet gets a public address")
    return PASS


def service_gets_no_address(resource: Resource) -> Verdict:
    network = resource.view.mapping("networkConfiguration")
    if network is not None and network.boolean("assignPublicIp") is True:
        return fail("networkConfiguration.assignPublicIp is true: every task gets a public address")
    return PASS


def template_gives_no_address(resource: Resource) -> Verdict:
    # EC2's API takes a text here, and programs write both.
    given = [
        interface.path("associatePublicIpAddress")
        for interface in resource.view.mappings("networkInterfaces") or ()
        if _is_true(interface.known("associatePublicIpAddress"))
    ]
    return fail(*(f"{path} is true: every instance gets a public address" for path in given)) if given else PASS


def instance_gets_no_address(resource: Resource) -> Verdict:
    if _is_true(resource.view.known("associatePublicIpAddress")):
        return fail("associatePublicIpAddress is true: the instance gets a public address")
    return PASS


def _is_true(value: Value) -> bool:
    return value is True or (isinstance(value, str) and value.lower() == "true")


def address_is_no_instances(resource: Resource) -> Verdict:
    """Of a NAT gateway or a load balancer, yes."""
    names = [name for name in ("instance", "instanceId") if resource.view.raw(name) is not None]
    return fail(*(f"{name} is set: an instance would have a public address" for name in names)) if names else PASS


def zones_are_two(stack: Stack) -> Sequence[Finding]:
    return _of_placed(stack, IN_ZONES, _two_zones)


def _two_zones(stack: Stack, resource: Resource, path: tuple[str, ...]) -> Verdict:
    placed = placement(stack, resource, path)
    if placed is None:
        return PASS
    zones = [_zone(subnet) for subnet in placed.here]
    if len(set(zones) - {None}) >= LEAST_ZONES:
        return PASS
    where = ".".join(path)
    if placed.elsewhere or not placed.certain:
        if resource.type in AWS_REFUSES:
            return PASS
        return undetermined(f"{where} has subnets that are not this stack's: nobody can say here in which zones they are")
    if None in zones and len(zones) >= LEAST_ZONES:
        return undetermined(f"{where}: the zones of its subnets are not known before the update")
    return fail(f"{where} is in {len(set(zones))} zone: where that fails, everything of it does")


def _zone(subnet: Resource) -> str | None:
    named = texts_of([subnet.view.raw("availabilityZone")]) or texts_of([subnet.view.raw("availabilityZoneId")])
    return next(iter(named), None)


def networks_are_logged(stack: Stack) -> Sequence[Finding]:
    return [found(network, partial(_logged, stack, network)) for network in stack.of_type(*routes.VPCS)]


def _logged(stack: Stack, network: Resource) -> Verdict:
    logs = [(log, means(log, "vpcId", network)) for log in stack.of_type(FLOW_LOG)]
    ours = [log for log, of_network in logs if of_network]
    if not ours and any(of_network is None for _log, of_network in logs):
        return undetermined("it cannot be told whether a flow log is this network's")
    if not ours:
        return fail("no flow log is this network's: nobody could tell who spoke to whom")
    traffic = frozenset(kind for log in ours if (kind := log.view.text("trafficType")))
    if any(whole <= traffic for whole in ALL_TRAFFIC):
        return PASS
    return fail(f"trafficType of its flow log is {show(', '.join(sorted(traffic)) or 'not set')}; it is ALL")


def services_have_endpoints(stack: Stack) -> Sequence[Finding]:
    return [found(network, partial(_endpoints, stack, network)) for network in stack.of_type(*routes.VPCS)]


def _endpoints(stack: Stack, network: Resource) -> Verdict:
    ends = [(end, means(end, "vpcId", network)) for end in stack.of_type(ENDPOINT)]
    served = {_service(end) for end, of_network in ends if of_network and _is_used(stack, end)}
    missing = [service for service in WANTED_SERVICES if service not in served]
    if not missing:
        return PASS
    if any(of_network is None for _end, of_network in ends):
        return undetermined("it cannot be told which endpoints are this network's")
    return fail(f"no endpoint for {', '.join(missing)}: what goes there leaves the network")


def _service(end: Resource) -> str:
    name = SERVICE_NAME.fullmatch(end.view.text("serviceName") or "")
    return name[1] if name else ""


def _is_used(stack: Stack, end: Resource) -> bool:
    """An interface endpoint is found by the service's own name, a gateway by the routes of some table."""
    view = end.view
    if (view.text("vpcEndpointType") or "Gateway") == "Interface":
        return view.boolean("privateDnsEnabled") is True
    named = view.raw("routeTableIds") not in (None, [])
    return named or any(means(link, "vpcEndpointId", end) for link in stack.of_type(ENDPOINT_TABLE))


def no_addresses(_resource: Resource) -> Mapping[tuple[str, ...], Value]:
    return {("mapPublicIpOnLaunch",): False}


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R38",
        name="endpoints-of-aws-services",
        title="S3, Secrets Manager, ECR, STS and CloudWatch Logs are reached by endpoints within the network",
        severity=Severity.MEDIUM,
        controls=("8.12", "8.22"),
        remedy="set network.interfaceEndpoints; S3 has a gateway endpoint in any case",
        link=links.ENDPOINTS,
        relations=(
            Relation(
                reads={
                    ENDPOINT: ("vpcId", "serviceName", "vpcEndpointType", "privateDnsEnabled", "routeTableIds"),
                    ENDPOINT_TABLE: ("vpcEndpointId",),
                },
                judge=services_have_endpoints,
            ),
        ),
    ),
    Rule(
        id="R42",
        name="subnets-in-two-zones",
        title="What must not fail as one stands in at least two zones",
        severity=Severity.HIGH,
        controls=("8.14",),
        remedy="name subnets of at least two availability zones",
        link=links.ZONES,
        relations=(
            Relation(
                reads={
                    **{kind: path[:1] for kind, path in IN_ZONES.items()},
                    routes.SUBNET: ("availabilityZone", "availabilityZoneId"),
                },
                judge=zones_are_two,
            ),
        ),
    ),
    Rule(
        id="R49",
        name="flow-logs",
        title="Every network has a flow log of all traffic",
        severity=Severity.HIGH,
        controls=("8.15", "8.16", "8.20"),
        remedy="add an aws.ec2.FlowLog with the network's vpcId and trafficType ALL",
        link=links.FLOW_LOGS,
        relations=(Relation(reads={FLOW_LOG: ("vpcId", "trafficType")}, judge=networks_are_logged),),
    ),
    Rule(
        id="R61",
        name="nodes-in-private-subnets",
        title="Nodes, tasks and stores stand in private subnets, without public addresses",
        severity=Severity.HIGH,
        controls=("8.22", "8.20"),
        remedy="name private subnets (without a route to an internet gateway), and give no public addresses",
        link=links.PRIVATE_SUBNETS,
        checks=(
            Check(types=routes.SUBNETS, properties=("mapPublicIpOnLaunch",), judge=subnet_gives_no_address),
            Check(types=(SERVICE,), properties=("networkConfiguration",), judge=service_gets_no_address),
            Check(types=(LAUNCH_TEMPLATE,), properties=("networkInterfaces",), judge=template_gives_no_address),
            Check(
                types=(INSTANCE, "aws:ec2/launchConfiguration:LaunchConfiguration"),
                properties=("associatePublicIpAddress",),
                judge=instance_gets_no_address,
            ),
            Check(types=(ADDRESS,), properties=("instance",), judge=address_is_no_instances),
            Check(types=(ADDRESS_ASSOCIATION,), properties=("instanceId",), judge=address_is_no_instances),
        ),
        relations=(
            Relation(
                reads={**{kind: path[:1] for kind, path in INSIDE.items()}, **routes.READS},
                judge=what_runs_is_inside,
            ),
        ),
        remediation=Remediation(types=routes.SUBNETS, propose=no_addresses),
    ),
)
