"""Who may take a role: exactly one, and each workload has a role of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from policies.policy_documents import Condition, Principal, Statement, document, is_unknown, read
from policies.relations import meant
from policies.resource import NotKnown, Resource, Stack
from policies.rule import PASS, Check, Finding, Relation, Rule, Severity, Verdict, fail, found
from policies.rules import links
from policies.show import show
from policies.values import Value, leaves

ROLE: Final = "aws:iam/role:Role"
TRUST: Final = "assumeRolePolicy"
# What hands a role to a workload, and the property that names the role.
WORKLOADS: Final = {
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": "roleArn",
    "aws:eks/addon:Addon": "podIdentityAssociations",
    "aws:ecs/taskDefinition:TaskDefinition": "taskRoleArn",
    "aws:lambda/function:Function": "role",
}
SUBJECT, AUDIENCE = ":sub", ":aud"
WEB_IDENTITY_AUDIENCE: Final = "sts.amazonaws.com"


def one_principal(statements: Sequence[Statement]) -> Verdict:
    allowing = [statement for statement in statements if statement.allows]
    principals = dict.fromkeys(principal for statement in allowing for principal in statement.principals)
    reasons = [f"{each.path} trusts everybody but those of NotPrincipal" for each in allowing if each.not_principals]
    if len(principals) > 1:
        names = ", ".join(show(principal.name) for principal in principals)
        reasons.append(f"{TRUST} trusts {len(principals)} principals ({names}): one role has one")
    for statement in allowing:
        reasons += [reason for principal in statement.principals if (reason := _too_wide(statement, principal))]
    return fail(*reasons) if reasons else PASS


def _too_wide(statement: Statement, principal: Principal) -> str | None:
    if principal.is_everybody:
        return f"{statement.path} trusts {show(principal.name)}, which is no one in particular"
    if principal.kind == "AWS" and _is_account(principal.name):
        return f"{statement.path} trusts {show(principal.name)}: everybody whom that account allows to take roles"
    if principal.kind == "Federated":
        return _federated(statement)
    return None


def _is_account(name: str) -> bool:
    """``123456789012`` and ``arn:aws:iam::123456789012:root`` mean the account, not somebody in it."""
    return name.isdecimal() or name.endswith(":root")


def _federated(statement: Statement) -> str | None:
    """A provider of identities speaks for all of its users: the token has to say who, and for whom it was issued."""
    subjects = _demanded(statement, SUBJECT)
    if len(subjects) != 1 or "*" in subjects[0] or "?" in subjects[0]:
        said = ", ".join(map(show, subjects)) or "nobody"
        return f"{statement.path} trusts a provider of identities and names {said} by its sub: name one service account"
    if not _demanded(statement, AUDIENCE):
        return f"{statement.path} trusts a provider of identities for any aud: demand {WEB_IDENTITY_AUDIENCE}"
    return None


def _demanded(statement: Statement, suffix: str) -> list[str]:
    """The values that the token's claim must have one of; an identifier that is not known yet is one."""
    conditions: Iterable[Condition] = (each for each in statement.conditions if each.key.endswith(suffix) and each.demands)
    return [value for condition in conditions for value in condition.values]


def judge_trust(resource: Resource) -> Verdict:
    try:
        statements = read(resource.view, TRUST)
    except NotKnown:
        return PASS  # the relation below says what there is to say
    return one_principal(statements)


def unknown_trust(stack: Stack) -> Sequence[Finding]:
    return [
        found(resource, partial(lambda resource: one_principal(document(stack, resource, TRUST)), resource))
        for resource in stack.of_type(ROLE)
        if is_unknown(resource, TRUST)
    ]


def one_role_each(stack: Stack) -> Sequence[Finding]:
    """Two workloads with one role can each do what the other needs."""
    workloads = [resource for resource in stack.of_type(*WORKLOADS) if WORKLOADS[resource.type] in resource.view]
    roles = {resource.urn: _roles_of(stack, resource) for resource in workloads}
    return [found(resource, partial(_alone, resource, workloads, roles)) for resource in workloads]


def _alone(resource: Resource, workloads: Sequence[Resource], roles: Mapping[str, frozenset[str]]) -> Verdict:
    name = WORKLOADS[resource.type]
    if not roles[resource.urn]:
        raise NotKnown(resource.view.path(name))
    sharing = [other.name for other in workloads if other.urn != resource.urn and roles[other.urn] & roles[resource.urn]]
    return fail(f"{name} is also the role of {', '.join(map(show, sharing))}: give each workload its own") if sharing else PASS


def _roles_of(stack: Stack, workload: Resource) -> frozenset[str]:
    """By their URNs where the stack makes them, and by their ARNs; none where neither is known."""
    name = WORKLOADS[workload.type]
    return frozenset({*(role.urn for role in meant(stack, workload, name, (ROLE,))), *_arns(workload.view.raw(name))})


def _arns(value: Value) -> Iterator[str]:
    return (leaf.value for leaf in leaves(value) if isinstance(leaf.value, str) and leaf.value.startswith("arn:"))


RULES: Final = (
    Rule(
        id="R04",
        name="one-principal-one-role",
        title="A role is trusted to exactly one principal, and each workload has its own",
        severity=Severity.HIGH,
        controls=("5.16", "5.15"),
        remedy="trust one service, or one service account by the sub of its token; make a role for each workload",
        link=links.IAM_TRUST,
        checks=(Check(types=(ROLE,), properties=(TRUST,), judge=judge_trust),),
        relations=(
            Relation(reads={ROLE: (TRUST,)}, judge=unknown_trust),
            Relation(reads={of: (name,) for of, name in WORKLOADS.items()}, judge=one_role_each),
        ),
    ),
)
