"""The pack as Pulumi's policy SDK sees it: every rule listed singly, with what an auditor wants to know of it."""

from __future__ import annotations

from typing import Final

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyComplianceFramework,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy import Severity as PulumiSeverity

from policies.rule import Metadata, Rule, StackRule
from policies.rules import RULES, STACK_RULES

NAME: Final = "assistant"  # as in PulumiPolicy.yaml
STANDARD: Final = ("ISO/IEC 27001", "2022")


class MarksMissing(RuntimeError):
    """The pack was served by the SDK's own PolicyPack, which hides from rules what is marked as secret."""


def policies() -> list[Policy]:
    """One policy a rule, mandatory unless the pack's configuration says otherwise. Starts nothing."""
    return [*(_resource_policy(rule) for rule in RULES), *(_stack_policy(rule) for rule in STACK_RULES)]


def _resource_policy(rule: Rule) -> ResourceValidationPolicy:
    return ResourceValidationPolicy(validate=_refuse, **_metadata(rule))  # type: ignore[arg-type]


def _stack_policy(rule: StackRule) -> StackValidationPolicy:
    return StackValidationPolicy(validate=_refuse, **_metadata(rule))  # type: ignore[arg-type]


def _metadata(rule: Metadata) -> dict[str, object]:
    name, version = STANDARD
    return {
        "name": rule.policy,
        "description": rule.title,
        "display_name": f"{rule.id} {rule.title}",
        "enforcement_level": EnforcementLevel.MANDATORY,
        "severity": PulumiSeverity(rule.severity.value),
        "framework": PolicyComplianceFramework(name=name, version=version, reference=rule.reference, specification=rule.title),
        "tags": ["iso-27001", *(f"A.{control}" for control in rule.controls)],
        "remediation_steps": rule.remedy,
        "url": rule.link,
    }


def _refuse(args: ResourceValidationArgs | StackValidationArgs, report: ReportViolation) -> None:
    raise MarksMissing("serve this pack with policies.analyzer.serve, as policies/__main__.py does")
