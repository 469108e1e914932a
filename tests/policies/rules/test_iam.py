"""What the cases cannot say of IAM: what must pass, what a first preview knows by edges, and which thresholds hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from policies.iam_grants import escalations, is_unbounded, scopable, unbounded, whole_services
from policies.policy_documents import OWN, Statement, parse
from policies.resource import Resource, Stack
from policies.rule import Finding, Outcome, Rule, judge, judge_stack
from policies.rules import iam
from policies.values import UNKNOWN

RULES = {rule.id: rule for rule in iam.RULES}
ACCOUNT = "123456789012"
ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
IDENTITY_RULES = ("R02", "R03", "R10")


def statements(*elements: Mapping[str, Any]) -> tuple[Statement, ...]:
    return parse(json.dumps({"Statement": list(elements)}), "policy")


def resource(kind: str, name: str = "it", edges: Mapping[str, tuple[str, ...]] | None = None, **properties: Any) -> Resource:
    parent = properties.pop("parent", "")
    return Resource(
        urn=f"urn:pulumi:prod::assistant::{kind}::{name}",
        type=kind,
        name=name,
        properties=properties,
        parent=parent,
        property_dependencies=edges or {},
    )


def checked(rule: Rule, made: Resource) -> list[Outcome]:
    return [judge(check, made).outcome for check in rule.checks if made.type in check.types]


def findings(rule: Rule, *resources: Resource) -> list[Finding]:
    stack = Stack(resources)
    return [finding for relation in rule.relations for finding in judge_stack(relation, stack)]


def outcomes(rule: Rule, *resources: Resource) -> dict[str, Outcome]:
    return {finding.urn.rpartition("::")[2]: finding.verdict.outcome for finding in findings(rule, *resources)}


@pytest.mark.parametrize("kind", [*iam.DOCUMENTS])
def test_every_kind_of_identity_policy_is_read(kind: str) -> None:
    name = iam.DOCUMENTS[kind]
    everything = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    for rule_id in IDENTITY_RULES:
        assert checked(RULES[rule_id], resource(kind, **{name: everything})) == [Outcome.FAIL]


@pytest.mark.parametrize("kind", [*iam.ATTACHMENTS])
def test_every_kind_of_attachment_is_read(kind: str) -> None:
    name = iam.ATTACHMENTS[kind]
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    for rule_id in IDENTITY_RULES:
        for value in (arn, [arn], [f"arn:aws:iam::{ACCOUNT}:policy/own", arn]):
            assert Outcome.FAIL in checked(RULES[rule_id], resource(kind, **{name: value}))
        assert Outcome.FAIL not in checked(
            RULES[rule_id], resource(kind, **{name: f"arn:aws:iam::{ACCOUNT}:policy/AdministratorAccess"})
        )


@pytest.mark.parametrize(
    "elements",
    [
        [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
        [{**ALLOW, "Action": "s3:Get*"}],
        [{**ALLOW, "Resource": "arn:aws:s3:::b*"}],
        [
            {
                **ALLOW,
                "Action": "autoscaling:SetDesiredCapacity",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:ResourceTag/a": "b"}},
            }
        ],
        [
            {
                **ALLOW,
                "Action": "ecs:RunTask",
                "Resource": "*",
                "Condition": {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:r:1:cluster/c"}},
            }
        ],
        [{**ALLOW, "Action": ["ecr:GetAuthorizationToken", "EC2:describeInstances", "ec2:DescribeI*"], "Resource": "*"}],
        [{**ALLOW, "Action": "iam:PassRole", "Resource": f"arn:aws:iam::{ACCOUNT}:role/worker"}],
        [{**ALLOW, "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::{ACCOUNT}:role/worker"}],
        [
            {
                **ALLOW,
                "Action": "iam:PutRolePolicy",
                "Resource": f"arn:aws:iam::{ACCOUNT}:role/w-*",
                "Condition": {"StringEquals": {"iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/boundary"}},
            }
        ],
        [
            {**ALLOW, "Action": "iam:*Policy", "Resource": f"arn:aws:iam::{ACCOUNT}:role/w"},
            {"Effect": "Deny", "Action": "iam:*", "Resource": "*"},
        ],
    ],
)
def test_what_is_named_and_leads_to_nothing_more_passes(elements: list[dict[str, Any]]) -> None:
    policy = resource("aws:iam/rolePolicy:RolePolicy", policy=json.dumps({"Statement": elements}))
    for rule_id in IDENTITY_RULES:
        assert checked(RULES[rule_id], policy) == [Outcome.PASS], rule_id


def test_everything_on_one_bucket_is_whole_services_and_not_everything() -> None:
    policy = resource("aws:iam/rolePolicy:RolePolicy", policy=json.dumps({"Statement": [{**ALLOW, "Action": "*"}]}))
    assert checked(RULES["R02"], policy) == [Outcome.PASS]
    assert checked(RULES["R03"], policy) == [Outcome.FAIL]


@pytest.mark.parametrize(
    ("arn", "without_bounds"),
    [
        ("*", True),
        ("arn:aws:s3:::*", True),
        ("arn:aws:s3:::*/*", True),
        ("arn:aws:s3:::b/*", False),
        ("arn:aws:s3:::b*", False),
        ("arn:aws:s3:::${aws:username}/*", False),
        ("arn:aws:sqs:eu-central-1:1:*", True),
        ("arn:aws:sqs:eu-central-1:1:jobs-*", False),
        ("arn:aws:iam::1:role/*", True),
        ("arn:aws:iam::1:role/team/*", False),
        ("arn:aws:iam::*:role/worker", False),
        ("arn:aws:dynamodb:r:1:table/t/index/*", False),
        ("arn:aws:autoscaling:r:1:autoScalingGroup:*:autoScalingGroupName/*", True),
        ("arn:aws:autoscaling:r:1:autoScalingGroup:*:autoScalingGroupName/nodes-*", False),
        ("arn:aws:elasticloadbalancing:r:1:loadbalancer/app/*", True),
        ("arn:aws:*:r:1:thing/name", True),
        ("arn:aws:*", True),
        ("arn:aws:sqs:r:1:jobs", False),
        ("arn:aws:kms:r:1:key/?", True),
        (OWN, False),
    ],
)
def test_a_resource_is_bounded_by_a_name_and_not_by_its_type(arn: str, without_bounds: bool) -> None:
    assert is_unbounded(arn) is without_bounds


@pytest.mark.parametrize(
    ("action", "whole"),
    [
        ("s3:*", True),
        ("s3:Ge*", True),
        ("s3:Get*", False),
        ("s3:GetObject", False),
        ("s3:?et*", True),
        ("s3:??tObject", False),
        ("s*:GetObject", True),
        ("s?:GetObject", True),
        ("*", True),
        ("s3", False),
    ],
)
def test_an_action_names_a_kind_of_access_by_three_letters(action: str, whole: bool) -> None:
    (statement,) = statements({**ALLOW, "Action": action})
    assert bool(whole_services(statement)) is whole


def test_a_condition_bounds_only_where_it_demands_and_names() -> None:
    for condition, bounded in (
        ({"StringEquals": {"aws:ResourceTag/team": "a"}}, True),
        ({"StringLike": {"ec2:ResourceTag/team": "a*"}}, True),
        ({"StringEquals": {"aws:RequestTag/team": "a"}}, True),
        ({"StringEquals": {"cloudwatch:namespace": "App"}}, True),
        ({"StringEquals": {"aws:ResourceTag/team": ["a", "*"]}}, False),
        ({"StringNotEquals": {"aws:ResourceTag/team": "a"}}, False),
        ({"StringEquals": {"aws:ResourceAccount": ACCOUNT}}, False),
    ):
        (statement,) = statements({**ALLOW, "Resource": "*", "Condition": condition})
        assert (unbounded(statement) == []) is bounded, condition


def test_actions_without_a_resource_are_known_in_any_case_and_no_wider_pattern_is_taken_for_one() -> None:
    (statement,) = statements({**ALLOW, "Action": ["ECR:getauthorizationtoken", "ec2:Describe*", "ec2:D*", "ecr:Get*"]})
    assert list(scopable(statement)) == ["ec2:D*", "ecr:Get*"]


def test_an_escalation_is_named_once_with_the_statement_that_allows_it() -> None:
    found = list(escalations(statements(ALLOW, {**ALLOW, "Action": "sts:AssumeRole", "Resource": "*"})))
    assert [(statement.path, action) for statement, action in found] == [("policy.Statement[1]", "sts:AssumeRole")]


class TestFirstPreview:
    """The text of a policy is unknown; what its component declares decides, with the engine's edges."""

    KEY = "urn:pulumi:prod::assistant::aws:kms/key:Key::keys"

    def stack(self, kind: str, name: str, declared: Any, *, linked: bool = True) -> list[Resource]:
        parent = resource("assistant:aws:WorkloadRole", "role", statements={"it": [declared]} if declared else {})
        edges = {name: (self.KEY,)} if linked else {}
        return [parent, resource(kind, "it", edges, parent=parent.urn, **{name: UNKNOWN})]

    @pytest.mark.parametrize(
        ("rule_id", "declared"),
        [
            ("R02", {"Effect": "Allow", "Action": "*", "Resource": ["*", UNKNOWN]}),
            ("R03", {"Effect": "Allow", "Action": "kms:*", "Resource": [UNKNOWN]}),
            ("R03", {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": [UNKNOWN, "*"]}),
            ("R10", {"Effect": "Allow", "Action": "kms:PutKeyPolicy", "Resource": UNKNOWN}),
        ],
    )
    def test_what_is_declared_is_judged(self, rule_id: str, declared: Any) -> None:
        kind = "aws:iam/rolePolicy:RolePolicy"
        assert outcomes(RULES[rule_id], *self.stack(kind, "policy", declared)) == {"it": Outcome.FAIL}

    @pytest.mark.parametrize("rule_id", IDENTITY_RULES)
    def test_the_stacks_own_identifiers_are_no_wildcards(self, rule_id: str) -> None:
        declared = {"Effect": "Allow", "Action": ["kms:Decrypt", "iam:PassRole"], "Resource": [UNKNOWN]}
        stack = self.stack("aws:iam/rolePolicy:RolePolicy", "policy", declared)
        assert outcomes(RULES[rule_id], *stack) == {"it": Outcome.PASS}

    @pytest.mark.parametrize("rule_id", IDENTITY_RULES)
    def test_without_edges_or_declaration_nothing_is_claimed(self, rule_id: str) -> None:
        kind, declared = "aws:iam/rolePolicy:RolePolicy", {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": [UNKNOWN]}
        assert outcomes(RULES[rule_id], *self.stack(kind, "policy", declared, linked=False)) == {"it": Outcome.UNDETERMINED}
        assert outcomes(RULES[rule_id], *self.stack(kind, "policy", None)) == {"it": Outcome.UNDETERMINED}

    def test_the_check_leaves_the_unknown_to_the_relation_and_the_relation_the_known_to_the_check(self) -> None:
        unknown = self.stack("aws:iam/rolePolicy:RolePolicy", "policy", None)[1]
        known = resource("aws:iam/rolePolicy:RolePolicy", policy=json.dumps({"Statement": [ALLOW]}))
        for rule_id in IDENTITY_RULES:
            assert checked(RULES[rule_id], unknown) == [Outcome.PASS]
            assert findings(RULES[rule_id], known) == []

    @pytest.mark.parametrize("rule_id", IDENTITY_RULES)
    def test_an_attached_policy_is_the_stacks_own_by_its_edge_or_has_to_be_known(self, rule_id: str) -> None:
        kind = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
        own = resource(kind, "own", {"policyArn": ("urn:pulumi:prod::assistant::aws:iam/policy:Policy::p",)}, policyArn=UNKNOWN)
        foreign = resource(kind, "foreign", policyArn=UNKNOWN)
        known = resource(kind, "known", policyArn="arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy")
        assert outcomes(RULES[rule_id], own, foreign, known) == {"own": Outcome.PASS, "foreign": Outcome.UNDETERMINED}

    def test_a_policy_of_a_resource_is_judged_by_what_is_declared(self) -> None:
        kind = "aws:sns/topicPolicy:TopicPolicy"
        everybody = {"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": UNKNOWN}
        bound = {**everybody, "Condition": {"ArnLike": {"aws:SourceArn": UNKNOWN}}}
        assert outcomes(RULES["R18"], *self.stack(kind, "policy", everybody)) == {"it": Outcome.FAIL}
        assert outcomes(RULES["R18"], *self.stack(kind, "policy", bound)) == {"it": Outcome.PASS}

    def test_a_policy_that_aws_fills_in_is_not_asked_for_unless_it_was_given(self) -> None:
        key = resource("aws:kms/key:Key", policy=UNKNOWN)
        assert findings(RULES["R18"], key) == []
        given = resource("aws:kms/key:Key", edges={"policy": (self.KEY,)}, policy=UNKNOWN)
        assert outcomes(RULES["R18"], given) == {"it": Outcome.UNDETERMINED}

    def test_a_trust_that_is_not_known_is_judged_by_what_is_declared(self) -> None:
        kind, name = "aws:iam/role:Role", "assumeRolePolicy"
        service = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "pods.eks.amazonaws.com"}}
        account = {**service, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
        assert outcomes(RULES["R04"], *self.stack(kind, name, service)) == {"it": Outcome.PASS}
        assert outcomes(RULES["R04"], *self.stack(kind, name, account)) == {"it": Outcome.FAIL}
        assert outcomes(RULES["R04"], *self.stack(kind, name, None)) == {"it": Outcome.UNDETERMINED}


class TestTrust:
    def trusts(self, **statement: Any) -> list[Outcome]:
        document = json.dumps({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", **statement}})
        return checked(RULES["R04"], resource("aws:iam/role:Role", assumeRolePolicy=document))

    @pytest.mark.parametrize("principal", [{"Service": "ec2.amazonaws.com"}, {"AWS": f"arn:aws:iam::{ACCOUNT}:role/deployer"}])
    def test_one_service_or_one_role_may_be_trusted(self, principal: dict[str, str]) -> None:
        assert self.trusts(Principal=principal) == [Outcome.PASS]

    def test_a_service_account_may_be_trusted_by_the_sub_and_aud_of_its_token(self) -> None:
        claims = {"p/id/1:sub": "system:serviceaccount:assistant:worker", "p/id/1:aud": "sts.amazonaws.com"}
        provider = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/p/id/1"}
        for condition in ({"StringEquals": claims}, {"StringLike": claims}):
            assert self.trusts(Principal=provider, Condition=condition) == [Outcome.PASS]

    def test_who_is_denied_the_role_does_not_count(self) -> None:
        assert self.trusts(Effect="Deny", Principal="*") == [Outcome.PASS]

    def test_the_same_principal_in_two_statements_is_one(self) -> None:
        pods = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "pods.eks.amazonaws.com"}}
        document = json.dumps({"Statement": [pods, {**pods, "Action": "sts:TagSession"}]})
        assert checked(RULES["R04"], resource("aws:iam/role:Role", assumeRolePolicy=document)) == [Outcome.PASS]


class TestOneRoleEach:
    ROLE = "urn:pulumi:prod::assistant::aws:iam/role:Role::shared"
    ASSOCIATION, ADDON, TASK = (
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        "aws:eks/addon:Addon",
        "aws:ecs/taskDefinition:TaskDefinition",
    )

    def role(self) -> Resource:
        trusted = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "pods.eks.amazonaws.com"}}
        return resource("aws:iam/role:Role", "shared", arn=UNKNOWN, assumeRolePolicy=json.dumps({"Statement": trusted}))

    def test_two_workloads_with_one_role_of_the_stacks_are_found_by_their_edges(self) -> None:
        one = resource(self.ASSOCIATION, "one", {"roleArn": (self.ROLE,)}, roleArn=UNKNOWN)
        two = resource(
            self.ADDON, "two", {"podIdentityAssociations": (self.ROLE,)}, podIdentityAssociations=[{"roleArn": UNKNOWN}]
        )
        found = {finding.urn.rpartition("::")[2]: finding.verdict for finding in findings(RULES["R04"], self.role(), one, two)}
        assert found["one"].reasons == ("roleArn is also the role of two: give each workload its own",)
        assert found["two"].outcome is Outcome.FAIL
        assert outcomes(RULES["R04"], self.role(), one) == {"one": Outcome.PASS}

    def test_a_workload_whose_role_nobody_knows_is_undetermined(self) -> None:
        assert outcomes(RULES["R04"], resource(self.TASK, "it", taskRoleArn=UNKNOWN)) == {"it": Outcome.UNDETERMINED}

    def test_a_workload_without_a_role_is_not_asked(self) -> None:
        assert findings(RULES["R04"], resource(self.TASK, "it"), resource(self.ADDON, "dns")) == []


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
        {"StringEquals": {"kms:CallerAccount": ACCOUNT}},
        {"ArnLike": {"aws:SourceArn": f"arn:aws:sns:*:{ACCOUNT}:*"}},
        {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::one-bucket*"}},
        {"StringLike": {"aws:SourceVpce": "vpce-1"}},
        {"IpAddress": {"aws:SourceIp": ["12.0.0.0/8", "2001:db8::/32"]}},
        {"Bool": {"aws:SecureTransport": "true"}, "StringEquals": {"aws:SourceAccount": ACCOUNT}},
    ],
)
def test_everybody_of_one_account_organisation_or_network_is_somebody(condition: dict[str, Any]) -> None:
    document = json.dumps({"Statement": {**ALLOW, "Principal": "*", "Condition": condition}})
    assert checked(RULES["R18"], resource("aws:s3/bucketPolicy:BucketPolicy", policy=document)) == [Outcome.PASS]


@pytest.mark.parametrize("kind", [*iam.resource_policies.DOCUMENTS])
def test_every_kind_of_resource_policy_is_read(kind: str) -> None:
    name = iam.resource_policies.DOCUMENTS[kind]
    everybody = json.dumps({"Statement": [{**ALLOW, "Principal": {"AWS": "*"}}]})
    assert checked(RULES["R18"], resource(kind, **{name: everybody})) == [Outcome.FAIL]


@pytest.mark.parametrize("bound", ["sourceArn", "sourceAccount", "principalOrgId"])
def test_a_permission_of_lambda_may_name_everybody_on_somebodys_behalf(bound: str) -> None:
    permission = resource("aws:lambda/permission:Permission", principal="*", **{bound: UNKNOWN})
    assert checked(RULES["R18"], permission) == [Outcome.PASS]
