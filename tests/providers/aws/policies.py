"""Policy documents as IAM reads them: well-formed, with a version and complete statements, within the limit of their kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from plugin.values import UNKNOWN, is_secret

from aws.sdk import Resource

if TYPE_CHECKING:
    from aws.checks import Failure

# Bytes without white space, as IAM and the services count them.
LIMITS: Mapping[str, int] = {
    "iam/policy:Policy": 6_144,
    "iam/rolePolicy:RolePolicy": 10_240,
    "iam/role:Role": 4_096,  # trust policies; 2,048 unless the account's quota is raised
    "s3/bucketPolicy:BucketPolicy": 20_480,
    "secretsmanager/secretPolicy:SecretPolicy": 20_480,
    "kms/key:Key": 32_768,
    "sns/topicPolicy:TopicPolicy": 30_720,
    "cloudwatch/logResourcePolicy:LogResourcePolicy": 5_120,
}
DEFAULT_LIMIT = 20_480
# Documents that are called policies and are none of IAM's.
OTHERS = frozenset(
    {
        "ecr/lifecyclePolicy:LifecyclePolicy",
        "dlm/lifecyclePolicy:LifecyclePolicy",
        "networkfirewall/firewallPolicy:FirewallPolicy",
        "cloudwatch/logAccountPolicy:LogAccountPolicy",
        "cloudwatch/logDataProtectionPolicy:LogDataProtectionPolicy",
        "autoscaling/policy:Policy",
        "appautoscaling/policy:Policy",
    }
)
PROPERTIES = ("policy", "assumeRolePolicy", "accessPolicy", "policyDocument")
VERSIONS = ("2012-10-17", "2008-10-17")


def failures(resource: Resource, given: Mapping[str, Any]) -> Iterator[Failure]:
    from aws.checks import Failure

    kind = resource.token.removeprefix("aws:")
    for name in PROPERTIES:
        value = given.get(name)
        value = value["value"] if is_secret(value) else value
        if isinstance(value, str) and value and UNKNOWN not in value:
            if kind in OTHERS:
                reason = None if _parsed(value) is not None else f'"{name}" contains an invalid JSON policy'
            else:
                reason = problem(value, LIMITS.get(kind, DEFAULT_LIMIT), trust=name == "assumeRolePolicy")
            if reason:
                yield Failure(property=name, reason=reason)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def problem(text: str, limit: int, *, trust: bool = False) -> str | None:
    """Why AWS would refuse the document, in its words."""
    document = _parsed(text)
    if not isinstance(document, dict):
        return "MalformedPolicyDocument: Syntax errors in policy: the document is no JSON object"
    if document.get("Version") not in VERSIONS:
        return f"MalformedPolicyDocument: Version must be {VERSIONS[0]}, and it is {document.get('Version')!r}"
    statements = document.get("Statement")
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements:
        return "MalformedPolicyDocument: Missing required field Statement"
    for number, statement in enumerate(statements):
        if reason := _statement(statement, trust=trust):
            return f"MalformedPolicyDocument: {reason} (Statement {number})"
    size = len(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())
    if size > limit:
        return f"LimitExceeded: Maximum policy size of {limit} bytes exceeded: it has {size}"
    return None


def _statement(statement: Any, *, trust: bool) -> str | None:
    if not isinstance(statement, dict):
        return "a statement must be an object"
    if statement.get("Effect") not in ("Allow", "Deny"):
        return "Missing required field Effect" if "Effect" not in statement else f"Invalid effect: {statement['Effect']}"
    if not statement.get("Action") and not statement.get("NotAction"):
        return "Policy statement must contain actions."
    for action in _listed(statement.get("Action") or statement.get("NotAction")):
        if action != "*" and ":" not in action:
            return "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
    if trust and "Resource" in statement:
        return "Has prohibited field Resource"
    if trust and not (statement.get("Principal") or statement.get("NotPrincipal")):
        return "Missing required field Principal"
    unknown = statement.keys() - {
        "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition",
    }  # fmt: skip
    return f"Syntax errors in policy: unknown field {sorted(unknown)[0]}" if unknown else None


def _listed(value: Any) -> list[str]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]
