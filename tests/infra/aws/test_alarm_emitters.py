"""From each alarm of a whole stack to the resource, in the same stack, that emits its metric; and from what is billed to its
line in the estimate."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any

import pytest
from aws_rendering import Rendered, aws_settings, render_component

from infra.aws.alarm_metrics import Metric, renderings
from infra.aws.emitters import Emitter, emitters
from infra.costs import estimate

PROFILES = ("dev", "staging", "prod", "serverless")
GPUS = [{"name": "l4", "instanceTypes": ["g6.xlarge"]}]
ANSWERS = {"aws:route53/getZone:getZone": {"zoneId": "Z1", "id": "Z1", "name": "example.com"}}
# Types that AWS bills for, among those that either target makes.
BILLED = {
    "aws:acmpca/certificateAuthority:CertificateAuthority",
    "aws:appautoscaling/policy:Policy",
    "aws:backup/vault:Vault",
    "aws:cloudtrail/trail:Trail",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:ec2/eip:Eip",
    "aws:ec2/flowLog:FlowLog",
    "aws:ec2/instance:Instance",
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "aws:ecr/repository:Repository",
    "aws:ecs/service:Service",
    "aws:efs/fileSystem:FileSystem",
    "aws:eks/addon:Addon",
    "aws:eks/cluster:Cluster",
    "aws:eks/nodeGroup:NodeGroup",
    "aws:kms/key:Key",
    "aws:lambda/function:Function",
    "aws:lb/loadBalancer:LoadBalancer",
    "aws:memorydb/cluster:Cluster",
    "aws:route53/zone:Zone",
    "aws:s3/bucket:Bucket",
    "aws:secretsmanager/secret:Secret",
    "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace",
    "aws:servicediscovery/service:Service",
    "aws:wafv2/webAcl:WebAcl",
}


def settings_of(profile: str):
    return aws_settings(profile, **({} if profile == "serverless" else {"gpuPools": GPUS}))


def whole(profile: str) -> Rendered:
    """The stack as its target puts it together."""

    def make(context: Any) -> object:
        if context.settings.target == "fargate":
            from infra.targets.fargate import FargateAssistant as Stack
        else:
            from infra.targets.eks import EksAssistant as Stack
        return Stack("assistant", context)

    return asyncio.run(render_component(make, settings_of(profile), stack=profile, answers=ANSWERS))


@cache
def resources(profile: str) -> tuple[tuple[str, str], ...]:
    return tuple((it.type, json.dumps(it.inputs, default=str)) for it in whole(profile).resources)


def emits(emitter: Emitter, metric: Metric) -> bool:
    wanted = frozenset(metric.dimensions)
    fits = any(wanted <= names if metric.among else wanted == names for names in emitter.dimensions)
    fixed = all(metric.dimensions.get(name) == value for name, value in emitter.fixed.items())
    return emitter.namespace == metric.namespace and metric.name in emitter.metrics and fits and fixed


def silent(profile: str, found: tuple[tuple[str, str], ...]) -> set[str]:
    """Metrics of alarms that nothing among the resources emits."""
    settings = settings_of(profile)
    present = [one for one in emitters(settings, profile) if all(evidence.among(found) for evidence in one.evidence)]
    metrics = [
        metric
        for several in renderings(settings, profile).values()
        for rendering in several
        for metric in rendering.metrics.values()
    ]
    return {metric.name for metric in metrics if not any(emits(one, metric) for one in present)}


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_that_raises_an_alarm_is_emitted_by_something_in_the_stack(profile):
    assert silent(profile, resources(profile)) == set()


@pytest.mark.parametrize("profile", PROFILES)
def test_every_alarm_of_the_catalogue_that_the_stack_measures_is_in_it(profile):
    alarms = [inputs for type_, inputs in resources(profile) if type_ == "aws:cloudwatch/metricAlarm:MetricAlarm"]
    for several in renderings(settings_of(profile), profile).values():
        for rendering in several:
            for metric in rendering.metrics.values():
                assert any(metric.namespace in inputs and metric.name in inputs for inputs in alarms)


@pytest.mark.parametrize(
    ("profile", "type_", "holds", "missing"),
    [
        ("prod", "aws:eks/addon:Addon", "amazon-cloudwatch-observability", "pod_cpu_utilization_over_pod_limit"),
        ("prod", "aws:eks/addon:Addon", "amazon-cloudwatch-observability", "QueueOldestSeconds"),
        ("prod", "aws:memorydb/cluster:Cluster", "", "DatabaseMemoryUsagePercentage"),
        ("prod", "aws:eks/nodeGroup:NodeGroup", "NVIDIA", "node_gpu_memory_utilization"),
        ("serverless", "aws:ecs/service:Service", "", "CPUUtilization"),
        ("serverless", "aws:ecs/taskDefinition:TaskDefinition", "app.inference", "TimeToFirstTokenSeconds"),
        ("serverless", "aws:lb/loadBalancer:LoadBalancer", "", "TargetResponseTime"),
    ],
)
def test_without_its_emitter_an_alarm_would_be_noticed(profile, type_, holds, missing):
    rest = tuple(one for one in resources(profile) if not (one[0] == type_ and holds in one[1]))
    assert len(rest) < len(resources(profile))
    assert missing in silent(profile, rest)


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_billed_that_the_stack_makes_has_a_line_in_the_estimate(profile):
    covered = {type_ for line in estimate(settings_of(profile), profile).lines for type_ in line.resources}
    made = {type_ for type_, _ in resources(profile)}
    interface = [it for it in resources(profile) if it[0] == "aws:ec2/vpcEndpoint:VpcEndpoint" and "Interface" in it[1]]
    free = set() if interface else {"aws:ec2/vpcEndpoint:VpcEndpoint"}  # the way to S3
    assert made & BILLED - free <= covered


@pytest.mark.parametrize("profile", PROFILES)
def test_the_estimate_counts_what_is_made(profile):
    lines = {line.what: line for line in estimate(settings_of(profile), profile).lines}
    counted = {"Keys": "aws:kms/key:Key", "Secrets": "aws:secretsmanager/secret:Secret"}
    for what, type_ in counted.items():
        assert lines[what].idle == sum(made == type_ for made, _ in resources(profile))
    gateways = sum(made == "aws:ec2/natGateway:NatGateway" for made, _ in resources(profile))
    assert lines["NAT gateways"].idle == gateways * 730


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_open_to_the_world_is_80_and_443_of_the_edge(profile):
    rules = [json.loads(inputs) for type_, inputs in resources(profile) if type_.endswith("SecurityGroupIngressRule")]
    world = [rule for rule in rules if rule.get("cidrIpv4") == "0.0.0.0/0" or rule.get("cidrIpv6")]
    assert sorted((rule["fromPort"], rule["toPort"]) for rule in world) == [(80, 80), (443, 443)]
