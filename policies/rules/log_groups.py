"""What stands in log groups: questions of people do, where a line says why one failed, and so these are masked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from policies.ecs import DEFINITIONS, TASK_DEFINITION
from policies.relations import means
from policies.resource import Malformed, Resource, Stack, View
from policies.rule import PASS, Finding, Relation, Rule, Severity, Verdict, each, fail, found, undetermined
from policies.rules import links
from policies.show import show

LOG_GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"
PROTECTION: Final = "aws:cloudwatch/logDataProtectionPolicy:LogDataProtectionPolicy"
ACCOUNT_POLICY: Final = "aws:cloudwatch/logAccountPolicy:LogAccountPolicy"
ACCOUNT_PROTECTION: Final = "DATA_PROTECTION_POLICY"
# Last words of the names of groups that the assistant's processes write to; `application` is where the CloudWatch add-on of
# EKS sends the lines of all containers, unless it is told otherwise.
PARTS: Final = frozenset({"gateway", "worker", "inference", "pods", "application"})
STANDARD: Final = "STANDARD"  # the one class of log groups whose lines CloudWatch masks


def masked(stack: Stack) -> Sequence[Finding]:
    return [found(group, partial(_masked, stack, group)) for group in stack.of_type(LOG_GROUP) if holds_prompts(stack, group)]


def holds_prompts(stack: Stack, group: Resource) -> bool:
    """By its name, or because containers of ECS write to it: which of these see a question, nobody can tell from outside."""
    name = group.view.raw("name")
    if isinstance(name, str) and name.rpartition("/")[2] in PARTS:
        return True
    return any(_writes_to(task, group, name) for task in stack.of_type(TASK_DEFINITION))


def _writes_to(task: Resource, group: Resource, name: object) -> bool:
    text = task.view.raw(DEFINITIONS)
    if isinstance(text, str):
        return isinstance(name, str) and json.dumps(name) in text
    return bool(means(task, DEFINITIONS, group))


def _masked(stack: Stack, group: Resource) -> Verdict:
    kept_in = group.view.raw("logGroupClass")
    if isinstance(kept_in, str) and kept_in not in ("", STANDARD):
        return fail(f"logGroupClass is {show(kept_in)}: of such a group CloudWatch masks nothing")
    policies = stack.of_type(PROTECTION)
    own = [(each, each.view.path("policyDocument")) for each in policies if means(each, "logGroupName", group)]
    for_all = [
        (each, "policyDocument") for each in stack.of_type(ACCOUNT_POLICY) if each.view.raw("policyType") == ACCOUNT_PROTECTION
    ]
    if not own and not for_all:
        unclear = [each.name for each in policies if means(each, "logGroupName", group) is None]
        if unclear:
            return undetermined(f"{unclear[0]}: logGroupName is not known before the update, and may be this one")
        return fail("no LogDataProtectionPolicy names this log group: whoever reads logs reads what people asked")
    return each(*(partial(_masks, policy.view, name) for policy, name in own or for_all))


def _masks(view: View, name: str) -> Verdict:
    statements = _statements(view, name)
    if any(_operation(statement, "Deidentify") is not None and statement.get("DataIdentifier") for statement in statements):
        return PASS
    return fail(f"{name} masks nothing: no statement has the operation Deidentify with a data identifier")


def _operation(statement: Mapping[str, Any], name: str) -> Any:
    operation = statement.get("Operation")
    return operation.get(name) if isinstance(operation, dict) else None


def _statements(view: View, name: str) -> list[Mapping[str, Any]]:
    """docs.aws.amazon.com/AmazonCloudWatch: data protection policy syntax."""
    text = view.text(name)
    try:
        document = json.loads(text or "")
        statements = document["Statement"]
        return [
            statement for statement in (statements if isinstance(statements, list) else [statements]) if statement["Operation"]
        ]
    except (ValueError, KeyError, TypeError):
        raise Malformed(view.path(name), "a data protection policy in JSON", "a text that is none") from None


RULES: Final = (
    Rule(
        id="R35",
        name="prompt-logs-masked",
        title="The log group that can hold prompts has a data-protection policy",
        severity=Severity.MEDIUM,
        controls=("8.11", "5.34"),
        remedy="give the log group a LogDataProtectionPolicy that masks (Deidentify) credentials and personal data",
        link=links.LOG_MASKING,
        relations=(
            Relation(
                reads={
                    LOG_GROUP: ("logGroupClass",),
                    PROTECTION: ("logGroupName", "policyDocument"),
                    ACCOUNT_POLICY: ("policyType", "policyDocument"),
                },
                judge=masked,
            ),
        ),
    ),
)
