"""AWS' list prices, in US dollars, for the estimate of :mod:`infra.costs`. Data alone.

AWS' price list service was not asked: these are the public list prices as they were known on
``PRICES_OF``, on demand, without taxes, free tiers, savings plans or discounts; compare with calculator.aws before a decision
hangs on them. A machine or a node type that is not listed is unpriced, which the estimate says. MemoryDB's larger nodes and all
of Frankfurt's are reckoned from ElastiCache's price and the 5 % that MemoryDB costs more. Source: the pricing pages of
aws.amazon.com for each service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

PRICES_OF = date(2025, 11, 1)
CURRENCY = "USD"
HOURS = 730  # a month, as AWS counts it

# What is the same wherever it is billed.
PUBLIC_ADDRESS_HOUR = 0.005
CLUSTER_HOUR = 0.10  # EKS, a version in standard support
KEY_MONTH = 1.00
SECRET_MONTH = 0.40
WEB_ACL_MONTH, WEB_ACL_RULE_MONTH, WEB_ACL_MILLION = 5.00, 1.00, 0.60
ALARM_METRIC_MONTH = 0.10
CUSTOM_METRIC_MONTH = 0.30
INSIGHTS_METRIC_MONTH = 0.07  # Container Insights of ECS with enhanced observability
INSIGHTS_MILLION = 0.21  # observations, Container Insights of EKS with enhanced observability
MASKED_GB = 0.12  # CloudWatch Logs, data protection
DNS_ZONE_MONTH = 0.50
REGISTERED_INSTANCE_MONTH = 0.10
IMAGE_GB_MONTH = 0.10
DATA_EVENTS_100K = 0.10  # CloudTrail
LOAD_UNIT_HOUR = 0.008
# Of the price on demand; changes by the hour. Fargate's own advice is "up to 70 % off".
SPOT_SHARE_FARGATE, SPOT_SHARE_EC2 = 0.35, 0.45
# MemoryDB with Valkey costs 30 % less than with Redis OSS (aws.amazon.com/memorydb/pricing).
VALKEY_SHARE = 0.7


@dataclass(frozen=True, kw_only=True)
class FargatePrice:
    """Of an hour: a virtual CPU and a GB of memory."""

    cpu: float
    memory: float


@dataclass(frozen=True, kw_only=True)
class RegionPrices:
    """``instances`` and ``memorydb``: an hour, by type; of MemoryDB with Redis OSS, as it is listed."""

    fargate: Mapping[str, FargatePrice]
    balancer_hour: float
    nat_hour: float
    nat_gb: float
    endpoint_hour: float
    volume_gb_month: float
    object_gb_month: float
    backup_gb_month: float
    logs_gb: float
    logs_gb_month: float
    instances: Mapping[str, float]
    memorydb: Mapping[str, float]
    egress_gb: float = field(default=0.09)


VIRGINIA = RegionPrices(
    fargate={"x86_64": FargatePrice(cpu=0.04048, memory=0.004445), "arm64": FargatePrice(cpu=0.03238, memory=0.00356)},
    balancer_hour=0.0225,
    nat_hour=0.045,
    nat_gb=0.045,
    endpoint_hour=0.01,
    volume_gb_month=0.08,
    object_gb_month=0.023,
    backup_gb_month=0.05,
    logs_gb=0.50,
    logs_gb_month=0.03,
    instances={
        "m7i.large": 0.1008,
        "m7i.xlarge": 0.2016,
        "m7i.2xlarge": 0.4032,
        "m7g.large": 0.0816,
        "m7g.xlarge": 0.1632,
        "m7g.2xlarge": 0.3264,
        "m6i.large": 0.096,
        "m6i.xlarge": 0.192,
        "g4dn.xlarge": 0.526,
        "g4dn.2xlarge": 0.752,
        "g4dn.12xlarge": 3.912,
        "g5.xlarge": 1.006,
        "g5.2xlarge": 1.212,
        "g5.4xlarge": 1.624,
        "g5.12xlarge": 5.672,
        "g5.48xlarge": 16.288,
        "g5g.xlarge": 0.42,
        "g6.xlarge": 0.8048,
        "g6.2xlarge": 0.9776,
        "g6.4xlarge": 1.3232,
        "g6.12xlarge": 4.6016,
        "g6.48xlarge": 13.3504,
        "g6e.xlarge": 1.861,
        "g6e.2xlarge": 2.24208,
        "g6e.4xlarge": 3.00424,
        "g6e.12xlarge": 10.49264,
        "g6e.48xlarge": 30.13118,
        "p4d.24xlarge": 21.957642,
        "p5.48xlarge": 55.04,
    },
    memorydb={
        "db.t4g.small": 0.0336,
        "db.t4g.medium": 0.0683,
        "db.r6g.large": 0.2163,
        "db.r7g.large": 0.23,
        "db.r7g.xlarge": 0.46,
    },
)
FRANKFURT = RegionPrices(
    fargate={"x86_64": FargatePrice(cpu=0.04656, memory=0.00511), "arm64": FargatePrice(cpu=0.03725, memory=0.00409)},
    balancer_hour=0.027,
    nat_hour=0.052,
    nat_gb=0.052,
    endpoint_hour=0.012,
    volume_gb_month=0.0952,
    object_gb_month=0.0245,
    backup_gb_month=0.06,
    logs_gb=0.63,
    logs_gb_month=0.0324,
    instances={
        "m7i.large": 0.12075,
        "m7i.xlarge": 0.2415,
        "m7i.2xlarge": 0.483,
        "m7g.large": 0.0975,
        "m7g.xlarge": 0.195,
        "m7g.2xlarge": 0.39,
        "m6i.large": 0.115,
        "m6i.xlarge": 0.23,
        "g4dn.xlarge": 0.658,
        "g4dn.2xlarge": 0.94,
        "g4dn.12xlarge": 4.89,
        "g5.xlarge": 1.258,
        "g5.2xlarge": 1.516,
        "g5.4xlarge": 2.031,
        "g5.12xlarge": 7.094,
        "g5.48xlarge": 20.371,
        "g6.xlarge": 1.006,
        "g6.2xlarge": 1.222,
        "g6.4xlarge": 1.654,
        "g6.12xlarge": 5.752,
        "g6.48xlarge": 16.688,
        "g6e.xlarge": 2.326,
        "g6e.2xlarge": 2.803,
        "g6e.4xlarge": 3.755,
        "g6e.12xlarge": 13.116,
        "g6e.48xlarge": 37.664,
    },
    memorydb={
        "db.t4g.small": 0.0388,
        "db.t4g.medium": 0.0777,
        "db.r6g.large": 0.2583,
        "db.r7g.large": 0.275,
        "db.r7g.xlarge": 0.55,
    },
)
REGIONS: Mapping[str, RegionPrices] = {"us-east-1": VIRGINIA, "eu-central-1": FRANKFURT}


@dataclass(frozen=True)
class Likeness:
    """A region without prices here: as ``region``, times ``factor``, which is what machines cost there, rounded."""

    region: str
    factor: float


NEAREST: Mapping[str, Likeness] = {
    "us-east-2": Likeness("us-east-1", 1.0),
    "us-west-1": Likeness("us-east-1", 1.17),
    "us-west-2": Likeness("us-east-1", 1.0),
    "ca-central-1": Likeness("us-east-1", 1.11),
    "eu-central-2": Likeness("eu-central-1", 1.1),
    "eu-north-1": Likeness("eu-central-1", 0.89),
    "eu-south-1": Likeness("eu-central-1", 0.97),
    "eu-west-1": Likeness("eu-central-1", 0.93),
    "eu-west-2": Likeness("eu-central-1", 0.97),
    "eu-west-3": Likeness("eu-central-1", 0.97),
    "ap-northeast-1": Likeness("us-east-1", 1.29),
    "ap-south-1": Likeness("us-east-1", 1.05),
    "ap-southeast-1": Likeness("us-east-1", 1.25),
    "ap-southeast-2": Likeness("us-east-1", 1.25),
    "sa-east-1": Likeness("us-east-1", 1.59),
}
# Regions that are billed by somebody else, or of which nothing is known here.
UNPRICED_PARTITIONS: Mapping[str, str] = {
    "cn-": "AWS' regions in China have price lists of their own, in CNY",
    "us-gov-": "the prices of AWS GovCloud are not known here",
}
