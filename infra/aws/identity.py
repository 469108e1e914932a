"""Policy documents, and the one form of role that this stack has: trusted by one service, allowed what is listed.

A document is JSON made here and not by an invoke, so that a preview shows it and a test reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.naming import ROLE

VERSION = "2012-10-17"
PODS = "pods.eks.amazonaws.com"
TASKS = "ecs-tasks.amazonaws.com"

Value = pulumi.Input[str] | Sequence[pulumi.Input[str]]
Conditions = Mapping[str, Mapping[str, Value]]  # operator -> condition key -> value or values


@dataclass(frozen=True)
class Statement:
    """``resources`` is left empty where the document belongs to the resource itself and names none: a role's trust policy.
    ``principals``: by kind (``AWS``, ``Service``), or ``{"*": ("*",)}`` for everybody, which is written as ``"*"``."""

    actions: Sequence[str]
    resources: Sequence[pulumi.Input[str]] = ()
    conditions: Conditions = field(default_factory=dict)
    principals: Mapping[str, Sequence[pulumi.Input[str]]] | None = None
    effect: str = "Allow"
    sid: str | None = None

    def element(self) -> dict[str, Any]:
        """The statement as IAM's grammar has it, inputs and all."""
        element: dict[str, Any] = {"Effect": self.effect, "Action": list(self.actions)}
        if self.sid:
            element["Sid"] = self.sid
        if self.principals is not None:
            everybody = "*" in self.principals
            element["Principal"] = "*" if everybody else {kind: list(names) for kind, names in self.principals.items()}
        if self.resources:
            element["Resource"] = list(self.resources)
        if self.conditions:
            element["Condition"] = {
                operator: {key: _values(value) for key, value in keys.items()} for operator, keys in self.conditions.items()
            }
        return element


def _values(value: Value) -> Any:
    return value if isinstance(value, str | pulumi.Output) or not isinstance(value, Sequence) else list(value)


def policy_document(*statements: Statement) -> pulumi.Output[str]:
    """JSON, the same for the same statements: its text decides whether a policy has changed."""
    document = {"Version": VERSION, "Statement": [statement.element() for statement in statements]}
    return pulumi.Output.from_input(document).apply(lambda known: json.dumps(known, sort_keys=True))


def declared(documents: Mapping[str, Sequence[Statement]]) -> dict[str, list[dict[str, Any]]]:
    """What the policies of a component say, by their resources' names, for its output ``statements``. On a first preview a
    document is one unknown text for a single unknown ARN in it; here that ARN alone is unknown, and a reviewer, or
    ``policies/policy_documents.py``, reads all the rest."""
    return {name: [statement.element() for statement in statements] for name, statements in documents.items()}


def trust(context: AwsContext, service: str, conditions: Conditions) -> pulumi.Output[str]:
    """Who may take the role: exactly one service, and that only for this account where the service says for whom it asks."""
    actions = ["sts:AssumeRole"]
    bounds = {operator: dict(keys) for operator, keys in conditions.items()}
    if service == PODS:
        actions.append("sts:TagSession")  # Pod Identity tags every session with cluster, namespace and service account
    if service == TASKS:
        # docs.aws.amazon.com/AmazonECS: task IAM role, confused deputy
        bounds.setdefault("StringEquals", {})["aws:SourceAccount"] = context.account
        bounds.setdefault("ArnLike", {})["aws:SourceArn"] = context.arn("ecs", "*")
    return policy_document(Statement(actions, principals={"Service": [service]}, conditions=bounds))


def source_account(context: AwsContext) -> Conditions:
    """For services that name the account on whose behalf they call."""
    return {"StringEquals": {"aws:SourceAccount": context.account}}


@dataclass(frozen=True, kw_only=True)
class WorkloadRoleArgs:
    """``service``: the one principal that takes the role, :data:`PODS`, :data:`TASKS` or another service's. ``words``: what
    it is for, which its name ends in. ``trust``: further conditions on taking it; for pods, the service account:
    :func:`pod_trust`. ``managed``: policies of AWS by their names under ``aws:policy/``."""

    context: AwsContext
    service: str
    statements: Sequence[Statement]
    words: Sequence[str]
    trust: Conditions = field(default_factory=dict)
    managed: Sequence[str] = ()


def pod_trust(namespace: pulumi.Input[str], service_account: str, cluster: pulumi.Input[str]) -> Conditions:
    """Pods of this one service account alone (docs.aws.amazon.com/eks: pod-id-role), whoever else associates the role."""
    tags: dict[str, Value] = {
        "aws:RequestTag/eks-cluster-name": cluster,
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": service_account,
    }
    return {"StringEquals": tags}


class WorkloadRole(pulumi.ComponentResource):
    """A role and what it may do. ``ready``: its policies, for whatever must not start before it is allowed to."""

    arn: pulumi.Output[str]
    role_name: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: WorkloadRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:WorkloadRole", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            name=args.context.name(*args.words, longest=ROLE),
            description=f"{' '.join(args.words)} of the assistant in {args.context.stack}",
            assume_role_policy=trust(args.context, args.service, args.trust),
            opts=own,
        )
        self.ready = []
        if args.statements:
            policy = policy_document(*args.statements)
            self.ready.append(aws.iam.RolePolicy(f"{name}-policy", role=role.name, policy=policy, opts=own))
        for managed in args.managed:
            arn = f"arn:{args.context.partition.name}:iam::aws:policy/{managed}"
            attachment = f"{name}-{managed.rsplit('/', 1)[-1]}"
            self.ready.append(aws.iam.RolePolicyAttachment(attachment, role=role.name, policy_arn=arn, opts=own))
        self.arn = role.arn
        self.role_name = role.name
        said = declared({f"{name}-policy": args.statements} if args.statements else {})
        self.register_outputs({"arn": self.arn, "roleName": self.role_name, "statements": said})
