"""The analyzer over its own messages: what the engine sends and what it gets back."""

from __future__ import annotations

import datetime
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pytest
from google.protobuf import empty_pb2
from pulumi.runtime import proto
from pulumi_policy import ResourceValidationPolicy, StackValidationPolicy

from policies.analyzer import Analyzer, Terms
from policies.enforcement import Enforcement, Environment, Level
from policies.local_types import MODEL
from policies.pack import ALL_RULES, NAME, MarksMissing, policies
from policies.rule import PASS, Check, Outcome, Remediation, fail
from policies.rules import RULES
from policies.values import SECRET, SIGNATURE, UNKNOWN, Secret, decode
from policies.waivers import Register, Waiver

UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
MANDATORY, ADVISORY = proto.MANDATORY, proto.ADVISORY


@pytest.fixture
def analyzer() -> Analyzer:
    return Analyzer(NAME, policies(), ALL_RULES, Terms())


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
    assert [policy.name for policy in listed] == [rule.policy for rule in ALL_RULES]
    assert [isinstance(policy, ResourceValidationPolicy) for policy in listed] == [bool(rule.checks) for rule in ALL_RULES]
    assert all(isinstance(policy, ResourceValidationPolicy | StackValidationPolicy) for policy in listed)


def test_an_auditor_finds_severity_control_remedy_and_link_of_every_policy(analyzer) -> None:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty(), None)
    assert info.name == NAME
    for rule, policy in zip(ALL_RULES, info.policies, strict=True):
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


def test_a_policy_is_listed_at_the_level_of_the_stack_that_the_engine_has_named(encode, make) -> None:
    terms = Terms(enforcement=Enforcement(stacks={"dev": Environment(level=Level.ADVISORY)}))
    for stack, level in (("dev", ADVISORY), ("prod", MANDATORY)):
        analyzer = Analyzer(NAME, policies(), ALL_RULES, terms)
        analyzer.ConfigureStack(proto.AnalyzerStackConfigureRequest(stack=stack, dry_run=True), None)
        info = analyzer.GetAnalyzerInfo(empty_pb2.Empty(), None)
        assert {policy.enforcementLevel for policy in info.policies} == {level}
        resource = make("model", {"sha256": "0" * 64})
        sent = proto.AnalyzeRequest(urn=resource.urn, type=resource.type, name="model", properties=encode(resource.properties))
        (found,) = analyzer.Analyze(sent, None).diagnostics
        assert found.enforcementLevel == level


def test_a_stack_of_another_name_is_held_to_the_level_of_its_profile_or_target(encode, make) -> None:
    terms = Terms(enforcement=Enforcement(stacks={"dev": Environment(level=Level.ADVISORY)}))
    for config, level in (
        ({"assistant:profile": "dev"}, ADVISORY),
        ({"assistant:target": "dev"}, ADVISORY),
        ({"assistant:profile": "prod", "assistant:target": "dev"}, MANDATORY),
        ({}, MANDATORY),
    ):
        analyzer = Analyzer(NAME, policies(), ALL_RULES, terms)
        analyzer.ConfigureStack(proto.AnalyzerStackConfigureRequest(stack="acme", config=config), None)
        assert {policy.enforcementLevel for policy in analyzer.GetAnalyzerInfo(empty_pb2.Empty(), None).policies} == {level}


def test_a_strict_run_stops_at_what_is_undetermined_about_a_grave_rule(encode, make) -> None:
    analyzer = Analyzer(NAME, policies(), ALL_RULES, Terms(strict=True))
    resource = make("model", {"sha256": UNKNOWN_TEXT})
    sent = proto.AnalyzeRequest(urn=resource.urn, type=resource.type, name="model", properties=encode(resource.properties))
    (found,) = analyzer.Analyze(sent, None).diagnostics
    assert (found.policyName, found.enforcementLevel) == ("L06-model-pinned", MANDATORY)
    assert "UNDETERMINED" in found.message


WAIVER = Waiver(
    rule="L06",
    urn="*::model",
    stacks=("local",),
    owner="platform",
    reason="the model is being replaced this week",
    ticket="OPS-7",
    expires=datetime.date(2027, 1, 31),
)


def test_a_waived_finding_is_shown_with_its_waiver_and_stops_nothing(encode, make) -> None:
    analyzer = Analyzer(NAME, policies(), ALL_RULES, Terms(register=Register((WAIVER,))))
    resource = make("model", {"sha256": "0" * 64})
    sent = proto.AnalyzeRequest(urn=resource.urn, type=resource.type, name="model", properties=encode(resource.properties))
    (found,) = analyzer.Analyze(sent, None).diagnostics
    assert found.enforcementLevel == ADVISORY
    assert "WAIVED until 2027-01-31 (failed)" in found.message
    assert "OPS-7, platform: the model is being replaced" in found.message


def test_a_waiver_for_a_profile_is_one_for_its_stacks(encode, make) -> None:
    analyzer = Analyzer(NAME, policies(), ALL_RULES, Terms(register=Register((replace(WAIVER, stacks=("small",)),))))
    resource = make("model", {"sha256": "0" * 64})
    sent = proto.AnalyzeRequest(urn=resource.urn, type=resource.type, name="model", properties=encode(resource.properties))
    for profile, level in (("small", ADVISORY), ("large", MANDATORY)):
        config = {"assistant:profile": profile}
        analyzer.ConfigureStack(proto.AnalyzerStackConfigureRequest(stack="acme", config=config), None)
        (found,) = analyzer.Analyze(sent, None).diagnostics
        assert found.enforcementLevel == level


def test_a_waiver_that_nothing_uses_fails_once_the_whole_stack_was_seen(encode, make) -> None:
    resource = make("model")
    properties = encode(resource.properties)
    whole = proto.AnalyzerResource(urn=resource.urn, type=resource.type, name="model", properties=properties)
    for asked in (True, False):  # False: an update of other resources (--target)
        analyzer = Analyzer(NAME, policies(), ALL_RULES, Terms(register=Register((WAIVER,))))
        if asked:
            analyzer.Analyze(
                proto.AnalyzeRequest(urn=resource.urn, type=resource.type, name="model", properties=properties), None
            )
        found = list(analyzer.AnalyzeStack(proto.AnalyzeStackRequest(resources=[whole]), None).diagnostics)
        assert [each.policyName for each in found] == (["W01-waivers-in-order"] if asked else [])


def test_mistakes_in_the_register_fail(encode) -> None:
    analyzer = Analyzer(NAME, policies(), ALL_RULES, Terms(register=Register(mistakes=("waiver 1: owner is missing",))))
    (found,) = analyzer.AnalyzeStack(proto.AnalyzeStackRequest(), None).diagnostics
    assert found.enforcementLevel == MANDATORY
    assert "waiver 1: owner is missing" in found.message


def test_a_remediation_keeps_what_is_marked_as_secret_or_unknown(encode, make, canary) -> None:
    """Through the RPC that the engine calls; the SDK's own way would have written the canary in plain."""
    mend = Remediation(types=(MODEL,), propose=lambda resource: {("precision",): "int8", ("nested", "inner"): 7})
    judged = Check(types=(MODEL,), judge=lambda resource: PASS if resource.view.text("precision") == "int8" else fail("no"))
    rule = replace(next(rule for rule in RULES if rule.id == "L06"), checks=(judged,), remediation=mend)
    analyzer = Analyzer(NAME, policies([rule]), [rule], Terms())
    config = {rule.policy: proto.PolicyConfig(enforcementLevel=proto.REMEDIATE)}
    analyzer.Configure(proto.ConfigureAnalyzerRequest(policyConfig=config), None)
    marked = {SIGNATURE: SECRET, "value": canary}
    nested = {SIGNATURE: SECRET, "value": {"inner": 1, "other": canary}}
    properties = encode({"precision": "fp32", "token": marked, "later": UNKNOWN_TEXT, "nested": nested})
    resource = make("model")
    request = proto.AnalyzeRequest(urn=resource.urn, type=resource.type, name="model", properties=properties)
    (done,) = analyzer.Remediate(request, None).remediations
    assert not done.diagnostic
    decoded = decode(done.properties)
    assert decoded["precision"] == "int8"
    assert isinstance(decoded["token"], Secret)
    assert decoded["token"].value == canary
    assert decoded["later"] is UNKNOWN
    assert isinstance(decoded["nested"], Secret)
    assert decoded["nested"].value == {"inner": 7, "other": canary}
    passing = proto.AnalyzeRequest(urn=resource.urn, type=resource.type, name="model", properties=encode({"precision": "int8"}))
    assert list(analyzer.Remediate(passing, None).remediations) == []


def test_the_run_is_handed_over_whole_after_the_stack_was_judged(encode, make) -> None:
    runs = []
    analyzer = Analyzer(NAME, policies(), ALL_RULES, Terms(), lambda *run: runs.append(run))
    resource = make("model", {"sha256": "0" * 64})
    properties = encode(resource.properties)
    analyzer.ConfigureStack(proto.AnalyzerStackConfigureRequest(stack="local", dry_run=True), None)
    analyzer.Analyze(proto.AnalyzeRequest(urn=resource.urn, type=resource.type, name="model", properties=properties), None)
    whole = proto.AnalyzerResource(urn=resource.urn, type=resource.type, name="model", properties=properties)
    analyzer.AnalyzeStack(proto.AnalyzeStackRequest(resources=[whole]), None)
    so_far, (seen, results, dry) = runs  # a finding that stops is told at once: the stack may never be judged
    assert ("L06", Outcome.FAIL) in {(result.rule, result.outcome) for result in so_far[1]}
    assert [(each.resource.urn, each.inputs["sha256"]) for each in seen] == [(resource.urn, "0" * 64)]
    assert dry
    assert {(result.rule, result.outcome) for result in results} >= {("L06", Outcome.FAIL), ("R06", Outcome.PASS)}


def test_where_a_provider_tells_no_outputs_yet_relations_read_the_inputs(encode, make) -> None:
    """Kubernetes' provider, on the first preview of a stack that makes its cluster as well."""
    runs = []
    analyzer = Analyzer(NAME, policies(), ALL_RULES, Terms(), lambda seen, _results, _dry: runs.append(seen))
    resource = make("secrets", {"files": {"api_key": "mode 0644"}})
    properties = encode(resource.properties)
    named = {"urn": resource.urn, "type": resource.type, "name": "secrets"}
    for outputs, words in ({}, "mode 0644"), ({"files": {"api_key": "missing"}}, "missing"):
        analyzer.Analyze(proto.AnalyzeRequest(**named, properties=properties), None)
        told = proto.AnalyzerResource(**named, properties=encode(outputs))
        (found,) = analyzer.AnalyzeStack(proto.AnalyzeStackRequest(resources=[told]), None).diagnostics
        assert words in found.message
        assert runs[-1][0].resource.properties["files"] == {"api_key": words}
