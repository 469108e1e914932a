"""What both targets on AWS are billed for: network, edge, stores, and what watches over them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.telemetry.emf_catalogue import SERVICES, metrics_of
from infra import prices
from infra.aws import firewall
from infra.aws.alarm_metrics import renderings
from infra.aws.keys import PURPOSES
from infra.aws.network_endpoints import COMMON, NODES
from infra.aws.secrets import secret_names
from infra.cost_line import Line
from infra.prices import HOURS, RegionPrices
from infra.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Assumed, a month. ``requests``: millions. ``stored``: GB in buckets."""

    requests: float
    nat_gb: float
    logs_gb: float
    stored: float
    load_units: float
    egress_gb: float


# Without messages: probes, health checks, flow logs of what talks to AWS, one model.
QUIET = Traffic(requests=0.1, nat_gb=3, logs_gb=3, stored=10, load_units=0.1, egress_gb=0.5)
# Some 100,000 messages a day.
BUSY = Traffic(requests=5, nat_gb=60, logs_gb=60, stored=60, load_units=1, egress_gb=50)
IMAGES_GB = 5.0  # gateway, inference and their last versions, compressed


def base_lines(settings: Settings, stack: str, listed: RegionPrices) -> Iterable[Line]:
    yield from _network(settings, listed)
    yield from _edge(settings, listed)
    yield from _stores(settings, listed)
    yield from _watching(settings, stack, listed)


def _network(settings: Settings, listed: RegionPrices) -> Iterable[Line]:
    network = settings.network
    own = network.vpc_id is None
    gateways = (network.zones if network.nat == "perZone" else 1) if own else 0
    zones = network.zones if own else len(network.public_subnet_ids)
    hours = HOURS
    yield Line(
        what="NAT gateways",
        resources=("aws:ec2/natGateway:NatGateway",),
        unit="hour",
        price=listed.nat_hour,
        idle=gateways * hours,
        maximum=gateways * hours,
        why=f"network.nat {network.nat}: the way out of private subnets, with an address that platforms can be told",
    )
    yield Line(
        what="What goes through NAT",
        resources=("aws:ec2/natGateway:NatGateway",),
        unit="GB",
        price=listed.nat_gb,
        idle=QUIET.nat_gb if gateways else 0,
        maximum=BUSY.nat_gb if gateways else 0,
        why="assumed; S3 has a way of its own that costs nothing",
    )
    yield Line(
        what="Public addresses",
        resources=("aws:ec2/eip:Eip", "aws:lb/loadBalancer:LoadBalancer"),
        unit="hour",
        price=prices.PUBLIC_ADDRESS_HOUR,
        idle=(gateways + zones) * hours,
        maximum=(gateways + zones) * hours,
        why="one of each NAT gateway and one of the load balancer in each zone",
    )
    interfaces = len(endpoints(settings)) * network.zones if own and network.interface_endpoints else 0
    yield Line(
        what="Interface endpoints",
        resources=("aws:ec2/vpcEndpoint:VpcEndpoint",),
        unit="hour",
        price=listed.endpoint_hour,
        idle=interfaces * hours,
        maximum=interfaces * hours,
        why="network.interfaceEndpoints: AWS' services without the internet, one of each in each zone",
    )
    yield Line(
        what="Data sent to the internet",
        resources=("aws:lb/loadBalancer:LoadBalancer",),
        unit="GB",
        price=listed.egress_gb,
        idle=QUIET.egress_gb,
        maximum=BUSY.egress_gb,
        why="assumed: answers are short",
    )


def endpoints(settings: Settings) -> tuple[str, ...]:
    """As :func:`infra.aws.network_endpoints.services`, which asks a context; a test compares the two."""
    return (*COMMON, *NODES) if settings.target == "eks" else COMMON


def key_count(settings: Settings) -> int:
    """As many as :func:`infra.aws.keys.purposes`, which asks a context; a test compares the two."""
    return len(PURPOSES) - (settings.target != "eks") - (settings.redis.url is not None)


def _edge(settings: Settings, listed: RegionPrices) -> Iterable[Line]:
    yield Line(
        what="Load balancer",
        resources=("aws:lb/loadBalancer:LoadBalancer",),
        unit="hour",
        price=listed.balancer_hour,
        idle=HOURS,
        maximum=HOURS,
        why="the one way in; billed whether or not anybody comes",
    )
    yield Line(
        what="Load balancer capacity units",
        resources=("aws:lb/loadBalancer:LoadBalancer",),
        unit="hour",
        price=prices.LOAD_UNIT_HOUR,
        idle=QUIET.load_units * HOURS,
        maximum=BUSY.load_units * HOURS,
        why="assumed: one unit is 25 new connections a second or 1 GB an hour",
    )
    yield Line(
        what="Firewall",
        resources=("aws:wafv2/webAcl:WebAcl",),
        unit="month",
        price=prices.WEB_ACL_MONTH,
        idle=1,
        maximum=1,
        why="the web ACL in front of the load balancer",
    )
    rules = len(firewall.rules(settings.edge))
    yield Line(
        what="Firewall rules",
        resources=("aws:wafv2/webAcl:WebAcl",),
        unit="rule and month",
        price=prices.WEB_ACL_RULE_MONTH,
        idle=rules,
        maximum=rules,
        why="AWS' managed groups, rates, and what lets long messages through",
    )
    yield Line(
        what="Requests that the firewall sees",
        resources=("aws:wafv2/webAcl:WebAcl",),
        unit="million",
        price=prices.WEB_ACL_MILLION,
        idle=QUIET.requests,
        maximum=BUSY.requests,
        why="assumed",
    )


def _stores(settings: Settings, listed: RegionPrices) -> Iterable[Line]:
    memorydb = settings.memorydb
    nodes = 0 if settings.redis.url else memorydb.shards * (1 + memorydb.replicas)
    hourly = listed.memorydb.get(memorydb.node_type)
    unknown = "" if hourly else f"; the price of {memorydb.node_type} is not known here"
    yield Line(
        what=f"MemoryDB ({memorydb.node_type})",
        resources=("aws:memorydb/cluster:Cluster",),
        unit="node and hour",
        price=hourly and hourly * prices.VALKEY_SHARE,
        idle=nodes * HOURS,
        maximum=nodes * HOURS,
        why=f"{memorydb.shards} shard(s), {memorydb.replicas} replica(s): accepted events are never lost{unknown}",
    )
    owned = 0 if settings.keys.arn else key_count(settings)
    yield Line(
        what="Keys",
        resources=("aws:kms/key:Key",),
        unit="key and month",
        price=prices.KEY_MONTH,
        idle=owned,
        maximum=owned,
        why="one a purpose; keys.arn would be one for all. Each of the first two rotations adds as much again",
    )
    secrets = len(secret_names(settings))
    yield Line(
        what="Secrets",
        resources=("aws:secretsmanager/secret:Secret",),
        unit="secret and month",
        price=prices.SECRET_MONTH,
        idle=secrets,
        maximum=secrets,
        why="in Secrets Manager; none passes through Pulumi",
    )
    yield Line(
        what="Images",
        resources=("aws:ecr/repository:Repository",),
        unit="GB and month",
        price=prices.IMAGE_GB_MONTH,
        idle=IMAGES_GB,
        maximum=IMAGES_GB,
        why="assumed: the images and a few of their earlier versions",
    )
    yield Line(
        what="Buckets",
        resources=("aws:s3/bucket:Bucket",),
        unit="GB and month",
        price=listed.object_gb_month,
        idle=QUIET.stored,
        maximum=BUSY.stored,
        why="assumed: models, logs, audit, access logs",
    )
    yield Line(
        what="Backups",
        resources=("aws:backup/vault:Vault",),
        unit="GB and month",
        price=listed.backup_gb_month,
        idle=QUIET.stored,
        maximum=BUSY.stored,
        why=f"assumed: as much as the buckets hold, for retention.backupDays ({settings.retention.backup_days})",
    )


def _watching(settings: Settings, stack: str, listed: RegionPrices) -> Iterable[Line]:
    measured = sum(len(one.metrics) for several in renderings(settings, stack).values() for one in several)
    yield Line(
        what="Alarms",
        resources=("aws:cloudwatch/metricAlarm:MetricAlarm",),
        unit="metric and month",
        price=prices.ALARM_METRIC_MONTH,
        idle=measured,
        maximum=measured,
        why="each metric that an alarm of infra/alarms.py is made of",
    )
    # A part without tasks emits nothing, and is not billed for it.
    silent = {"worker"} if settings.target == "fargate" and settings.fargate.worker.minimum == 0 else set()
    emitted = {service: len(metrics_of(service)) for service in SERVICES}
    yield Line(
        what="The application's metrics",
        resources=(),
        unit="metric and month",
        price=prices.CUSTOM_METRIC_MONTH,
        idle=sum(count for service, count in emitted.items() if service not in silent),
        maximum=sum(emitted.values()),
        why="of app/telemetry/emf_catalogue.py, by service; alarms and autoscaling read them",
    )
    yield Line(
        what="Logs taken in",
        resources=("aws:cloudwatch/logGroup:LogGroup", "aws:ec2/flowLog:FlowLog"),
        unit="GB",
        price=listed.logs_gb + prices.MASKED_GB,
        idle=QUIET.logs_gb,
        maximum=BUSY.logs_gb,
        why="assumed: application, flow logs, firewall, control plane; searched for credentials and masked",
    )
    months = settings.retention.logs_days / 30
    yield Line(
        what="Logs kept",
        resources=("aws:cloudwatch/logGroup:LogGroup",),
        unit="GB and month",
        price=listed.logs_gb_month,
        idle=QUIET.logs_gb * months,
        maximum=BUSY.logs_gb * months,
        why=f"retention.logsDays ({settings.retention.logs_days}), once that time has passed",
    )
    if settings.audit.trail == "stack":
        yield Line(
            what="Trail",
            resources=("aws:cloudtrail/trail:Trail",),
            unit="100,000 data events",
            price=prices.DATA_EVENTS_100K,
            idle=0.1,
            maximum=2,
            why="reads and writes of objects; the first trail of management events costs nothing",
        )
