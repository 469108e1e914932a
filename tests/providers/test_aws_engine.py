"""The real engine with the AWS stand-in: what a stack goes through from its first preview to an empty account."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import pytest
from aws.choice import FOLDER, PERMISSION, with_plugin
from aws.world import orphans

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

PROGRAM = """
    import json
    import pulumi
    import pulumi_aws as aws

    config = pulumi.Config()
    region = config.get("region") or "eu-central-1"
    provider = aws.Provider("aws", region=region, default_tags={"tags": {"stack": "trial"}})
    inside = pulumi.ResourceOptions(provider=provider)
    asking = pulumi.InvokeOptions(provider=provider)
    partition = aws.get_partition(opts=asking)
    zones = aws.get_availability_zones(state="available", opts=asking)

    def trust(service):
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16", enable_dns_hostnames=True, tags={"Name": "net"}, opts=inside)
    gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id, opts=inside)
    subnets = [
        aws.ec2.Subnet(f"subnet-{index}", vpc_id=vpc.id, cidr_block=f"10.0.{index}.0/24", availability_zone=zone, opts=inside)
        for index, zone in enumerate(zones.names[:2])
    ]
    table = aws.ec2.RouteTable("table", vpc_id=vpc.id, opts=inside)
    aws.ec2.Route("out", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id, opts=inside)
    group = aws.ec2.SecurityGroup("edge", vpc_id=vpc.id, description="Edge", opts=inside)
    aws.vpc.SecurityGroupIngressRule("https", security_group_id=group.id, ip_protocol="tcp", from_port=443, to_port=443,
        cidr_ipv4="0.0.0.0/0", opts=inside)
    key = aws.kms.Key("key", description=config.get("description") or "data", enable_key_rotation=True, opts=inside)
    bucket = aws.s3.Bucket("models", bucket=config.get("bucket"), opts=inside)
    aws.s3.BucketVersioning("models", bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=inside)
    role = aws.iam.Role("node", name="node", assume_role_policy=trust("ec2.amazonaws.com"), opts=inside)
    aws.iam.RolePolicyAttachment("node", role=role.name,
        policy_arn=f"arn:{partition.partition}:iam::aws:policy/AmazonEKSWorkerNodePolicy", opts=inside)
    secret = aws.secretsmanager.Secret("api", name="assistant/trial/api_key", kms_key_id=key.arn, opts=inside)
    user = aws.memorydb.User("user", user_name="assistant", access_string="on ~* +@all",
        authentication_mode={"type": "password", "passwords": [pulumi.Output.secret("a-canary-of-sixteen-bytes")]}, opts=inside)
    cluster = aws.eks.Cluster("cluster", name="trial", role_arn=role.arn, version="1.33",
        vpc_config={"subnet_ids": [subnet.id for subnet in subnets]}, opts=inside)
    balancer = aws.lb.LoadBalancer("edge", load_balancer_type="application", security_groups=[group.id],
        subnets=[subnet.id for subnet in subnets], opts=inside)
    certificate = aws.acm.Certificate("edge", domain_name="ai.example.com", validation_method="DNS", opts=inside)
    if config.get("wrong"):
        aws.lb.TargetGroup("wrong", port=8080, protocol="HTTP", vpc_id=vpc.id, opts=inside,
            **json.loads(config.require("wrong")))
    pulumi.export("bucketArn", bucket.arn)
    pulumi.export("clusterGroup", cluster.vpc_config.cluster_security_group_id)
    pulumi.export("endpoint", cluster.endpoint)
    pulumi.export("issuer", cluster.identities[0].oidcs[0].issuer)
    pulumi.export("suffix", balancer.arn_suffix)
    pulumi.export("balancerVpc", balancer.vpc_id)
    pulumi.export("vpc", vpc.id)
    pulumi.export("dns", balancer.dns_name)
    pulumi.export("record", certificate.domain_validation_options[0].resource_record_name)
    pulumi.export("tags", vpc.tags_all)
    pulumi.export("roleArn", role.arn)
"""
RESOURCES = 20  # with the stack and the provider


@pytest.fixture
def trial(project):
    """The project with a world of its own, and the stand-in unless the real plugin is there."""
    environment = with_plugin({**project.environment, "ASSISTANT_AWS_WORLD": str(project.folder / "world.json")})
    if environment.get(PERMISSION) != "1" or str(FOLDER) not in environment["PATH"]:
        pytest.skip("Pulumi's own AWS plugin is here, and no account")
    made = dataclasses.replace(project, environment=environment)
    made.program(PROGRAM)
    return made


def outputs(trial) -> dict[str, object]:
    done = trial.pulumi("stack", "output", "--json")
    return json.loads(done.stdout)


def test_a_stack_lives_from_preview_to_an_empty_account(trial):
    world = trial.folder / "world.json"
    seen = trial.pulumi("preview")
    assert seen.returncode == 0, seen.stdout
    assert f"{RESOURCES} to create" in seen.stdout
    assert "stand-in for Pulumi's AWS plugin" in seen.stdout
    assert not world.exists()

    done = trial.up()
    assert done.returncode == 0, done.stdout
    assert f"{RESOURCES} created" in done.stdout
    known = outputs(trial)
    assert known["bucketArn"].startswith("arn:aws:s3:::models-")
    assert known["clusterGroup"].startswith("sg-")
    assert known["issuer"].startswith("https://oidc.eks.eu-central-1.amazonaws.com/id/")
    assert known["suffix"].startswith("app/edge-")
    assert known["balancerVpc"] == known["vpc"]
    assert known["dns"].endswith(".eu-central-1.elb.amazonaws.com")
    assert known["record"].endswith(".ai.example.com.")
    assert known["tags"] == {"Name": "net", "stack": "trial"}
    assert known["roleArn"] == "arn:aws:iam::123456789012:role/node"
    assert len(orphans(world)) == RESOURCES - 2

    again = trial.pulumi("preview", "--expect-no-changes")
    assert again.returncode == 0, again.stdout
    refreshed = trial.pulumi("refresh", "--yes", "--expect-no-changes")
    assert refreshed.returncode == 0, refreshed.stdout

    document = json.loads(world.read_text())  # somebody deletes it in the console
    document["resources"] = {key: item for key, item in document["resources"].items() if "secretsmanager" not in key}
    world.write_text(json.dumps(document))
    refreshed = trial.pulumi("refresh", "--yes")
    assert "1 deleted" in refreshed.stdout, refreshed.stdout

    exported = trial.pulumi("stack", "export").stdout
    assert "a-canary" not in exported + world.read_text()

    trial.pulumi("config", "set", "description", "other")
    trial.pulumi("config", "set", "bucket", "models-of-the-trial")
    changed = trial.up()
    for line in ("1 created", "1 updated", "2 replaced"):  # the secret, the key, the bucket and what is set on it
        assert line in changed.stdout, changed.stdout

    gone = trial.pulumi("destroy", "--yes")
    assert gone.returncode == 0, gone.stdout
    assert orphans(world) == []


def test_what_is_wrong_is_refused_before_anything_is_made(trial):
    wrong = {
        "health_check": {"pathh": "/"},
        "target_type": "pod",
        "stickiness": {"enabled": True},
        "deregistration_delay": "soon",
    }
    trial.pulumi("config", "set", "wrong", json.dumps(wrong))
    seen = trial.pulumi("preview")
    assert seen.returncode != 0
    for reason in (
        "An argument named pathh is not expected here; did you mean path?",
        "expected one of instance, ip, lambda, alb, and got pod",
        'Missing required argument "type"',
        "expected a whole number, and got 'soon'",
    ):
        assert reason in seen.stdout


def test_a_failure_on_demand_stops_an_up_and_the_next_one_recovers_in_china_as_well(trial):
    """There: another partition, and names under another suffix."""
    world = trial.folder / "world.json"
    trial.pulumi("config", "set", "region", "cn-northwest-1")
    rules = [{"urn": "*::cluster", "operation": "create", "error": "Throttling", "times": 1}]
    failing = {"ASSISTANT_AWS_FAILURES": json.dumps(rules)}
    failed = trial.pulumi("up", "--yes", "--skip-preview", **failing)
    assert failed.returncode != 0
    assert "exceeded maximum number of attempts, 25" in failed.stdout
    assert "ThrottlingException: Rate exceeded" in failed.stdout
    assert not any(record.token == "aws:eks/cluster:Cluster" for record in orphans(world))

    wanted = {"aws:eks/cluster:Cluster": {"endpoint": "https://127.0.0.1:6443"}}
    recovered = trial.pulumi("up", "--yes", "--skip-preview", ASSISTANT_AWS_OVERRIDES=json.dumps(wanted), **failing)
    assert recovered.returncode == 0, recovered.stdout
    known = outputs(trial)
    assert known["endpoint"] == "https://127.0.0.1:6443"
    assert known["bucketArn"].startswith("arn:aws-cn:s3:::")
    assert known["dns"].endswith(".cn-northwest-1.elb.amazonaws.com.cn")
    assert "arn:aws:" not in world.read_text()


def test_the_plugin_refuses_to_run_unless_a_test_asks():
    environment = {name: value for name, value in os.environ.items() if name != PERMISSION}
    done = subprocess.run(
        [Path(FOLDER) / "pulumi-resource-aws", "127.0.0.1:1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "stand-in for tests" in done.stderr
