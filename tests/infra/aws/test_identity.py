"""Policy documents and roles, as IAM would read them."""

from __future__ import annotations

import json

import pulumi
import pytest
from aws_rendering import ACCOUNT, aws_settings, render_component

from infra.aws.identity import PODS, TASKS, Statement, WorkloadRole, WorkloadRoleArgs, pod_trust, policy_document


async def role(service, *, region="eu-central-1", **more):
    def make(context):
        statements = more.pop("statements", [Statement(("s3:GetObject",), (context.arn("s3", "models"),), sid="Models")])
        args = WorkloadRoleArgs(context=context, service=service, statements=statements, words=("worker", "task"), **more)
        return WorkloadRole("r", args)

    return await render_component(make, aws_settings("prod", aws={"region": region}))


def trusted(rendered):
    (statement,) = json.loads(rendered.one("Role").inputs["assumeRolePolicy"])["Statement"]
    return statement


async def test_a_role_is_taken_by_one_service_and_may_do_what_is_listed():
    rendered = await role("backup.amazonaws.com")
    assert trusted(rendered) == {
        "Effect": "Allow",
        "Action": ["sts:AssumeRole"],
        "Principal": {"Service": ["backup.amazonaws.com"]},
    }
    assert rendered.one("Role").inputs["name"] == "assistant-prod-worker-task"
    (allowed,) = json.loads(rendered.one("RolePolicy").inputs["policy"])["Statement"]
    assert allowed["Action"] == ["s3:GetObject"]
    assert allowed["Resource"] == [f"arn:aws:s3:eu-central-1:{ACCOUNT}:models"]


async def test_a_role_registers_what_its_policy_says_with_what_is_unknown_alone_unknown(monkeypatch):
    """As ``policies/policy_documents.py`` reads it on a first preview, where the policy itself is one unknown text."""
    registered = {}
    monkeypatch.setattr(WorkloadRole, "register_outputs", lambda _self, outputs: registered.update(outputs))
    unknown = pulumi.Output.from_input("arn").apply(lambda arn: arn)
    await role("backup.amazonaws.com", statements=[Statement(("s3:GetObject",), ("arn:aws:s3:::one/*", unknown))])
    (statement,) = registered["statements"]["r-policy"]
    assert statement == {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::one/*", unknown]}


async def test_pods_take_a_role_for_their_service_account_alone():
    statement = trusted(await role(PODS, trust=pod_trust("assistant", "worker", "the-cluster")))
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": "the-cluster",
        "aws:RequestTag/kubernetes-namespace": "assistant",
        "aws:RequestTag/kubernetes-service-account": "worker",
    }


@pytest.mark.parametrize(("region", "partition"), [("eu-central-1", "aws"), ("cn-north-1", "aws-cn")])
async def test_tasks_take_a_role_for_this_account_alone(region, partition):
    statement = trusted(await role(TASKS, region=region))
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": f"arn:{partition}:ecs:{region}:{ACCOUNT}:*"},
    }


async def test_a_role_without_statements_has_no_policy_of_its_own_and_managed_ones_are_of_the_partition():
    rendered = await role("backup.amazonaws.com", region="cn-north-1", statements=(), managed=("service-role/Some",))
    assert not rendered.of("RolePolicy")
    assert rendered.one("RolePolicyAttachment").inputs["policyArn"] == "arn:aws-cn:iam::aws:policy/service-role/Some"
    assert len(rendered.made.ready) == 1


async def test_the_same_statements_are_the_same_text():
    written = []

    def make(_context):
        for conditions in ({"A": {"x": "1", "y": ["2"]}}, {"A": {"y": ["2"], "x": "1"}}):
            policy_document(Statement(("a:b",), ("*",), conditions, {"*": ("*",)}, "Deny")).apply(written.append)

    await render_component(make)
    one, other = written
    assert one == other
    assert json.loads(one)["Statement"] == [
        {"Effect": "Deny", "Action": ["a:b"], "Principal": "*", "Resource": ["*"], "Condition": {"A": {"x": "1", "y": ["2"]}}}
    ]
