"""Policy documents: every form that IAM reads, and none that it would read otherwise than we do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.policy_documents import OWN, Principal, Statement, document, matches, parse, read
from policies.resource import Malformed, NotKnown, Resource, Stack, View
from policies.values import UNKNOWN, Secret

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def of(**elements: Any) -> Statement:
    """The one statement of a document of it."""
    (statement,) = parse(json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", **elements}}), "policy")
    return statement


def test_one_statement_and_a_list_of_them_one_text_and_a_list_of_them_read_alike() -> None:
    single = parse(json.dumps({"Statement": ALLOW}), "policy")
    listed = parse(json.dumps({"Statement": [{**ALLOW, "Action": ["s3:GetObject"], "Resource": ["*"]}]}), "policy")
    assert single == listed
    assert single[0].actions == ("s3:GetObject",)
    assert single[0].resources == ("*",)
    assert single[0].path == "policy.Statement[0]"


def test_a_mapping_reads_as_its_text_does() -> None:
    assert parse({"Statement": [dict(ALLOW)]}, "policy") == parse(json.dumps({"Statement": [ALLOW]}), "policy")


def test_an_absent_document_has_no_statements_and_a_secret_mark_is_looked_through() -> None:
    assert read(View({}), "policy") == ()
    assert read(View({"policy": Secret(json.dumps({"Statement": ALLOW}))}), "policy")[0].allows


@pytest.mark.parametrize(
    ("written", "read_as", "everybody"),
    [
        ("*", [("*", "*")], True),
        ({"AWS": "*"}, [("AWS", "*")], True),
        ({"AWS": ["*"]}, [("AWS", "*")], True),
        ({"AWS": ["arn:aws:iam::123456789012:root", "*"]}, [("AWS", "arn:aws:iam::123456789012:root"), ("AWS", "*")], True),
        ({"AWS": "arn:aws:iam::*:root"}, [("AWS", "arn:aws:iam::*:root")], True),
        ({"AWS": "arn:aws:iam::12345678901?:root"}, [("AWS", "arn:aws:iam::12345678901?:root")], True),
        ({"Service": "ecs-tasks.amazonaws.com"}, [("Service", "ecs-tasks.amazonaws.com")], False),
        ({"AWS": "123456789012"}, [("AWS", "123456789012")], False),
    ],
)
def test_every_form_of_principal_is_read(written: Any, read_as: list[tuple[str, str]], everybody: bool) -> None:
    statement = of(Principal=written)
    assert statement.principals == tuple(Principal(kind, name) for kind, name in read_as)
    assert statement.names_everybody is everybody


def test_everybody_but_some_is_everybody() -> None:
    assert of(NotPrincipal={"AWS": "123456789012"}).names_everybody


def test_conditions_are_read_with_quantifier_and_if_exists_and_in_lower_case() -> None:
    statement = of(
        Condition={
            "ForAllValues:StringLikeIfExists": {"aws:SourceVpc": ["vpc-1", "vpc-2"]},
            "Bool": {"aws:SecureTransport": False},
            "NumericLessThan": {"s3:TlsVersion": 1.2},
        }
    )
    vpc, transport, version = statement.conditions
    assert (vpc.test, vpc.quantifier, vpc.if_exists, vpc.key) == ("stringlike", "forallvalues", True, "aws:sourcevpc")
    assert vpc.values == ("vpc-1", "vpc-2")
    assert statement.under("AWS:SecureTransport") == [transport]
    assert transport.values == ("false",)
    assert version.values == ("1.2",)


@pytest.mark.parametrize(
    ("operator", "demands"),
    [
        ("StringEquals", True),
        ("stringequals", True),
        ("StringLike", True),
        ("ArnLike", True),
        ("ArnEquals", True),
        ("IpAddress", True),
        ("StringEqualsIgnoreCase", True),
        ("ForAnyValue:StringEquals", True),
        ("StringEqualsIfExists", False),
        ("ForAllValues:StringEquals", False),
        ("StringNotEquals", False),
        ("ArnNotLike", False),
        ("NotIpAddress", False),
        ("Null", False),
    ],
)
def test_a_condition_demands_its_key_or_holds_without_it(operator: str, demands: bool) -> None:
    assert of(Condition={operator: {"aws:SourceAccount": "123456789012"}}).conditions[0].demands is demands


def test_a_statement_covers_actions_in_any_case_and_with_not_action_all_but_those() -> None:
    assert of(Action="S3:get*").covers("s3:GetObject")
    assert not of(Action="s3:Get*").covers("s3:PutObject")
    assert not of(NotAction=["S3:*"]).covers("s3:GetObject")
    assert of(NotAction=["s3:*"]).covers("iam:PassRole")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("*", "", True),
        ("**", "anything", True),
        ("s3:*Object", "s3:GetObject", True),
        ("s3:*Object", "s3:GetObjectAcl", False),
        ("s3:Get?bject", "s3:GetObject", True),
        ("s3:GetObjec?", "s3:GetObjec", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-b-c-", False),
        ("s3:GetObject", "s3:getobject", False),
        ("a.c", "abc", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_wildcards_stand_for_what_iam_says(pattern: str, text: str, found: bool) -> None:
    assert matches(pattern, text) is found


def test_case_counts_only_where_it_does_for_aws() -> None:
    assert matches("S3:GET*", "s3:GetObject", ignore_case=True)


def test_a_hostile_pattern_ends() -> None:
    assert not matches("a*" * 200 + "b", "a" * 2000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "a policy document in JSON"),
        ('{"Statement": [], "Statement": []}', "a policy document in JSON"),
        ('{"Statement": NaN}', "a policy document in JSON"),
        ("[" * 100_000, "a policy document in JSON"),
        ("[]", "a mapping"),
        ('{"Statement": [[]]}', "a mapping"),
        ("{}", "a mapping"),
        ('{"Statement": {"effect": "Allow"}}', "one of Action"),
        ('{"statement": []}', "one of Id"),
        ('{"Statement": {"Effect": "allow"}}', "Allow or Deny"),
        ('{"Statement": {"Effect": 1}}', "Allow or Deny"),
        ('{"Statement": {"Action": "*"}}', "Allow or Deny"),
        ('{"Statement": {"Effect": "Allow", "Action": {}}}', "a text"),
        ('{"Statement": {"Effect": "Allow", "Action": [["*"]]}}', "a text"),
        ('{"Statement": {"Effect": "Allow", "Principal": {"aws": "*"}}}', "one of AWS"),
        ('{"Statement": {"Effect": "Allow", "Principal": "123456789012"}}', "a mapping"),
        ('{"Statement": {"Effect": "Allow", "Condition": {"String Equals": {}}}}', "an operator of IAM"),
        ('{"Statement": {"Effect": "Allow", "Condition": {"StringEquals": "x"}}}', "a mapping"),
    ],
)
def test_what_iam_does_not_read_so_is_malformed_and_the_message_repeats_none_of_it(text: str, words: str) -> None:
    with pytest.raises(Malformed) as raised:
        parse(text, "policy")
    assert words in raised.value.expected
    assert raised.value.path.startswith("policy")


class TestFirstPreview:
    """The text is unknown; the component around the policy has said what stands in it."""

    COMPONENT, POLICY, OTHER = (f"urn:pulumi:prod::assistant::{name}" for name in ("t::component", "t::policy", "t::bucket"))

    def judged(self, statements: Any, *, linked: bool = True, policy: Any = UNKNOWN) -> tuple[Statement, ...]:
        component = Resource(urn=self.COMPONENT, type="assistant:aws:WorkloadRole", name="role", properties=statements)
        edges = {"policy": (self.OTHER,)} if linked else {}
        made = Resource(
            urn=self.POLICY,
            type="aws:iam/rolePolicy:RolePolicy",
            name="role-policy",
            properties={"policy": policy},
            parent=self.COMPONENT,
            property_dependencies=edges,
        )
        return document(Stack((component, made)), made, "policy")

    def test_what_is_declared_counts_and_an_unknown_identifier_of_the_stacks_own_is_no_wildcard(self) -> None:
        declared = {"statements": {"role-policy": [{**ALLOW, "Resource": [UNKNOWN, "*"], "Principal": {"AWS": UNKNOWN}}]}}
        (statement,) = self.judged(declared)
        assert statement.resources == (OWN, "*")
        assert statement.principals == (Principal("AWS", OWN),)
        assert not statement.names_everybody

    def test_an_unknown_identifier_from_nowhere_is_not_taken_for_the_stacks_own(self) -> None:
        with pytest.raises(NotKnown):
            self.judged({"statements": {"role-policy": [{**ALLOW, "Resource": [UNKNOWN]}]}}, linked=False)

    @pytest.mark.parametrize("element", ["Effect", "Action", "NotAction", "Condition"])
    def test_what_is_no_identifier_cannot_stay_unknown(self, element: str) -> None:
        with pytest.raises(NotKnown):
            self.judged({"statements": {"role-policy": [{**ALLOW, element: UNKNOWN}]}})

    def test_what_another_policy_of_the_component_says_does_not_count(self) -> None:
        with pytest.raises(NotKnown):
            self.judged({"statements": {"another-policy": [ALLOW]}})

    def test_without_a_declaration_nothing_is_known(self) -> None:
        for nothing in ({}, {"statements": UNKNOWN}, {"statements": [ALLOW]}):
            with pytest.raises(NotKnown):
                self.judged(nothing)

    def test_the_document_itself_counts_as_soon_as_it_is_known(self) -> None:
        known = json.dumps({"Statement": {**ALLOW, "Action": "*"}})
        (statement,) = self.judged({"statements": {"role-policy": [ALLOW]}}, policy=known)
        assert statement.actions == ("*",)

    def test_a_mapping_with_unknown_identifiers_in_it_needs_no_declaration(self) -> None:
        (statement,) = self.judged({}, policy={"Statement": [{**ALLOW, "Resource": UNKNOWN}]})
        assert statement.resources == (OWN,)

    def test_a_resource_without_a_policy_has_no_statements(self) -> None:
        assert self.judged({}, policy=None) == ()
