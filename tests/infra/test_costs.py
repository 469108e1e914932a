"""The monthly estimate: its totals, what has a line, and which line a setting moves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aws_rendering import aws_settings

from infra import prices
from infra.aws.keys import purposes
from infra.aws.network_endpoints import services
from infra.cost_of_base import endpoints, key_count
from infra.costs import IDLE_GOAL, Estimate, estimate

PROFILES = ("dev", "staging", "prod", "serverless")
# What is billed by the hour, the month or the piece, of the types that the AWS targets make.
EVERYWHERE = {
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/eip:Eip",
    "aws:ec2/flowLog:FlowLog",
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:wafv2/webAcl:WebAcl",
    "aws:kms/key:Key",
    "aws:secretsmanager/secret:Secret",
    "aws:memorydb/cluster:Cluster",
    "aws:ecr/repository:Repository",
    "aws:s3/bucket:Bucket",
    "aws:backup/vault:Vault",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:cloudtrail/trail:Trail",
}
OF_TARGET = {
    "eks": {"aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:eks/addon:Addon"},
    "fargate": {
        "aws:ecs/service:Service",
        "aws:ecs/cluster:Cluster",
        "aws:appautoscaling/policy:Policy",
        "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace",
        "aws:servicediscovery/service:Service",
    },
}


def of(profile: str, **groups: Any) -> Estimate:
    return estimate(aws_settings(profile, **groups), profile)


def line(found: Estimate, what: str):
    """The one of that name, whatever it says in parentheses."""
    (one,) = (one for one in found.lines if one.what.split(" (")[0] == what)
    return one


@pytest.mark.parametrize("profile", PROFILES)
def test_totals_are_the_sums_of_their_lines(profile):
    found = of(profile)
    assert found.total == found.idle == round(sum(round(one.price * one.idle, 2) for one in found.lines), 2)
    assert found.maximum == round(sum(round(one.price * one.maximum, 2) for one in found.lines), 2)
    assert 0 < found.idle < found.maximum


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_billed_has_a_line_that_says_why(profile):
    settings = aws_settings(profile)
    found = of(profile)
    covered = {type_ for one in found.lines for type_ in one.resources}
    assert covered >= EVERYWHERE | OF_TARGET[settings.target]
    assert all(one.why for one in found.lines)
    assert len({one.what for one in found.lines}) == len(found.lines)


def test_the_figures_are_reckoned_from_the_list():
    """Some by hand, in Frankfurt."""
    found = of("serverless")
    assert line(found, "NAT gateways").monthly == round(730 * 0.052, 2) == 37.96
    assert line(found, "Load balancer").monthly == round(730 * 0.027, 2)
    assert line(found, "Tasks of inference").monthly == round(730 * (1 * 0.04656 + 2 * 0.00511), 2) == 41.45
    assert line(found, "Tasks of gateway").monthly == round(2 * 730 * (0.25 * 0.04656 + 0.5 * 0.00511), 2)
    assert line(found, "MemoryDB").monthly == round(2 * 730 * 0.0388 * 0.7, 2)
    assert line(found, "Public addresses").monthly == round(3 * 730 * 0.005, 2)


def test_without_work_no_worker_runs_and_none_is_billed():
    workers = line(of("serverless"), "Tasks of worker")
    assert (workers.monthly, workers.monthly_maximum > 0) == (0, True)


def test_serverless_is_idle_for_little_or_the_lines_above_say_why():
    found = of("serverless")
    above = found.above()
    assert bool(above) == (found.idle > IDLE_GOAL)
    assert found.idle - sum(one.monthly for one in above) <= IDLE_GOAL
    assert all(len(one.why) > 20 for one in above)
    assert found.idle < 270


def test_settings_bring_serverless_under_its_goal():
    small = of(
        "serverless",
        memorydb={"replicas": 0},
        fargate={"architecture": "arm64", "inference": {"cpu": 1024, "memory": 4096, "minimum": 1, "maximum": 3}},
    )
    assert small.idle <= IDLE_GOAL
    assert small.above() == ()


@pytest.mark.parametrize(
    ("profile", "groups", "moved"),
    [
        ("staging", {"network": {"nat": "perZone"}}, {"NAT gateways", "Public addresses"}),
        ("staging", {"network": {"interfaceEndpoints": False}}, {"Interface endpoints"}),
        ("staging", {"memorydb": {"replicas": 2}}, {"MemoryDB (db.t4g.small)"}),
        ("staging", {"memorydb": {"shards": 2}}, {"MemoryDB (db.t4g.small)"}),
        ("staging", {"keys": {"arn": "arn:aws:kms:eu-central-1:123456789012:key/own"}}, {"Keys"}),
        ("staging", {"retention": {"logsDays": 30}}, {"Logs kept"}),
        ("staging", {"platforms": {"generic": {"url": "https://chat.example.com"}}}, {"Secrets"}),
        (
            "staging",
            {"eks": {"deployerCidrs": ["203.0.113.0/24"], "systemPool": {"minimum": 3}}},
            {"Nodes (m7i.large)", "Volumes of nodes", "Container Insights"},
        ),
        ("serverless", {"fargate": {"architecture": "arm64"}}, {"Tasks of gateway", "Tasks of inference", "Tasks of worker"}),
        ("serverless", {"fargate": {"spotWorkers": False}}, {"Tasks of worker"}),
    ],
)
def test_a_setting_moves_its_lines_and_no_others(profile, groups, moved):
    before, after = (
        {one.what: (one.monthly, one.monthly_maximum) for one in found.lines} for found in (of(profile), of(profile, **groups))
    )
    assert {what for what in before | after if before.get(what) != after.get(what)} == moved


def test_gpus_cost_what_runs():
    pool = {"name": "l4", "instanceTypes": ["g6.xlarge"], "minimum": 0, "maximum": 2}
    found = of("prod", gpuPools=[pool])
    gpus = line(found, "GPU nodes")
    assert (gpus.monthly, gpus.monthly_maximum) == (0, round(2 * 730 * 1.006, 2))
    assert line(found, "Volumes of GPU nodes").monthly_maximum == round(2 * 200 * 0.0952, 2)
    spot = line(of("prod", gpuPools=[{**pool, "capacity": "spot"}]), "GPU nodes")
    assert spot.monthly_maximum < gpus.monthly_maximum / 2
    assert "spot" in spot.why


def test_what_has_no_price_is_said_and_not_counted():
    found = of("prod", gpuPools=[{"name": "h100", "instanceTypes": ["p5.48xlarge"], "minimum": 1, "maximum": 1}])
    unpriced = line(found, "GPU nodes")
    assert unpriced.price is None
    assert any("p5.48xlarge" in note for note in found.notes)
    assert found.idle == pytest.approx(of("prod").idle, abs=60)


def test_another_region_is_like_one_that_is_listed_and_says_so():
    found = of("serverless", aws={"region": "eu-west-1"})
    assert (found.priced_as, found.factor) == ("eu-central-1", 0.93)
    assert found.idle == pytest.approx(of("serverless").idle * 0.93, abs=0.2)
    assert any("eu-west-1" in note and "0.93" in note for note in found.notes)


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "mx-central-1"])
def test_where_no_price_is_known_there_is_none(region):
    found = of("serverless", aws={"region": region})
    assert (found.lines, found.total) == ((), 0)
    assert found.notes[0].startswith("Unpriced")


def test_says_of_when_and_where_its_prices_are():
    found = of("prod")
    assert (found.region, found.priced_as, found.of) == ("eu-central-1", "eu-central-1", prices.PRICES_OF)
    assert "November 2025" in found.notes[0]


def test_what_is_yours_is_not_billed_here():
    found = of("prod", redis={"url": "rediss://redis.example.com:6379"}, audit=TRAIL, eks={"clusterName": "ours"})
    whats = " ".join(one.what for one in found.lines)
    assert not any(word in whats for word in ("MemoryDB", "Trail", "EKS", "Nodes ("))


TRAIL = {"trail": "external", "externalTrailArn": "arn:aws:cloudtrail:eu-central-1:123456789012:trail/all"}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("groups", [{}, {"redis": {"url": "rediss://redis.example.com:6379"}}])
def test_counts_what_the_components_make(profile, groups):
    settings = aws_settings(profile, **groups)
    context: Any = SimpleNamespace(settings=settings)
    assert key_count(settings) == len(purposes(context))
    assert endpoints(settings) == services(context)


@pytest.mark.parametrize("region", prices.REGIONS)
def test_prices_are_positive_and_the_default_machines_have_one(region):
    listed = prices.REGIONS[region]
    assert all(price > 0 for price in [*listed.instances.values(), *listed.memorydb.values()])
    for profile in PROFILES:
        assert all(one.price for one in of(profile, aws={"region": region}).lines)
