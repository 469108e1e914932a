"""The analyzer that the engine talks to (pulumi/analyzer.proto): the policy SDK's, with its own reading of resources.

The SDK's analyzer drops the secret marks that the engine sends, decodes a resource once for every policy, and can only advise
where a value is unknown. This one decodes once, keeps the marks, applies the rules that read the resource's type, and reports
*undetermined* as an advice of its own. Metadata, configuration and enforcement levels stay the SDK's business.

It builds on ``_PolicyAnalyzerServicer``, which is not public: the requirements pin pulumi-policy exactly, and
``tests/policies/test_analyzer.py`` holds what is relied on.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy import EnforcementLevel, Policy
from pulumi_policy.policy import _PolicyAnalyzerServicer

from policies.resource import Resource, Stack
from policies.rule import Metadata, Outcome, Rule, StackRule, Verdict, judge, judge_stack
from policies.values import decode

VERSION: Final = "0.0.1"  # the engine shows that of PulumiPolicy.yaml
LONGEST_MESSAGE: Final = 400 * 1024 * 1024  # bytes, as in the engine and the SDK
WORKERS: Final = 4
WORDS: Final = {Outcome.FAIL: "FAILED", Outcome.UNDETERMINED: "UNDETERMINED"}


class Analyzer(_PolicyAnalyzerServicer):
    """``listed``: what Pulumi lists and configures, by the names of the rules' policies."""

    def __init__(self, name: str, listed: list[Policy], rules: Iterable[Rule], stack_rules: Iterable[StackRule]) -> None:
        super().__init__(name, VERSION, listed, EnforcementLevel.MANDATORY)
        self._name = name
        self._rules = tuple(rules)
        self._stack_rules = tuple(stack_rules)
        self._policies = {policy.name: policy for policy in listed}

    def Analyze(self, request: Any, _context: Any) -> Any:  # noqa: N802
        resource = resource_of(request)
        response = proto.AnalyzeResponse()
        for rule in self._rules:
            if rule.reads(resource.type) and self._level(rule) is not EnforcementLevel.DISABLED:
                self._report(response, rule, judge(rule, resource), resource.urn)
        return response

    def AnalyzeStack(self, request: Any, _context: Any) -> Any:  # noqa: N802
        stack = Stack(tuple(stack_resource_of(resource) for resource in request.resources))
        response = proto.AnalyzeResponse()
        for rule in self._stack_rules:
            if self._level(rule) is not EnforcementLevel.DISABLED:
                for finding in judge_stack(rule, stack):
                    self._report(response, rule, finding.verdict, finding.urn)
        return response

    def Remediate(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """No rule changes a resource."""
        return proto.RemediateResponse()

    def _level(self, rule: Metadata) -> EnforcementLevel:
        level: EnforcementLevel = self._get_enforcement_level(self._policies[rule.policy])
        return EnforcementLevel.MANDATORY if level is EnforcementLevel.REMEDIATE else level

    def _report(self, response: Any, rule: Metadata, verdict: Verdict, urn: str) -> None:
        if verdict.outcome is Outcome.PASS:
            return
        policy = self._policies[rule.policy]
        # What cannot be known yet must not stop a first preview; the update decides it, before the resource is made.
        level = self._level(rule) if verdict.outcome is Outcome.FAIL else EnforcementLevel.ADVISORY
        response.diagnostics.append(
            proto.AnalyzeDiagnostic(
                policyName=rule.policy,
                policyPackName=self._name,
                policyPackVersion=VERSION,
                description=rule.title,
                message=message(rule, verdict),
                urn=urn,
                enforcementLevel=self._map_enforcement_level(level),
                severity=self._map_severity(policy.severity),
            )
        )


def message(rule: Metadata, verdict: Verdict) -> str:
    """What the user reads: the rule and its verdict, every reason, the controls, the remedy and where to read on."""
    reasons = "".join(f"\n  - {reason}" for reason in verdict.reasons)
    remedy = "" if verdict.outcome is Outcome.UNDETERMINED else f"\n  remedy: {rule.remedy}"
    return (
        f"{rule.title}: {WORDS[verdict.outcome]}{reasons}\n"
        f"  rule: {rule.id}, ISO/IEC 27001:2022 {rule.reference}{remedy}\n"
        f"  see: {rule.link}"
    )


def resource_of(request: Any) -> Resource:
    """From an AnalyzeRequest or an AnalyzerResource."""
    return Resource(
        urn=request.urn,
        type=request.type,
        name=request.name,
        properties=decode(request.properties),
        ignored_changes=tuple(request.options.ignoreChanges),
        parent=request.options.parent,
    )


def stack_resource_of(message: Any) -> Resource:
    resource = resource_of(message)
    return Resource(
        urn=resource.urn,
        type=resource.type,
        name=resource.name,
        properties=resource.properties,
        ignored_changes=resource.ignored_changes,
        parent=message.parent,
        dependencies=tuple(message.dependencies),
        property_dependencies={key: tuple(value.urns) for key, value in message.propertyDependencies.items()},
    )


def serve(analyzer: Analyzer) -> None:
    """Serve the engine until it ends this process; the port goes to stdout, as the engine expects of a plugin."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    limits = [("grpc.max_receive_message_length", LONGEST_MESSAGE), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(max_workers=WORKERS), options=limits)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(analyzer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    ended.wait()
    server.stop(0)
