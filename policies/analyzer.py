"""The analyzer that the engine talks to (pulumi/analyzer.proto): the policy SDK's, with its own reading of resources.

The SDK's analyzer drops the secret marks that the engine sends, decodes a resource once for every policy, and can only advise
where a value is unknown. This one decodes once, keeps the marks, applies the checks that read the resource's type, and reports
*undetermined* as a verdict of its own. Metadata and configuration stay the SDK's business.

It builds on ``_PolicyAnalyzerServicer``, which is not public: the requirements pin pulumi-policy exactly, and
``tests/policies/test_analyzer.py`` holds what is relied on.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import grpc
from google.protobuf import json_format
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy import EnforcementLevel, Policy
from pulumi_policy.policy import _PolicyAnalyzerServicer

from policies.enforcement import Enforcement, Level
from policies.evaluation import Result, RuleBook, excused, of_register, together
from policies.record import Seen
from policies.remediation import NotPossible, remediated
from policies.resource import Resource, Stack, stack_of
from policies.rule import Outcome, Rule, Verdict
from policies.values import decode
from policies.waivers import Register, Waiver

VERSION: Final = "0.1.0"  # as in PulumiPolicy.yaml
# The settings by which a stack of any name is an environment (infra/profiles.py), or of a target.
KINDS: Final = ("assistant:profile", "assistant:target")
LONGEST_MESSAGE: Final = 400 * 1024 * 1024  # bytes, as in the engine and the SDK
WORKERS: Final = 4
WORDS: Final = {Outcome.FAIL: "FAILED", Outcome.UNDETERMINED: "UNDETERMINED"}
LEVELS: Final = {Level.ADVISORY: EnforcementLevel.ADVISORY, Level.MANDATORY: EnforcementLevel.MANDATORY}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What findings are held against, besides the rules. ``strict``: an undetermined grave rule stops a preview as a failed
    one does; for pipelines, where nobody reads advice."""

    enforcement: Enforcement = field(default_factory=Enforcement)
    register: Register = field(default_factory=Register)
    strict: bool = False


@dataclass
class Run:
    """What one engine run has seen and been told so far: the analyzer serves one process of the engine and ends with it."""

    stack: str = ""
    profile: str = ""
    dry: bool = True
    inputs: dict[str, Resource] = field(default_factory=dict)
    results: dict[tuple[str, str], Result] = field(default_factory=dict)
    used: set[Waiver] = field(default_factory=set)

    def told(self, resource: Resource) -> Resource:
        """With its inputs for outputs where it has none: a provider that cannot be configured yet (that of a cluster which is
        still to be made) answers a preview with nothing, and the inputs are what is known by then."""
        asked = self.inputs.get(resource.urn)
        return resource if resource.properties or asked is None else replace(resource, properties=asked.properties)

    def seen(self, resources: Iterable[Resource]) -> list[Seen]:
        return [Seen(each, self.inputs[each.urn].properties if each.urn in self.inputs else {}) for each in resources]


class Analyzer(_PolicyAnalyzerServicer):
    """``listed``: what Pulumi lists and configures, by the names of the rules' policies. ``listener`` hears of the whole run,
    so far or once the stack has been judged: what was seen, what was said of it, and whether it is a preview."""

    def __init__(self, name: str, listed: list[Policy], rules: Iterable[Rule], terms: Terms, listener: Any = None) -> None:
        super().__init__(name, VERSION, listed, EnforcementLevel.MANDATORY)
        self._name = name
        self._book = RuleBook(tuple(rules))
        self._policies = {policy.name: policy for policy in listed}
        self._terms = terms
        self._configured: set[str] = set()
        self._listener = listener
        self._lock = threading.Lock()
        self.run = Run()

    def ConfigureStack(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.run = Run(
            stack=request.stack,
            profile=next((request.config[name] for name in KINDS if name in request.config), ""),
            dry=request.dry_run,
        )
        return super().ConfigureStack(request, context)

    def GetAnalyzerInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The engine asks after it has named the stack, so that each policy is listed at that stack's level."""
        info = super().GetAnalyzerInfo(request, context)  # type: ignore[no-untyped-call]
        level = self._map_enforcement_level(LEVELS[self._terms.enforcement.of(self.run.stack, self.run.profile).level])
        for policy in info.policies:
            policy.enforcementLevel = level
        return info

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        answer = super().Configure(request, context)  # type: ignore[no-untyped-call]
        self._configured = set(request.policyConfig)
        given = {name: json_format.MessageToDict(each.properties) for name, each in request.policyConfig.items()}
        self._book = RuleBook(tuple(_configured(rule, given.get(rule.policy, {})) for rule in self._book.rules))
        return answer

    def Analyze(self, request: Any, _context: Any) -> Any:  # noqa: N802
        resource = resource_of(request)
        response = proto.AnalyzeResponse()
        with self._lock:
            self.run.inputs[resource.urn] = resource
        for result in self._book.judge(resource):
            self._report(response, result)
        if any(said.enforcementLevel == proto.MANDATORY for said in response.diagnostics):
            self._tell(self.run.inputs.values())  # the engine may end here and never ask about the stack
        return response

    def AnalyzeStack(self, request: Any, _context: Any) -> Any:  # noqa: N802
        resources = tuple(self.run.told(stack_resource_of(resource)) for resource in request.resources)
        name = self.run.stack or stack_of(resources[0].urn) if resources else self.run.stack
        stack = Stack(resources, production=self._terms.enforcement.of(name, self.run.profile).production)
        response = proto.AnalyzeResponse()
        for result in self._book.judge_stack(stack):
            self._report(response, result)
        # Under --target most resources are not asked about, and the waivers for them are not unused for that.
        whole = all(resource.urn in self.run.inputs for resource in resources)
        register = self._terms.register if whole else Register(mistakes=self._terms.register.mistakes)
        for result in of_register(name, register, self.run.used, stack.by_urn):
            self._report(response, result)
        self._tell(resources)
        return response

    def Remediate(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Applies the rules that are configured as ``remediate`` and do not pass, each on what the one before has left."""
        response = proto.RemediateResponse()
        properties = request.properties
        for rule in self._book.rules:
            remedy = rule.remediation
            if (
                remedy is None
                or request.type not in remedy.types
                or self._configured_level(rule) is not EnforcementLevel.REMEDIATE
            ):
                continue
            resource = resource_of(request, properties)
            broken = [each for each in self._book.judge(resource) if each.rule == rule.id and each.outcome is Outcome.FAIL]
            if not broken or excused(broken[0], stack_of(request.urn), self._terms.register, self.run.profile)[1]:
                continue
            diagnostic = ""
            try:
                properties = remediated(properties, remedy.propose(resource))
            except NotPossible as reason:
                diagnostic = f"{rule.policy} cannot be remediated: {reason}"
            response.remediations.append(
                proto.Remediation(
                    policyName=rule.policy,
                    policyPackName=self._name,
                    policyPackVersion=VERSION,
                    description=rule.title,
                    properties=None if diagnostic else properties,
                    diagnostic=diagnostic,
                )
            )
        return response

    def _tell(self, resources: Iterable[Resource]) -> None:
        if self._listener is not None:
            with self._lock:
                self._listener(self.run.seen(resources), list(self.run.results.values()), self.run.dry)

    def _configured_level(self, rule: Rule) -> EnforcementLevel:
        """By the pack's configuration, which the engine completes from what the pack lists; without one, the stack's."""
        if rule.policy in self._configured:
            level: EnforcementLevel = self._get_enforcement_level(self._policies[rule.policy])
            return level
        return LEVELS[self._terms.enforcement.of(self.run.stack, self.run.profile).level]

    def _level(self, rule: Rule) -> EnforcementLevel:
        level = self._configured_level(rule)
        return EnforcementLevel.MANDATORY if level is EnforcementLevel.REMEDIATE else level

    def _report(self, response: Any, result: Result) -> None:
        rule = self._book.by_id[result.rule]
        level = self._level(rule)
        if level is EnforcementLevel.DISABLED:
            return
        result, waiver = excused(result, self.run.stack or stack_of(result.urn), self._terms.register, self.run.profile)
        with self._lock:
            before = self.run.results.get((result.rule, result.urn))
            (self.run.results[result.rule, result.urn],) = together([*([before] if before else []), result])
            if waiver:
                self.run.used.add(waiver)
        if result.outcome is Outcome.PASS:
            return
        # What cannot be known yet must not stop a first preview; the update decides it, before the resource is made.
        doubt = result.outcome is Outcome.UNDETERMINED and not (self._terms.strict and rule.is_grave)
        shown = EnforcementLevel.ADVISORY if waiver or doubt else level
        response.diagnostics.append(
            proto.AnalyzeDiagnostic(
                policyName=rule.policy,
                policyPackName=self._name,
                policyPackVersion=VERSION,
                description=rule.title,
                message=message(rule, result.verdict, waiver),
                urn=result.urn,
                enforcementLevel=self._map_enforcement_level(shown),
                severity=self._map_severity(self._policies[rule.policy].severity),
            )
        )


def message(rule: Rule, verdict: Verdict, waiver: Waiver | None = None) -> str:
    """What the user reads: the rule and its verdict, every reason, the controls, the remedy and where to read on."""
    reasons = "".join(f"\n  - {reason}" for reason in verdict.reasons)
    remedy = "" if verdict.outcome is Outcome.UNDETERMINED else f"\n  remedy: {rule.remedy}"
    words = WORDS[verdict.outcome]
    if waiver:
        words = f"WAIVED until {waiver.expires} ({words.lower()})"
        remedy = f"\n  waiver: {waiver.ticket}, {waiver.owner}: {waiver.reason}"
    return f"{rule.title}: {words}{reasons}\n  rule: {rule.id}, ISO/IEC 27001:2022 {rule.reference}{remedy}\n  see: {rule.link}"


def _configured(rule: Rule, given: Mapping[str, Any]) -> Rule:
    return rule.configure(rule, given) if rule.configure and given else rule


def resource_of(request: Any, properties: Any = None) -> Resource:
    """From an AnalyzeRequest or an AnalyzerResource."""
    return Resource(
        urn=request.urn,
        type=request.type,
        name=request.name,
        properties=decode(request.properties if properties is None else properties),
        ignored_changes=tuple(request.options.ignoreChanges),
        parent=request.options.parent,
        protected=request.options.protect,
        provider=request.provider.urn,
    )


def stack_resource_of(sent: Any) -> Resource:
    resource = resource_of(sent)
    return Resource(
        urn=resource.urn,
        type=resource.type,
        name=resource.name,
        properties=resource.properties,
        ignored_changes=resource.ignored_changes,
        parent=sent.parent,
        dependencies=tuple(sent.dependencies),
        property_dependencies={key: tuple(value.urns) for key, value in sent.propertyDependencies.items()},
        protected=resource.protected,
        provider=resource.provider,
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
