"""IAM policies: nobody may do everything, nobody more than they name, and nobody may come to more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from policies.iam_grants import (
    ESCALATING_MANAGED,
    EVERYTHING_MANAGED,
    escalations,
    grants_everything,
    is_whole,
    managed_name,
    scopable,
    unbounded,
    whole_services,
)
from policies.policy_documents import Statement, document, is_unknown, read
from policies.resource import Malformed, NotKnown, Resource, Stack
from policies.rule import PASS, Check, Finding, Relation, Rule, Severity, Verdict, all_of, each, fail, found
from policies.rules import iam_trust, links, resource_policies
from policies.show import show
from policies.values import UNKNOWN, Secret, Value, describe

ROLE: Final = "aws:iam/role:Role"
# Policies of identities, and the property that the document stands in.
DOCUMENTS: Final = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy": "inlinePolicy",
}
# What attaches policies by their ARNs.
ATTACHMENTS: Final = {
    "aws:iam/policyAttachment:PolicyAttachment": "policyArn",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "policyArn",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": "policyArn",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": "policyArn",
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": "policyArns",
    "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive": "policyArns",
    "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive": "policyArns",
    "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment": "managedPolicyArn",
    ROLE: "managedPolicyArns",
}
INLINE: Final = "inlinePolicies"

Judge = Callable[[Sequence[Statement]], Verdict]
Managed = Callable[[str], str | None]


def nothing_does_everything(statements: Sequence[Statement]) -> Verdict:
    wide = grants_everything(statements)
    reasons = [
        f"{each.path} allows everything but what it names, on every resource"
        if each.not_actions
        else f"{each.path} allows every action on every resource"
        if len(wide) == 1
        else f"{each.path} allows, together with others, every action on every resource"
        for each in wide
    ]
    return fail(*reasons) if reasons else PASS


def actions_and_resources_are_named(statements: Sequence[Statement]) -> Verdict:
    return all_of(_named(statement) for statement in statements if statement.allows)


def _named(statement: Statement) -> Verdict:
    reasons = [f"{statement.path} allows {show(action)}: name the actions" for action in whole_services(statement)]
    if statement.not_actions:
        reasons.append(f"{statement.path} allows all actions but those of NotAction: name the actions")
    if wide := unbounded(statement):
        where = " and ".join(sorted(map(show, wide)))
        reasons += [f"{statement.path} allows {show(action)} on {where}: name the resources" for action in scopable(statement)]
    return fail(*reasons) if reasons else PASS


def nobody_comes_to_more(statements: Sequence[Statement]) -> Verdict:
    ways: dict[str, list[str]] = {}
    for statement, action in escalations(statements):
        ways.setdefault(statement.path, []).append(action)
    reasons = [
        f"{path} allows {', '.join(actions)}, by which its holder comes to more rights" for path, actions in ways.items()
    ]
    return fail(*reasons) if reasons else PASS


def managed_everything(name: str) -> str | None:
    return "allows every action on every resource" if name in EVERYTHING_MANAGED else None


def managed_whole(name: str) -> str | None:
    return "allows whole services on every resource" if is_whole(name) else None


def managed_escalation(name: str) -> str | None:
    return "lets its holder come to any right" if name in ESCALATING_MANAGED else None


def checks(judge: Judge, managed: Managed) -> tuple[Check, ...]:
    """What is known of each policy before it is made. Of what is not known the relation speaks, which sees the edges."""
    documents = [Check(types=(of,), properties=(name,), judge=partial(_known, name, judge)) for of, name in DOCUMENTS.items()]
    attachments = [
        Check(types=(of,), properties=(name,), judge=partial(_attached, name, managed)) for of, name in ATTACHMENTS.items()
    ]
    return (*documents, *attachments, Check(types=(ROLE,), properties=(INLINE,), judge=partial(_inline, judge)))


def _known(name: str, judge: Judge, resource: Resource) -> Verdict:
    try:
        return judge(read(resource.view, name))
    except NotKnown:
        return PASS


def _inline(judge: Judge, resource: Resource) -> Verdict:
    policies = resource.view.mappings(INLINE) or []
    return each(*(partial(lambda policy: judge(read(policy, "policy")), policy) for policy in policies))


def _attached(name: str, managed: Managed, resource: Resource) -> Verdict:
    return all_of(_managed(name, managed, arn) for arn in _arns(resource, name) if arn is not None)


def _managed(name: str, managed: Managed, arn: str) -> Verdict:
    policy = managed_name(arn)
    reason = managed(policy) if policy else None
    return fail(f"{name}: AWS' policy {show(policy or '')} {reason}") if reason else PASS


def _arns(resource: Resource, name: str) -> list[str | None]:
    """One ARN or a list; None for one that is not known."""
    value = resource.view.raw(name)
    items = value if isinstance(value, list) else [] if value is None else [value]
    return [_arn(resource.view.path(name), item) for item in items]


def _arn(path: str, value: Value) -> str | None:
    value = value.value if isinstance(value, Secret) else value
    if value is UNKNOWN:
        return None
    if not isinstance(value, str):
        raise Malformed(path, "an ARN", describe(value))
    return value


def relation(judge: Judge) -> Relation:
    """What a first preview knows of policies whose text it does not: what their components declare."""
    types: Mapping[str, str] = {**DOCUMENTS, **{of: name for of, name in ATTACHMENTS.items() if of != ROLE}}
    return Relation(reads={of: (name,) for of, name in types.items()}, judge=partial(_unknown_ones, judge))


def _unknown_ones(judge: Judge, stack: Stack) -> Sequence[Finding]:
    documents = [
        found(resource, partial(lambda resource, name: judge(document(stack, resource, name)), resource, name))
        for of, name in DOCUMENTS.items()
        for resource in stack.of_type(of)
        if is_unknown(resource, name)
    ]
    attachments = [
        found(resource, partial(_of_the_stack, resource, name))
        for of, name in ATTACHMENTS.items()
        for resource in stack.of_type(of)
        if of != ROLE and None in _or_none(resource, name)
    ]
    return [*documents, *attachments]


def _or_none(resource: Resource, name: str) -> list[str | None]:
    try:
        return _arns(resource, name)
    except Malformed:
        return []


def _of_the_stack(resource: Resource, name: str) -> Verdict:
    """A policy of this stack's own is judged where it is made; any other that is attached has to be known."""
    if resource.property_dependencies.get(name):
        return PASS
    raise NotKnown(resource.view.path(name))


RULES: Final = (
    Rule(
        id="R02",
        name="no-full-administration",
        title="No IAM policy allows every action on every resource",
        severity=Severity.CRITICAL,
        controls=("5.15", "8.2"),
        remedy="list the actions that are needed and the ARNs that they are needed on",
        link=links.IAM_PRACTICES,
        checks=checks(nothing_does_everything, managed_everything),
        relations=(relation(nothing_does_everything),),
    ),
    Rule(
        id="R03",
        name="least-privilege",
        title="IAM policies name actions and, where an action can be scoped, resources",
        severity=Severity.HIGH,
        controls=("5.15", "8.3"),
        remedy="name actions instead of service:*, and ARNs instead of *, or narrow by aws:ResourceTag what cannot be named",
        link=links.IAM_PRACTICES,
        checks=checks(actions_and_resources_are_named, managed_whole),
        relations=(relation(actions_and_resources_are_named),),
    ),
    Rule(
        id="R10",
        name="no-privilege-escalation",
        title="No IAM policy lets its holder come to more rights",
        severity=Severity.HIGH,
        controls=("5.18", "8.2"),
        remedy="leave the action to a pipeline's role, bound it by iam:PermissionsBoundary, or name the one role to be passed",
        link=links.IAM_ESCALATION,
        checks=checks(nobody_comes_to_more, managed_escalation),
        relations=(relation(nobody_comes_to_more),),
    ),
    *iam_trust.RULES,
    *resource_policies.RULES,
)
