"""The analyzer over its own messages: what the engine sends and what it gets back."""

from __future__ import annotations

import copy
import time
from importlib.metadata import version
from typing import Any

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime import proto
from pulumi_policy import ResourceValidationPolicy, StackValidationPolicy

from policies.analyzer import Analyzer
from policies.pack import NAME, MarksMissing, policies
from policies.rules import RULES, STACK_RULES
from policies.values import SECRET, SIGNATURE

UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
MANDATORY, ADVISORY = proto.MANDATORY, proto.ADVISORY


@pytest.fixture
def analyzer() -> Analyzer:
    return Analyzer(NAME, policies(), RULES, STACK_RULES)


@pytest.fixture
def analyze(analyzer, encode, make):
    def analyzed(name: str, changes: dict[str, Any] | None = None) -> list[Any]:
        resource = make(name, changes)
        request = proto.AnalyzeRequest(urn=resource.urn, type=resource.type, name=name, properties=encode(resource.properties))
        return list(analyzer.Analyze(request, None).diagnostics)

    return analyzed


@pytest.fixture
def analyze_stack(analyzer, encode, make):
    def analyzed(name: str, changes: dict[str, Any] | None = None) -> list[Any]:
        resource = make(name, changes)
        sent = proto.AnalyzerResource(urn=resource.urn, type=resource.type, name=name, properties=encode(resource.properties))
        return list(analyzer.AnalyzeStack(proto.AnalyzeStackRequest(resources=[sent]), None).diagnostics)

    return analyzed


def test_the_list_of_policies_is_built_without_serving_and_names_each_rule_singly() -> None:
    listed = policies()
    assert [policy.name for policy in listed] == [rule.policy for rule in (*RULES, *STACK_RULES)]
    assert sum(isinstance(policy, ResourceValidationPolicy) for policy in listed) == len(RULES)
    assert sum(isinstance(policy, StackValidationPolicy) for policy in listed) == len(STACK_RULES)


def test_an_auditor_finds_severity_control_remedy_and_link_of_every_policy(analyzer) -> None:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty(), None)
    assert info.name == NAME
    for rule, policy in zip((*RULES, *STACK_RULES), info.policies, strict=True):
        assert policy.name == rule.policy
        assert policy.enforcementLevel == MANDATORY
        assert policy.severity == proto.PolicySeverity.Value(f"POLICY_SEVERITY_{rule.severity.name}")
        assert (policy.framework.name, policy.framework.version) == ("ISO/IEC 27001", "2022")
        assert policy.framework.reference == rule.reference
        assert (policy.remediation_steps, policy.url) == (rule.remedy, rule.link)


def test_a_good_resource_gets_no_message(analyze, analyze_stack) -> None:
    for name in ("redis", "inference", "gateway", "worker", "model", "certificate", "secrets", "stack"):
        assert analyze(name) == []
        assert analyze_stack(name) == []


def test_a_violation_is_mandatory_and_tells_rule_resource_control_remedy_and_link(analyze) -> None:
    (found,) = analyze("model", {"sha256": "0" * 64})
    assert found.policyName == "L06-model-pinned"
    assert found.enforcementLevel == MANDATORY
    assert found.severity == proto.POLICY_SEVERITY_HIGH
    assert found.urn.endswith("local:Model::model")
    for words in (
        "FAILED",
        "sha256 is a placeholder",
        "rule: L06",
        "ISO/IEC 27001:2022 A.8.19, A.5.21",
        "remedy: set",
        "see: http",
    ):
        assert words in found.message


def test_an_undetermined_rule_advises_although_its_policy_is_mandatory(analyze) -> None:
    (found,) = analyze("model", {"sha256": UNKNOWN_TEXT})
    assert found.enforcementLevel == ADVISORY
    assert "UNDETERMINED" in found.message
    assert "sha256 is not known before the update" in found.message


def test_marks_are_kept_so_a_marked_secret_passes_and_a_plain_one_fails(analyze, analyze_stack, canary) -> None:
    marked = {SIGNATURE: SECRET, "value": canary}
    assert analyze("gateway", {"digests/token": marked}) == []
    assert analyze_stack("secrets", {"values": {"api_key": marked}}) == []
    (found,) = analyze("gateway", {"digests/token": canary})
    (output,) = analyze_stack("secrets", {"values": {"api_key": canary}})
    assert (found.policyName, output.policyName) == ("R06-no-literal-secret", "L01-no-plain-secret-output")
    assert output.urn.endswith("local:Secrets::secrets")
    assert canary not in found.message + output.message


def test_the_sdks_own_reading_would_have_lost_the_mark(encode, canary) -> None:
    """Why there is an analyzer of our own. When this fails, the SDK has learnt it, and policies/analyzer.py may shrink."""
    from google.protobuf import json_format
    from pulumi_policy.deserialize import deserialize_properties

    struct = encode({"a": {SIGNATURE: SECRET, "value": canary}})
    assert deserialize_properties(json_format.MessageToDict(struct)) == {"a": canary}


@pytest.mark.parametrize(
    ("level", "expected"),
    [(proto.ADVISORY, [ADVISORY]), (proto.DISABLED, []), (proto.MANDATORY, [MANDATORY]), (proto.REMEDIATE, [MANDATORY])],
)
def test_the_packs_configuration_sets_the_level_of_a_rule(analyzer, analyze, analyze_stack, level, expected) -> None:
    config = {name: proto.PolicyConfig(enforcementLevel=level) for name in ("L06-model-pinned", "L08-secret-files-mode")}
    analyzer.Configure(proto.ConfigureAnalyzerRequest(policyConfig=config), None)
    assert [found.enforcementLevel for found in analyze("model", {"sha256": "x"})] == expected
    assert [found.enforcementLevel for found in analyze_stack("secrets", {"files/api_key": "mode 0644"})] == expected


def test_a_malformed_resource_is_answered_with_findings(analyze) -> None:
    found = analyze("gateway", {"environment": 7, "command": {"a": 1}, "check": "often", "stopSeconds": "soon"})
    assert {f.policyName.split("-")[0] for f in found} >= {"R09", "R57", "R73", "L02", "L05"}
    assert all(f.enforcementLevel == MANDATORY for f in found)


def test_served_by_the_sdks_own_pack_the_rules_refuse_rather_than_pass() -> None:
    """PolicyPack would call these with the marks stripped."""
    for policy in policies():
        with pytest.raises(MarksMissing):
            policy.validate(object(), lambda message, urn=None: None)  # type: ignore[arg-type]


def test_the_sdk_is_the_pinned_one_whose_private_parts_are_relied_on() -> None:
    assert version("pulumi-policy") == "1.21.0"
    assert {"_get_enforcement_level", "_map_enforcement_level", "_map_severity"} <= set(dir(Analyzer))


def test_two_hundred_resources_are_judged_within_a_second(analyzer, encode, good) -> None:
    sent = [(r.urn, r.type, r.name, encode(copy.deepcopy(dict(r.properties)))) for r in good] * 25
    assert len(sent) == 200
    requests = [proto.AnalyzeRequest(urn=u, type=t, name=n, properties=p) for u, t, n, p in sent]
    stack = proto.AnalyzeStackRequest(
        resources=[proto.AnalyzerResource(urn=u, type=t, name=n, properties=p) for u, t, n, p in sent]
    )
    analyzer.Analyze(requests[2], None)  # the gateway's routes are imported once
    start = time.process_time()
    for request in requests:
        analyzer.Analyze(request, None)
    analyzer.AnalyzeStack(stack, None)
    seconds = time.process_time() - start
    print(f"{seconds / len(sent) * 1000:.2f} ms of processor time a resource")
    assert seconds < 1
