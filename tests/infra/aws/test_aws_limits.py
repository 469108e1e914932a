"""What AWS refuses although every type is right: whole stacks against its rules for words, names and policies."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from aws_rendering import Registration, aws_settings, render_component

ANSWERS = {
    "aws:route53/getZone:getZone": {"zoneId": "Z1", "id": "Z1", "name": "example.com"},
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": {"id": "pl-1", "name": "com.amazonaws.eu-central-1.s3"},
}
GENERIC = {"generic": {"url": "https://platform.example.org:8443"}}
STACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "dev": ("dev", {}),
    "staging": ("staging", {}),
    "prod": ("prod", {"gpuPools": [{"name": "l4", "instanceTypes": ["g6.xlarge"]}], "platforms": GENERIC}),
    "serverless": ("serverless", {}),
    "serverless-with-endpoints": ("serverless", {"network": {"interfaceEndpoints": True}, "platforms": GENERIC}),
    "serverless-your-redis": ("serverless", {"redis": {"url": "rediss://redis.example.internal:6380"}}),
}
# docs.aws.amazon.com/AWSEC2 (CreateSecurityGroup, IpPermission): of a group and of a rule; no apostrophe is among them.
DESCRIPTION = re.compile(r"[a-zA-Z0-9. _:/()#,@\[\]+=&;{}!$*-]{1,255}")
GROUPS = {
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
}
TAG_VALUE = re.compile(r"[\w \t.:/=+@-]{0,256}")  # of the service with the fewest characters
# Longest names, by type: from each service's own reference.
LONGEST = {
    "aws:lb/loadBalancer:LoadBalancer": 32,
    "aws:lb/targetGroup:TargetGroup": 32,
    "aws:iam/role:Role": 64,
    "aws:memorydb/cluster:Cluster": 40,
    "aws:memorydb/user:User": 40,
    "aws:backup/selection:Selection": 50,
    "aws:backup/vault:Vault": 50,
}
SID = re.compile(r"[A-Za-z0-9]+")


@cache
def resources(case: str) -> tuple[Registration, ...]:
    profile, groups = STACKS[case]

    def make(context: Any) -> object:
        if context.settings.target == "fargate":
            from infra.targets.fargate import FargateAssistant as Stack
        else:
            from infra.targets.eks import EksAssistant as Stack
        return Stack("assistant", context)

    rendered = asyncio.run(render_component(make, aws_settings(profile, **groups), stack=profile, answers=ANSWERS))
    return tuple(it for it in rendered.resources if it.type.startswith("aws:"))


def policies(inputs: Any) -> Iterator[dict[str, Any]]:
    """The documents of IAM's grammar among a resource's inputs."""
    for value in inputs.values():
        if isinstance(value, str) and '"Statement"' in value and '"2012-10-17"' in value:
            yield json.loads(value)


@pytest.mark.parametrize("case", STACKS)
def test_every_description_of_a_security_group_and_of_its_rules_is_one_that_ec2_takes(case):
    described = [(it.name, it.inputs["description"]) for it in resources(case) if it.type in GROUPS]
    assert described
    assert [(name, text) for name, text in described if not DESCRIPTION.fullmatch(text)] == []


@pytest.mark.parametrize("case", STACKS)
def test_no_policy_says_one_statement_twice(case):
    found = [(it.name, document["Statement"]) for it in resources(case) for document in policies(it.inputs)]
    assert len(found) > 20
    for name, statements in found:
        sids = Counter(sid for statement in statements if (sid := statement.get("Sid")))
        assert [sid for sid, times in sids.items() if times > 1] == [], name
        assert all(SID.fullmatch(sid) for sid in sids), name


@pytest.mark.parametrize("case", STACKS)
def test_names_and_tags_are_within_what_their_services_take(case):
    for it in resources(case):
        name = it.inputs.get("name") or it.inputs.get("userName") or ""
        assert len(name) <= LONGEST.get(it.type, 255), (it.type, name)
        tags = it.inputs.get("tags") or {}
        assert all(TAG_VALUE.fullmatch(value) for value in tags.values()) if isinstance(tags, dict) else True, (it.name, tags)
