"""EKS' add-ons: complete, in the right halves, each with its own role, and none that makes a log group by itself."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from aws_rendering import Rendered, aws_settings, render_component

from infra.aws.addons import EarlyAddons, EarlyAddonsArgs, LateAddons, LateAddonsArgs
from infra.aws.context import AwsContext
from infra.settings import Settings


class Keys:
    def arn(self, purpose: str) -> pulumi.Output[str]:
        return pulumi.Output.from_input(f"key-{purpose}")


KEYS: Any = Keys()


def cluster(context: AwsContext) -> Any:
    name = context.name()
    version = context.settings.eks.version
    return SimpleNamespace(cluster_name=pulumi.Output.from_input(name), identifier=name, version=version)


async def early(settings: Settings | None = None) -> Rendered:
    return await render_component(
        lambda context: EarlyAddons("early", EarlyAddonsArgs(context=context, cluster=cluster(context))), settings
    )


async def late(settings: Settings | None = None, stack: str = "prod") -> Rendered:
    def make(context: AwsContext) -> LateAddons:
        return LateAddons("late", LateAddonsArgs(context=context, cluster=cluster(context), keys=KEYS))

    return await render_component(make, settings, stack=stack)


def by_name(found: Rendered) -> dict[str, dict[str, Any]]:
    return {it.inputs["addonName"]: it.inputs for it in found.of("Addon")}


def configuration(addon: dict[str, Any]) -> Any:
    return json.loads(addon["configurationValues"])


async def test_nodes_find_their_network_and_the_agent_that_gives_roles_and_coredns_finds_nodes():
    assert set(by_name(await early())) == {"eks-pod-identity-agent", "vpc-cni", "kube-proxy"}
    assert set(by_name(await late())) == {
        *("coredns", "metrics-server", "eks-node-monitoring-agent", "amazon-cloudwatch-observability")
    }


@pytest.mark.parametrize("version", ["1.35", "1.36"])
async def test_an_add_ons_version_rises_with_the_clusters(version):
    settings = aws_settings("prod", eks={"deployerCidrs": ["203.0.113.0/24"], "version": version})
    for addon in (by_name(await early(settings)) | by_name(await late(settings))).values():
        assert addon["addonVersion"] == f"v{version}.0-eksbuild.1"


async def test_the_cni_enforces_network_policies_with_a_role_that_only_its_pods_take():
    found = await early()
    cni = by_name(found)["vpc-cni"]
    assert configuration(cni)["enableNetworkPolicy"] == "true"
    (association,) = cni["podIdentityAssociations"]
    assert association["serviceAccount"] == "aws-node"
    (statement,) = json.loads(found.one("Role").inputs["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": ["pods.eks.amazonaws.com"]}
    assert statement["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"] == "aws-node"
    assert found.one("RolePolicyAttachment").inputs["policyArn"] == "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"


@pytest.mark.parametrize("half", [early, late])
async def test_what_is_there_is_taken_over_once_and_left_alone_by_updates(half):
    for addon in by_name(await half()).values():
        assert addon["resolveConflictsOnCreate"] == "OVERWRITE"
        assert addon["resolveConflictsOnUpdate"] == "PRESERVE"
        assert "serviceAccountRoleArn" not in addon


async def test_gpus_are_measured_by_the_add_on_and_nobodys_pods_are_instrumented():
    values = configuration(by_name(await late())["amazon-cloudwatch-observability"])
    agent = values["agent"]["config"]
    assert agent["logs"]["metrics_collected"]["kubernetes"]["enhanced_container_insights"] is True
    assert agent["logs"]["metrics_collected"]["kubernetes"]["accelerated_compute_metrics"] is True
    assert "traces" not in agent
    assert "application_signals" not in agent["logs"]["metrics_collected"]
    assert values["manager"]["applicationSignals"]["autoMonitor"]["monitorAllServices"] is False


async def test_every_log_group_is_there_before_encrypted_and_retained_and_prompts_are_masked():
    found = await late()
    groups = {it.inputs["name"]: it.inputs for it in found.of("LogGroup")}
    assert set(groups) == {
        *(f"/assistant/prod/{words}" for words in ("pods", "metrics", "cluster")),
        *(f"/aws/containerinsights/assistant-prod/{words}" for words in ("performance", "dataplane", "host", "application")),
    }
    assert all((it["kmsKeyId"], it["retentionInDays"]) == ("key-logs", 400) for it in groups.values())
    masked = sorted(it.inputs["logGroupName"] for it in found.of("LogDataProtectionPolicy"))
    assert masked == ["/assistant/prod/pods", "/aws/containerinsights/assistant-prod/application"]
    order = [it.name for it in found.resources]
    assert all(order.index(it.name) < order.index("late-amazon-cloudwatch-observability") for it in found.of("LogGroup"))


async def test_the_agent_writes_into_these_groups_and_makes_none():
    found = await late()
    statements = json.loads(found.one("RolePolicy").inputs["policy"])["Statement"]
    actions = {action for statement in statements for action in statement["Action"]}
    assert "logs:PutLogEvents" in actions
    assert not {action for action in actions if "Create" in action} - {"logs:CreateLogStream"}
    (writing,) = [it for it in statements if "logs:PutLogEvents" in it["Action"]]
    assert "*" not in writing["Resource"]
    assert len(writing["Resource"]) == 14
    assert not found.of("RolePolicyAttachment")


async def test_the_pods_of_the_stacks_own_namespace_have_a_log_group_of_their_own():
    settings = aws_settings("staging", cluster={"namespace": "chat"})
    values = configuration(by_name(await late(settings, "staging"))["amazon-cloudwatch-observability"])
    text = values["containerLogs"]["fluentBit"]["config"]["extraFiles"]["application-log.conf"]
    assert "*_chat_*.log" in text
    assert "/assistant/staging/pods" in text
    assert values["containerLogs"]["enabled"] is True


async def test_in_china_nothing_names_another_partition():
    for found in (
        await early(aws_settings("prod", aws={"region": "cn-north-1"})),
        await late(aws_settings("prod", aws={"region": "cn-north-1"})),
    ):
        assert "arn:aws:" not in json.dumps([it.inputs for it in found.resources], default=str)
