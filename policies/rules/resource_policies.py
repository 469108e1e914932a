"""Policies of resources: nobody in particular gets at them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import partial
from typing import Final

from policies.policy_documents import OWN, Condition, Statement, document, is_unknown, read
from policies.resource import NotKnown, Resource, Stack
from policies.rule import PASS, Check, Finding, Relation, Rule, Severity, Verdict, fail, found
from policies.rules import links

# By type, the property that the document stands in. An endpoint of a network is missing: its policy narrows what others allow.
DOCUMENTS: Final = {
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:s3/bucket:Bucket": "policy",
    "aws:s3/bucketV2:BucketV2": "policy",
    "aws:s3/accessPoint:AccessPoint": "policy",
    "aws:s3control/accessPointPolicy:AccessPointPolicy": "policy",
    "aws:kms/key:Key": "policy",
    "aws:kms/keyPolicy:KeyPolicy": "policy",
    "aws:kms/externalKey:ExternalKey": "policy",
    "aws:kms/replicaKey:ReplicaKey": "policy",
    "aws:secretsmanager/secret:Secret": "policy",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",
    "aws:sns/topic:Topic": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sqs/queue:Queue": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
    "aws:ecr/registryPolicy:RegistryPolicy": "policy",
    "aws:backup/vaultPolicy:VaultPolicy": "policy",
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": "policyDocument",
    "aws:cloudwatch/logDestinationPolicy:LogDestinationPolicy": "accessPolicy",
    "aws:cloudwatch/eventBusPolicy:EventBusPolicy": "policy",
    "aws:dynamodb/resourcePolicy:ResourcePolicy": "policy",
    "aws:efs/fileSystemPolicy:FileSystemPolicy": "policy",
    "aws:elasticsearch/domainPolicy:DomainPolicy": "accessPolicies",
    "aws:glacier/vault:Vault": "accessPolicy",
    "aws:glue/resourcePolicy:ResourcePolicy": "policy",
    "aws:iam/role:Role": "assumeRolePolicy",
    "aws:kinesis/resourcePolicy:ResourcePolicy": "policy",
    "aws:apigateway/restApiPolicy:RestApiPolicy": "policy",
    "aws:apigateway/restApi:RestApi": "policy",
    "aws:opensearch/domainPolicy:DomainPolicy": "accessPolicies",
    "aws:ses/identityPolicy:IdentityPolicy": "policy",
}
# Where AWS fills the property in: what is not known there, and comes from nowhere, has not been given.
FILLED_IN: Final = frozenset(
    {
        "aws:s3/bucket:Bucket",
        "aws:s3/bucketV2:BucketV2",
        "aws:s3/accessPoint:AccessPoint",
        "aws:kms/key:Key",
        "aws:kms/externalKey:ExternalKey",
        "aws:kms/replicaKey:ReplicaKey",
        "aws:secretsmanager/secret:Secret",
        "aws:sns/topic:Topic",
        "aws:sqs/queue:Queue",
        "aws:apigateway/restApi:RestApi",
    }
)
PERMISSION: Final = "aws:lambda/permission:Permission"
# Of a permission of Lambda: what says on whose behalf a principal may call.
BOUNDS: Final = ("sourceArn", "sourceAccount", "principalOrgId")

# docs.aws.amazon.com/AmazonS3: "The meaning of public": a fixed value of one of these makes a policy not public.
_WHO: Final = frozenset(
    {
        *("aws:sourcearn", "aws:sourceaccount", "aws:sourceowner", "aws:sourceorgid", "aws:sourcevpc", "aws:sourcevpce"),
        *("aws:principalarn", "aws:principalaccount", "aws:principalorgid", "aws:principalorgpaths", "aws:userid"),
        *("kms:calleraccount", "s3:dataaccesspointaccount", "s3:dataaccesspointarn"),
    }
)
_NETWORKS: Final = frozenset({"aws:sourceip", "aws:vpcsourceip"})
_WIDEST: Final = {4: 8, 6: 32}  # bits of a network that still is somebody's
_ACCOUNT_IN_ARN: Final = re.compile(r"arn:[^:]*:[^:]*:[^:]*:\d{12}:.*")
_NAME_IN_ARN: Final = re.compile(r"arn:[^:]*:s3:::[A-Za-z0-9.-]{3,}.*")


def nobody_in_particular(statements: Sequence[Statement]) -> Verdict:
    reasons = [
        f"{statement.path} allows {_whom(statement)} without a condition that says who"
        for statement in statements
        if statement.allows and statement.names_everybody and not any(map(narrows, statement.conditions))
    ]
    return fail(*reasons) if reasons else PASS


def _whom(statement: Statement) -> str:
    return "everybody but those of NotPrincipal" if statement.not_principals else "Principal *"


def narrows(condition: Condition) -> bool:
    """Does the condition leave particular principals, accounts or networks of everybody?"""
    if not condition.demands or not condition.values:
        return False
    if condition.key in _NETWORKS:
        return all(map(_is_somebodys, condition.values))
    return condition.key in _WHO and all(map(_is_fixed, condition.values))


def _is_fixed(value: str) -> bool:
    """A value that others cannot have: no wildcard, or one behind an account or a bucket that is named."""
    if value == OWN or not ("*" in value or "?" in value):
        return True
    return bool(_ACCOUNT_IN_ARN.fullmatch(value) or _NAME_IN_ARN.fullmatch(value))


def _is_somebodys(network: str) -> bool:
    if network == OWN:
        return True
    try:
        read_as = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
    return read_as.prefixlen >= _WIDEST[read_as.version]


def _known(name: str, resource: Resource) -> Verdict:
    try:
        return nobody_in_particular(read(resource.view, name))
    except NotKnown:
        return PASS  # the relation says what there is to say


def permission(resource: Resource) -> Verdict:
    """Lambda writes the function's policy itself, of these."""
    view = resource.view
    if view.text("principal") != "*" or any(bound in view for bound in BOUNDS):
        return PASS
    return fail(f"principal is * and none of {', '.join(BOUNDS)} says on whose behalf")


def unknown_ones(stack: Stack) -> Sequence[Finding]:
    """What a first preview knows of policies whose text it does not: what their components declare."""
    return [
        found(resource, partial(_judged, stack, resource, name))
        for of, name in DOCUMENTS.items()
        for resource in stack.of_type(of)
        if is_unknown(resource, name) and not (of in FILLED_IN and not resource.property_dependencies.get(name))
    ]


def _judged(stack: Stack, resource: Resource, name: str) -> Verdict:
    return nobody_in_particular(document(stack, resource, name))


RULES: Final = (
    Rule(
        id="R18",
        name="no-public-resource-policy",
        title="No policy of a resource allows everybody",
        severity=Severity.CRITICAL,
        controls=("8.3", "5.15"),
        remedy="name the principal, or bound the statement by aws:SourceAccount, aws:SourceArn or aws:PrincipalOrgID",
        link=links.IAM_PRINCIPALS,
        checks=(
            *(Check(types=(of,), properties=(name,), judge=partial(_known, name)) for of, name in DOCUMENTS.items()),
            Check(types=(PERMISSION,), properties=("principal", *BOUNDS), judge=permission),
        ),
        relations=(Relation(reads={of: (name,) for of, name in DOCUMENTS.items()}, judge=unknown_ones),),
    ),
)
