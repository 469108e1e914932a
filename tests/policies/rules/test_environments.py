"""What the cases of the rule on environments do not say."""

from __future__ import annotations

from typing import Any

import pytest

from infra.aws.naming import LOAD_BALANCER, physical
from policies.resource import Resource
from policies.rule import Outcome, Verdict, all_of, judge
from policies.rules import RULES
from policies.values import UNKNOWN

RULE = next(rule for rule in RULES if rule.id == "R74")
BUCKET = "aws:s3/bucket:Bucket"


def judged(properties: dict[str, Any], *, stack: str = "prod", kind: str = BUCKET, project: str = "assistant") -> Verdict:
    resource = Resource(urn=f"urn:pulumi:{stack}::{project}::{kind}::x", type=kind, name="x", properties=properties)
    return all_of(judge(check, resource) for check in RULE.checks)


@pytest.mark.parametrize(
    ("stack", "text", "expected"),
    [
        ("prod", "assistant-prod-queue", Outcome.PASS),
        ("prod-eu", "assistant-prod-eu-queue", Outcome.PASS),
        ("prod-eu", "assistant-prod-queue", Outcome.FAIL),
        ("dev", "/assistant/dev/pods", Outcome.PASS),
        ("dev", "/assistant/prod/pods", Outcome.FAIL),
        ("prod", "assistant-development", Outcome.PASS),
        ("prod", "assistant-device-plugin", Outcome.PASS),
        ("prod", "my-assistant-dev", Outcome.PASS),
        ("prod", "Assistant/Dev", Outcome.FAIL),
        ("prod", '{"Resource": "arn:aws:sqs:eu-central-1:123456789012:assistant-staging-queue"}', Outcome.FAIL),
        ("mine", "assistant-serverless-models", Outcome.FAIL),
        ("staging", "assistant-staging-models", Outcome.PASS),
        ("test-cluster-8098", '{"namespace": "assistant-test-8098"}', Outcome.PASS),
        # A long name of the stack's own, cut; another's, cut; one that has no digest in place of what is missing.
        ("staging-cloud-eu-21119", physical("staging-cloud-eu-21119", "edge", "api", longest=LOAD_BALANCER), Outcome.PASS),
        ("Staging_cloud.eu-21119", physical("Staging_cloud.eu-21119", "edge", "api", longest=LOAD_BALANCER), Outcome.PASS),
        ("staging-other", physical("staging-cloud-eu-21119", "edge", "api", longest=LOAD_BALANCER), Outcome.FAIL),
        ("prod-cloud-1", "assistant-prod-clo-abc123-123456.eu-central-1.elb.amazonaws.com", Outcome.PASS),
        ("prod-eu", "assistant-prod-abcdef", Outcome.FAIL),
        ("prod-eu", "assistant-prod-e", Outcome.FAIL),
        ("prod-eu", "assistant-prod-e-abcdef and assistant-prod-queue", Outcome.FAIL),
    ],
)
def test_a_name_is_of_one_environment(stack: str, text: str, expected: Outcome) -> None:
    assert judged({"bucket": text}, stack=stack).outcome is expected


def test_a_name_deep_within_is_found_with_its_path() -> None:
    verdict = judged({"spec": {"containers": [{"env": ["assistant-dev-queue"]}]}})
    assert verdict.reasons == ("spec.containers[0].env[0] names something of the environment dev",)


def test_what_is_not_known_yet_is_of_this_stack_and_what_is_no_tag_says_nothing() -> None:
    assert judged({"bucket": UNKNOWN, "tags": UNKNOWN, "port": 443}).outcome is Outcome.PASS
    assert judged({"tags": {"Environment": UNKNOWN}}).outcome is Outcome.PASS
    assert judged({"tags": ["staging"]}).outcome is Outcome.PASS
    assert judged({"tags": {"Name": "x"}}).outcome is Outcome.PASS


def test_default_tags_are_read_as_the_engine_or_a_program_writes_them() -> None:
    kind = "pulumi:providers:aws"
    assert judged({"defaultTags": {"tags": {"Environment": "dev"}}}, kind=kind).outcome is Outcome.FAIL
    assert judged({"defaultTags": {"tags": {"Environment": "prod"}}}, kind=kind).outcome is Outcome.PASS
    assert "JSON was expected" in judged({"defaultTags": "{"}, kind=kind).reasons[0]
    assert judged({"defaultTags": "[]"}, kind=kind).outcome is Outcome.PASS
    assert judged({"region": "eu-central-1"}, kind=kind).outcome is Outcome.PASS


def test_a_resource_without_a_project_has_no_names_to_compare() -> None:
    assert judged({"bucket": "x-dev-y"}, project="").outcome is Outcome.PASS


def test_ignoring_where_a_reference_leads_is_refused() -> None:
    kind = "pulumi:pulumi:StackReference"
    resource = Resource(urn=f"urn:pulumi:prod::a::{kind}::x", type=kind, name="x", properties={}, ignored_changes=("name",))
    ignored = next(rule for rule in RULES if rule.id == "R75")
    assert "R74" in all_of(judge(check, resource) for check in ignored.checks).reasons[0]
