"""Who may do what in AWS, as the record has it: roles and their trust, what policies allow, who may enter the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from policies.evidence.reading import compact, document_of, of_types, short_type, text_of, value_of, words
from policies.evidence.table import Table
from policies.record import Seen
from policies.relations import meant
from policies.resource import Stack

ROLE: Final = "aws:iam/role:Role"
INLINE: Final = "aws:iam/rolePolicy:RolePolicy"
ATTACHED: Final = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
POD_IDENTITY: Final = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
ENTRY: Final = "aws:eks/accessEntry:AccessEntry"
ENTRY_POLICY: Final = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
# What else of aws:iam may grant something; a stack of this project has none, a changed one may.
OTHER_IAM: Final = ("aws:iam/policy:Policy", "aws:iam/userPolicy:UserPolicy", "aws:iam/groupPolicy:GroupPolicy")
PEOPLE: Final = ("aws:iam/user:User", "aws:iam/group:Group", "aws:iam/accessKey:AccessKey")
UNREADABLE: Final = "a text that is no policy document"
DOCUMENTS: Final = ("policy", "policyDocument")


def tables(seen: Sequence[Seen]) -> tuple[Table, ...]:
    return (_roles(seen), _permissions(seen), _resource_policies(seen), _cluster_entries(seen))


def _roles(seen: Sequence[Seen]) -> Table:
    stack = Stack([each.resource for each in seen])
    identities = of_types(seen, POD_IDENTITY)

    def pods(role: Seen) -> str:
        return ", ".join(
            f"{text_of(each, 'namespace')}/{text_of(each, 'serviceAccount')}"
            for each in identities
            if role.resource in meant(stack, each.resource, "roleArn", [ROLE])
        )

    rows = [
        (
            text_of(role, "name", role.resource.name),
            text_of(role, "description"),
            _either(trust, "Principal"),
            _either(trust, "Action"),
            _condition(trust),
            pods(role),
            text_of(role, "permissionsBoundary"),
        )
        for role in sorted(of_types(seen, ROLE), key=lambda role: text_of(role, "name"))
        for trust in _statements(role, "assumeRolePolicy")
    ]
    people = [(each.resource.name, short_type(each.resource.type), "-", "-", "", "", "") for each in of_types(seen, *PEOPLE)]
    return Table(
        name="access-aws-roles",
        title="AWS: roles and who may assume them",
        columns=("role", "description", "trusted", "actions", "condition", "pods", "permissions boundary"),
        rows=[*rows, *people],
        note="Pods: the Kubernetes service accounts that EKS Pod Identity gives the role to.",
        empty="The record has no role of IAM.",
    )


def _permissions(seen: Sequence[Seen]) -> Table:
    stack = Stack([each.resource for each in seen])

    def holder(policy: Seen) -> str:
        roles = meant(stack, policy.resource, "role", [ROLE])
        named = next((each for each in seen if roles and each.resource.urn == roles[0].urn), None)
        return text_of(named, "name", named.resource.name) if named else text_of(policy, "role", "-")

    rows = []
    for policy in of_types(seen, INLINE, *OTHER_IAM):
        for each in _statements(policy, "policy"):
            actions, resources = _either(each, "Action"), _either(each, "Resource")
            rows.append(
                (
                    holder(policy),
                    policy.resource.name,
                    str(each.get("Effect", "")),
                    actions,
                    resources,
                    _condition(each),
                    _remark(actions, resources),
                )
            )
    rows += [
        (holder(each), text_of(each, "policyArn"), "Allow", "as AWS has written the policy", "", "", "managed by AWS")
        for each in of_types(seen, ATTACHED)
    ]
    return Table(
        name="access-aws-permissions",
        title="AWS: what the roles may do",
        columns=("role", "policy", "effect", "actions", "resources", "condition", "remark"),
        rows=sorted(rows),
        empty="The record has no policy of IAM.",
    )


def _resource_policies(seen: Sequence[Seen]) -> Table:
    others = [each for each in seen if each.resource.type.startswith("aws:") and not each.resource.type.startswith("aws:iam/")]
    rows = [
        (
            each.resource.name,
            short_type(each.resource.type),
            str(statement.get("Effect", "")),
            _either(statement, "Principal"),
            _either(statement, "Action"),
            _either(statement, "Resource"),
            _condition(statement),
        )
        for each in sorted(others, key=lambda each: each.resource.urn)
        for name in DOCUMENTS
        if name in each.inputs
        for statement in _statements(each, name)
    ]
    return Table(
        name="access-aws-resource-policies",
        title="AWS: policies on resources",
        columns=("resource", "type", "effect", "principal", "actions", "resources", "condition"),
        rows=rows,
        empty="The record has no policy on a resource.",
    )


def _cluster_entries(seen: Sequence[Seen]) -> Table:
    policies = [
        (text_of(each, "principalArn"), text_of(each, "policyArn"), text_of(each, "accessScope"))
        for each in of_types(seen, ENTRY_POLICY)
    ]
    rows = []
    for entry in of_types(seen, ENTRY):
        principal = text_of(entry, "principalArn")
        granted = [(policy, scope) for named, policy, scope in policies if named == principal] or [("", "")]
        rows += [(principal, text_of(entry, "kubernetesGroups"), *each) for each in granted]
    return Table(
        name="access-cluster-entries",
        title="EKS: who may enter the cluster from AWS",
        columns=("principal", "groups", "policy", "scope"),
        rows=rows,
        empty="The record has no access entry of EKS.",
    )


def _statements(holder: Seen, name: str) -> Iterator[Mapping[str, Any]]:
    """The statements of a policy document; where it is not known yet, one that says so and what it is going to be made of."""
    value = value_of(holder, name)
    document = document_of(value)
    if document is None:
        if value is not None:
            sources = {urn.rpartition("::")[2] for urn in holder.resource.property_dependencies.get(name, ())}
            made_of = f"made of {', '.join(sorted(sources))}" if sources else ""
            yield {"Effect": "", "Action": UNREADABLE if isinstance(value, str) else words(value), "Resource": made_of}
        return
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        if isinstance(statement, dict) and "Effect" in statement:  # what has none grants nothing: another kind of policy
            yield statement


def _either(statement: Mapping[str, Any], name: str) -> str:
    """``Action``, or ``NotAction`` with words that say so."""
    if name in statement:
        return _listed(statement[name])
    return f"all but {_listed(statement[f'Not{name}'])}" if f"Not{name}" in statement else ""


def _listed(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{kind}: {_listed(named)}" for kind, named in sorted(value.items()))
    return ", ".join(sorted(map(str, value))) if isinstance(value, list) else str(value)


def _condition(statement: Mapping[str, Any]) -> str:
    return compact(statement["Condition"]) if statement.get("Condition") else ""


def _remark(actions: str, resources: str) -> str:
    """What a reviewer should look at."""
    said = []
    if actions == "*" or any(action.endswith(":*") for action in _split(actions)):
        said.append("every action of a service")
    if "*" in _split(resources):
        said.append("every resource")
    return ", ".join(said)


def _split(listed: str) -> Iterable[str]:
    return listed.split(", ")
