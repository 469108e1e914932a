"""Who may speak to whom among the tasks: one security group a part, and one table of what is open between them.

Security groups do not see questions to the VPC's own resolver, nor the task's metadata and credentials (169.254.170.2), so
neither stands here. What has no fixed address (platforms, the services of AWS, model hubs) is reached on its one port.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra import processes
from infra.aws.context import AwsContext
from infra.aws.ecs_parts import Part
from infra.kubernetes.names import GATEWAY_PORT, INFERENCE_PORT
from infra.kubernetes.peers import PRIVATE_NETWORK, PUBLIC, Addresses, destinations
from infra.settings import Settings

Source = Part | Literal["edge"]
PARTS: tuple[Part, ...] = ("gateway", "worker", "inference", "model")
REDIS_PORT = 6379  # MemoryDB's
HTTPS_PORT = 443
ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Flow:
    """``source`` may open connections to ``destination`` on ``port``: one rule at either end."""

    source: Source
    destination: Part
    port: int
    why: str


@dataclass(frozen=True)
class WayOut:
    source: Part
    cidr: str
    port: int
    why: str


FLOWS = (
    Flow("edge", "gateway", GATEWAY_PORT, "events and questions come in"),
    Flow("gateway", "inference", INFERENCE_PORT, "answer a question at once"),
    Flow("worker", "inference", INFERENCE_PORT, "answer an event"),
)


def parts(settings: Settings) -> tuple[Part, ...]:
    """Those that the stack has."""
    return (*PARTS, *processes.transports(settings))


def to_redis(settings: Settings) -> tuple[Part, ...]:
    return ("gateway", "worker", *processes.transports(settings))


def to_the_world(settings: Settings) -> tuple[Part, ...]:
    """Platforms and model hubs, and what else the settings name; the other parts call services of AWS alone."""
    calling = {caller.part for caller in processes.callers(settings)}
    return tuple(part for part in parts(settings) if part in ("worker", "model") or part in calling)


def ways_out(settings: Settings, *, endpoints: bool) -> tuple[WayOut, ...]:
    """What leaves by address, in a stable order; with ``endpoints`` AWS' services are within the network. Pure."""
    outward = to_the_world(settings) if endpoints else parts(settings)
    found = [WayOut(part, ANYWHERE, HTTPS_PORT, "services of AWS; platforms; model hubs") for part in outward]
    for caller in processes.callers(settings):
        found.extend(_to_url(caller.part, caller.url, caller.why))
    if settings.redis.url:
        for part in to_redis(settings):
            found.extend(_to_url(part, settings.redis.url, "the store of the queue"))
    return tuple(dict.fromkeys(way for way in found if way.port != HTTPS_PORT or way.cidr == ANYWHERE))


def _to_url(part: Part, url: str, why: str) -> Iterable[WayOut]:
    """As narrowly as the address allows: itself, the private networks, or anywhere; a managed store's public name has a private
    address."""
    peers, port = destinations(url)
    networks = [peer.cidr for peer in peers if isinstance(peer, Addresses)]
    if peers == PUBLIC:
        networks = [ANYWHERE]
    elif not networks:  # a name within some cluster
        networks = [peer.cidr for peer in PRIVATE_NETWORK]
    for network in networks:
        if ipaddress.ip_network(network).version == 4:
            yield WayOut(part, network, port, why)


@dataclass(frozen=True, kw_only=True)
class TaskGroupsArgs:
    context: AwsContext
    vpc_id: pulumi.Input[str]


class TaskGroups(pulumi.ComponentResource):
    """A security group for each part, with nothing open yet. ``ids`` by part."""

    ids: Mapping[Part, pulumi.Output[str]]

    def __init__(self, name: str, args: TaskGroupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:TaskGroups", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        made = {
            part: aws.ec2.SecurityGroup(
                f"{name}-{part}",
                name=args.context.name(part),
                description=f"The tasks of {part}",
                vpc_id=args.vpc_id,
                tags={"Name": args.context.name(part)},
                opts=child,
            )
            for part in parts(args.context.settings)
        }
        self.ids = {part: group.id for part, group in made.items()}
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class TaskRulesArgs:
    """``redis``: the store's group where the stack makes it, which lets its clients in itself; None: by its address.
    ``endpoints``: the group of the endpoints of AWS' services, where there are any."""

    context: AwsContext
    groups: TaskGroups
    edge: pulumi.Input[str]
    redis: pulumi.Input[str] | None
    endpoints: pulumi.Input[str] | None


class TaskRules(pulumi.ComponentResource):
    """What :data:`FLOWS` and :func:`ways_out` say, as rules. ``made``: what must be there before the first task."""

    made: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: TaskRulesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:TaskRules", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        groups: dict[Source, pulumi.Input[str]] = {"edge": args.edge}
        groups.update((part, group) for part, group in args.groups.ids.items())
        made: list[pulumi.Resource] = []
        for flow in FLOWS:
            pair = f"{name}-{flow.source}-{flow.destination}"
            made.append(
                aws.vpc.SecurityGroupIngressRule(
                    f"{pair}-in",
                    security_group_id=groups[flow.destination],
                    referenced_security_group_id=groups[flow.source],
                    description=f"{flow.source}: {flow.why}",
                    ip_protocol="tcp",
                    from_port=flow.port,
                    to_port=flow.port,
                    opts=child,
                )
            )
            if flow.source != "edge":  # the edge itself says where it goes
                made.append(_egress(f"{pair}-out", groups[flow.source], groups[flow.destination], flow.port, flow.why, child))
        if args.redis is not None:
            for part in to_redis(args.context.settings):
                pair = f"{name}-{part}-redis-out"
                made.append(_egress(pair, groups[part], args.redis, REDIS_PORT, "the store of the queue", child))
        if args.endpoints is not None:
            made.extend(self._within_aws(name, args.context, groups, args.endpoints))
        for number, way in enumerate(ways_out(args.context.settings, endpoints=args.endpoints is not None)):
            made.append(
                aws.vpc.SecurityGroupEgressRule(
                    f"{name}-{way.source}-out-{way.port}-{number}",
                    security_group_id=groups[way.source],
                    cidr_ipv4=way.cidr,
                    description=way.why,
                    ip_protocol="tcp",
                    from_port=way.port,
                    to_port=way.port,
                    opts=child,
                )
            )
        self.made = tuple(made)
        self.register_outputs({})

    def _within_aws(
        self, name: str, context: AwsContext, groups: Mapping[Source, pulumi.Input[str]], endpoints: pulumi.Input[str]
    ) -> Iterable[pulumi.Resource]:
        """For parts that go nowhere else: the endpoints, and S3, whose gateway endpoint is a list of networks."""
        child, invoke = pulumi.ResourceOptions(parent=self), pulumi.InvokeOptions(parent=self)
        s3 = aws.ec2.get_managed_prefix_list_output(name=f"com.amazonaws.{context.region}.s3", opts=invoke).id
        for part in parts(context.settings):
            if part in to_the_world(context.settings):
                continue
            yield _egress(f"{name}-{part}-endpoints-out", groups[part], endpoints, HTTPS_PORT, "services of AWS", child)
            yield aws.vpc.SecurityGroupEgressRule(
                f"{name}-{part}-s3-out",
                security_group_id=groups[part],
                prefix_list_id=s3,
                description="S3: models, layers of images",
                ip_protocol="tcp",
                from_port=HTTPS_PORT,
                to_port=HTTPS_PORT,
                opts=child,
            )


def _egress(
    name: str,
    source: pulumi.Input[str],
    destination: pulumi.Input[str],
    port: int,
    why: str,
    opts: pulumi.ResourceOptions,
) -> aws.vpc.SecurityGroupEgressRule:
    return aws.vpc.SecurityGroupEgressRule(
        name,
        security_group_id=source,
        referenced_security_group_id=destination,
        description=why,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        opts=opts,
    )
