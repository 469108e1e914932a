"""Who may speak to whom among the tasks."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from aws_rendering import Rendered, aws_settings, render_component

from infra.aws.context import AwsContext
from infra.aws.ecs_network import TaskGroups, TaskGroupsArgs, TaskRules, TaskRulesArgs

INGRESS, EGRESS = "SecurityGroupIngressRule", "SecurityGroupEgressRule"
Edge = tuple[str, str, int]


PREFIX_LIST = "aws:ec2/getManagedPrefixList:getManagedPrefixList"


async def rules(store: str | None = "redis-id", endpoints: str | None = None, **groups: Any) -> Rendered:
    def make(context: AwsContext) -> TaskRules:
        made = TaskGroups("tasks", TaskGroupsArgs(context=context, vpc_id="vpc-1"))
        return TaskRules("rules", TaskRulesArgs(context=context, groups=made, edge="edge-id", redis=store, endpoints=endpoints))

    answers = {PREFIX_LIST: {"id": "pl-s3", "name": "s3"}}
    return await render_component(make, aws_settings("serverless", **groups), stack="serverless", answers=answers)


def graph(found: Rendered, kind: str) -> set[Edge]:
    """``(source, destination, port)`` of every rule of a kind, by what the groups are called."""
    edges = set()
    for rule in found.of(kind):
        own = rule.inputs["securityGroupId"].removeprefix("tasks-").removesuffix("-id")
        other = rule.inputs.get("referencedSecurityGroupId") or rule.inputs.get("prefixListId") or rule.inputs["cidrIpv4"]
        other = other.removeprefix("tasks-").removesuffix("-id")
        assert rule.inputs["fromPort"] == rule.inputs["toPort"]
        assert rule.inputs["ipProtocol"] == "tcp"
        edges.add((other, own, int(rule.inputs["fromPort"])) if kind == INGRESS else (own, other, int(rule.inputs["fromPort"])))
    return edges


async def test_only_who_needs_a_part_is_let_in_and_nobody_from_the_world() -> None:
    assert graph(await rules(), INGRESS) == {
        ("edge", "gateway", 8443),
        ("gateway", "inference", 8080),
        ("worker", "inference", 8080),
    }


async def test_each_part_gets_out_to_what_it_calls_alone() -> None:
    found = await rules()
    assert graph(found, EGRESS) == {
        ("gateway", "inference", 8080),
        ("worker", "inference", 8080),
        ("gateway", "redis", 6379),
        ("worker", "redis", 6379),
        *((part, "0.0.0.0/0", 443) for part in ("gateway", "worker", "inference", "model")),
    }


async def test_with_endpoints_of_aws_services_only_workers_and_the_converter_reach_the_world() -> None:
    found = graph(await rules(endpoints="endpoints-id"), EGRESS)
    assert {part for part, to, _ in found if to == "0.0.0.0/0"} == {"worker", "model"}
    assert {(part, to, port) for part, to, port in found if to in ("endpoints", "pl-s3")} == {
        (part, to, 443) for part in ("gateway", "inference") for to in ("endpoints", "pl-s3")
    }


async def test_groups_hold_no_rules_of_their_own() -> None:
    groups = (await rules()).of("SecurityGroup")
    assert len(groups) == 4
    assert not [group for group in groups if {"ingress", "egress"} & set(group.inputs)]


@pytest.mark.parametrize(
    ("url", "networks"),
    [
        ("rediss://10.1.2.3:6380", {("10.1.2.3/32", 6380)}),
        (
            "rediss://redis.corp.internal:6379",
            {(net, 6379) for net in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")},
        ),
        ("rediss://redis.example.com:16379", {("0.0.0.0/0", 16379)}),
    ],
)
async def test_a_redis_of_yours_is_reached_as_narrowly_as_its_address_allows(url: str, networks: set[tuple[str, int]]) -> None:
    found = graph(await rules(None, redis={"url": url}), EGRESS)
    for part in ("gateway", "worker"):
        assert {(to, port) for source, to, port in found if source == part and port not in (443, 8080)} == networks
    assert not {edge for edge in found if edge[0] in ("inference", "model") and edge[2] != 443}


async def test_a_platform_on_a_port_of_its_own_is_reached_by_workers_alone() -> None:
    platform = {"generic": {"url": "https://platform.example.com:8444/base"}}
    assert {edge for edge in graph(await rules(platforms=platform), EGRESS) if edge[2] == 8444} == {
        ("worker", "0.0.0.0/0", 8444)
    }


async def test_names_of_two_stacks_differ() -> None:
    found = await rules()
    assert {group.inputs["name"] for group in found.of("SecurityGroup")} == {
        f"assistant-serverless-{part}" for part in ("gateway", "worker", "inference", "model")
    }
    assert isinstance(found.made, pulumi.ComponentResource)
