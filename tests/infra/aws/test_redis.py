"""The queue's store on AWS: who reaches it, who may log in, what it survives."""

from __future__ import annotations

from types import SimpleNamespace

import pulumi
from aws_rendering import aws_settings, render_component

from infra.aws.redis import Memorydb, MemorydbArgs


def store(context):
    network = SimpleNamespace(vpc_id="vpc-1", private_subnet_ids=["subnet-a", "subnet-b", "subnet-c"])
    return Memorydb(
        "redis",
        MemorydbArgs(context=context, network=network, key_arn="key", client_security_group_ids={"pods": "sg-pods"}),  # type: ignore[arg-type]
    )


async def test_it_is_encrypted_on_the_way_and_at_rest_never_evicts_and_fails_over_between_zones():
    rendered = await render_component(store)
    cluster = rendered.one("aws:memorydb/cluster:Cluster").inputs
    assert (cluster["tlsEnabled"], cluster["kmsKeyArn"], cluster["autoMinorVersionUpgrade"]) == (True, "key", True)
    assert (cluster["numReplicasPerShard"], cluster["snapshotRetentionLimit"]) == (2, 35)
    (parameter,) = rendered.one("ParameterGroup").inputs["parameters"]
    assert parameter == {"name": "maxmemory-policy", "value": "noeviction"}
    assert len(rendered.one("SubnetGroup").inputs["subnetIds"]) == 3


async def test_only_the_given_groups_reach_its_one_port_and_it_calls_nobody():
    rendered = await render_component(store)
    (rule,) = rendered.of("SecurityGroupIngressRule")
    assert (rule.inputs["referencedSecurityGroupId"], rule.inputs["fromPort"], rule.inputs["toPort"]) == ("sg-pods", 6379, 6379)
    assert "cidrIpv4" not in rule.inputs
    assert not rendered.of("SecurityGroupEgressRule")


async def test_no_password_passes_through_the_program_and_the_user_may_do_nothing_dangerous():
    rendered = await render_component(store)
    user = rendered.one("aws:memorydb/user:User").inputs
    assert user["authenticationMode"] == {"type": "iam"}
    assert "-@dangerous" in user["accessString"]
    assert user["userName"] == "assistant-prod"  # another stack of the account has another
    assert rendered.one("Acl").inputs["userNames"] == ["assistant-prod"]


async def test_an_environment_that_may_wait_has_one_node():
    dev = await render_component(store, aws_settings("dev"), stack="dev")
    assert dev.one("aws:memorydb/cluster:Cluster").inputs["numReplicasPerShard"] == 0


async def test_clients_learn_where_it_is_and_that_it_speaks_tls():
    seen = {}

    def make(context):
        made = store(context)
        pulumi.Output.from_input(made.url).apply(lambda url: seen.update(url=url))
        return made

    await render_component(make)
    assert seen["url"] == "rediss://redis-cluster.example:6379/0"
