"""The pack as Pulumi's policy SDK sees it: every rule listed singly, with what an auditor wants to know of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyComplianceFramework,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy import Severity as PulumiSeverity

from policies.evaluation import WAIVERS
from policies.rule import Rule
from policies.rules import RULES

ALL_RULES: Final[tuple[Rule, ...]] = (*RULES, WAIVERS)
NAME: Final = "assistant"  # as in PulumiPolicy.yaml
STANDARD: Final = ("ISO/IEC 27001", "2022")


class MarksMissing(RuntimeError):
    """The pack was served by the SDK's own PolicyPack, which hides from rules what is marked as secret."""


def policies(rules: Iterable[Rule] = ALL_RULES) -> list[Policy]:
    """One policy a rule, mandatory unless the stack or the pack's configuration says otherwise. Starts nothing."""
    return [_policy(rule) for rule in rules]


def _policy(rule: Rule) -> Policy:
    # A rule that reads resources one by one is listed as such, though it may look at the stack as well.
    kind = ResourceValidationPolicy if rule.checks else StackValidationPolicy
    return kind(validate=_refuse, **_metadata(rule))  # type: ignore[arg-type]


def _metadata(rule: Rule) -> dict[str, object]:
    name, version = STANDARD
    return {
        "name": rule.policy,
        "description": rule.title,
        "display_name": f"{rule.id} {rule.title}",
        "enforcement_level": EnforcementLevel.MANDATORY,
        "config_schema": PolicyConfigSchema(properties={name: dict(schema) for name, schema in rule.schema.items()}),
        "severity": PulumiSeverity(rule.severity.value),
        "framework": PolicyComplianceFramework(name=name, version=version, reference=rule.reference, specification=rule.title),
        "tags": ["iso-27001", *(f"A.{control}" for control in rule.controls)],
        "remediation_steps": rule.remedy,
        "url": rule.link,
    }


def _refuse(args: ResourceValidationArgs | StackValidationArgs, report: ReportViolation) -> None:
    raise MarksMissing("serve this pack with policies.analyzer.serve, as policies/__main__.py does")
