"""What a policy of an identity grants: everything, whole services, more resources than it names, or the way to more rights.

Pure functions over statements. Which actions take no resource is in AWS' Service Authorization Reference; the table here holds
those of the services that a stack like this one meets, as far as they read or are harmless. An action that is not in it can be
scoped, or is rare enough to be argued for in a waiver.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from policies.policy_documents import OWN, Condition, Statement, matches

# Of many services each an action that does harm: what covers them all covers everything, however it is spelt.
_ANY_ACTION: Final = (
    *("acm:DeleteCertificate", "athena:StartQueryExecution", "autoscaling:DeleteAutoScalingGroup", "backup:DeleteBackupVault"),
    *("cloudfront:DeleteDistribution", "dynamodb:DeleteTable", "ec2:TerminateInstances", "ecs:StopTask", "eks:DeleteCluster"),
    *("glue:DeleteJob", "kms:ScheduleKeyDeletion", "lambda:InvokeFunction", "logs:DeleteLogGroup", "memorydb:DeleteCluster"),
    *("rds:DeleteDBInstance", "route53:DeleteHostedZone", "s3:DeleteBucket", "secretsmanager:GetSecretValue"),
    *("sns:DeleteTopic", "sqs:PurgeQueue", "ssm:SendCommand", "xray:PutTraceSegments"),
)
_ANY_RESOURCE: Final = (
    "arn:aws:s3:::q7-some-bucket/k",
    "arn:aws:ec2:eu-west-3:210987654321:instance/i-0f9e8d7c6b5a49382",
    "arn:aws:secretsmanager:us-east-1:210987654321:secret:q7/some-Zx9Yw8",
    "arn:aws:kms:ap-south-1:210987654321:key/9f3c2b1a-7d6e-4c5b-8a90-1f2e3d4c5b6a",
)
_FEWEST_LITERALS: Final = 3  # characters: `s3:Get*` names a kind of access, `s3:*t` does not

# Policies of AWS' own, by the name after `:policy/`.
EVERYTHING_MANAGED: Final = frozenset({"AdministratorAccess", "PowerUserAccess"})
ESCALATING_MANAGED: Final = frozenset({"AdministratorAccess", "IAMFullAccess"})
_WHOLE_MANAGED: Final = re.compile(r"AdministratorAccess.*|PowerUserAccess|.*FullAccess(?:_?[vV]?\d+)?")
_MANAGED: Final = re.compile(r"arn:[a-z-]+:iam::aws:policy/(?:.*/)?(?P<name>[^/]+)")

# Service Authorization Reference, "Actions": those without a resource type.
_UNSCOPED: Final = (
    *("acm:ListCertificates", "application-autoscaling:Describe*", "autoscaling:Describe*"),
    *("cloudtrail:DescribeTrails", "cloudtrail:ListTrails", "cloudtrail:LookupEvents"),
    *("cloudwatch:DescribeAlarmsForMetric", "cloudwatch:DescribeAnomalyDetectors", "cloudwatch:GetMetricData"),
    *("cloudwatch:GetMetricStatistics", "cloudwatch:GetMetricWidgetImage", "cloudwatch:ListDashboards"),
    *("cloudwatch:ListMetrics", "cloudwatch:PutMetricData"),
    *("ec2:Describe*", "ec2:GetEbsDefaultKmsKeyId", "ec2:GetEbsEncryptionByDefault", "ec2:GetSpotPlacementScores"),
    *("ec2:GetInstanceTypesFromInstanceRequirements", "ec2messages:*Message*", "ec2messages:GetEndpoint"),
    *("ecr:DescribeRegistry", "ecr:GetAuthorizationToken", "ecr:GetRegistryPolicy"),
    *("ecs:DescribeTaskDefinition", "ecs:DiscoverPollEndpoint", "ecs:ListClusters", "ecs:ListServices"),
    *("ecs:ListTaskDefinitionFamilies", "ecs:ListTaskDefinitions"),
    *("eks:DescribeAddonConfiguration", "eks:DescribeAddonVersions", "eks:DescribeClusterVersions", "eks:ListClusters"),
    *("elasticloadbalancing:Describe*", "events:ListEventBuses", "events:ListRules", "iam:GetAccountSummary"),
    *("kms:GenerateRandom", "kms:ListAliases", "kms:ListKeys", "lambda:GetAccountSettings", "lambda:ListFunctions"),
    *("logs:DescribeDestinations", "logs:DescribeExportTasks", "logs:DescribeLogGroups", "logs:DescribeQueries"),
    *("logs:DescribeQueryDefinitions", "logs:DescribeResourcePolicies", "logs:ListLogDeliveries", "logs:ListLogGroups"),
    *("memorydb:DescribeEngineVersions", "memorydb:DescribeEvents", "pricing:DescribeServices", "pricing:GetAttributeValues"),
    *("pricing:GetProducts", "route53:ListHostedZones", "route53:ListHostedZonesByName", "s3:ListAllMyBuckets"),
    *("secretsmanager:GetRandomPassword", "secretsmanager:ListSecrets", "servicediscovery:ListNamespaces"),
    *("servicediscovery:ListServices", "servicequotas:ListServiceQuotas", "sns:ListSubscriptions", "sns:ListTopics"),
    *("sqs:ListQueues", "ssm:DescribeInstanceInformation", "ssm:DescribeParameters", "ssmmessages:CreateControlChannel"),
    *("ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"),
    *("sts:GetCallerIdentity", "sts:GetServiceBearerToken", "tag:GetResources", "tag:GetTagKeys", "tag:GetTagValues"),
    *("wafv2:ListWebACLs", "xray:GetSampling*", "xray:PutTelemetryRecords", "xray:PutTraceSegments", "xray:PutSpans"),
)
# In the ARNs of these the first part of the resource is a name and no type.
_UNTYPED: Final = frozenset({"s3", "sns", "sqs", "execute-api"})
_TYPE_WORDS: Final = frozenset({"app", "net", "gwy", "autoScalingGroupName", "log-stream", "policyName", "object"})
_ARN_PARTS: Final = 6
# Conditions that say which resources are meant where their ARNs are not known beforehand.
_NAMES_RESOURCES: Final = re.compile(r"[a-z0-9-]+:(?:resourcetag|requesttag)/.+|ecs:cluster|ec2:vpc|cloudwatch:namespace")

# Whoever may do one of these gives themselves more rights, whatever it is done to.
_ESCALATING: Final = (
    *("iam:AddClientIDToOpenIDConnectProvider", "iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:AttachRolePolicy"),
    *("iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:CreateOpenIDConnectProvider"),
    *("iam:CreatePolicyVersion", "iam:CreateSAMLProvider", "iam:CreateServiceSpecificCredential", "iam:DeactivateMFADevice"),
    *("iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary", "iam:PutGroupPolicy"),
    *("iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:PutUserPermissionsBoundary", "iam:PutUserPolicy"),
    *("iam:ResetServiceSpecificCredential", "iam:SetDefaultPolicyVersion", "iam:UpdateAssumeRolePolicy"),
    *("iam:UpdateLoginProfile", "iam:UpdateOpenIDConnectProviderThumbprint", "iam:UpdateSAMLProvider"),
    *("eks:AssociateAccessPolicy", "eks:CreateAccessEntry", "eks:UpdateAccessEntry", "kms:PutKeyPolicy"),
    *("sso:AttachManagedPolicyToPermissionSet", "sso:CreateAccountAssignment", "sso:PutInlinePolicyToPermissionSet"),
    "sts:AssumeRoot",
)
# And of these, to every role, function or machine there is.
_ESCALATING_ANYWHERE: Final = (
    *("iam:PassRole", "sts:AssumeRole", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration"),
    *("ssm:SendCommand", "ssm:StartSession", "ecs:ExecuteCommand", "ec2-instance-connect:SendSSHPublicKey"),
    *("cloudformation:UpdateStack", "glue:UpdateDevEndpoint", "codebuild:StartBuild"),
)


def managed_name(arn: str) -> str | None:
    """Of a policy of AWS' own; None for one of an account's."""
    match = _MANAGED.fullmatch(arn)
    return match["name"] if match else None


def is_whole(managed: str) -> bool:
    """Does AWS' policy of this name allow every action of a service?"""
    return _WHOLE_MANAGED.fullmatch(managed) is not None


def grants_everything(statements: Sequence[Statement]) -> list[Statement]:
    """The statements that, one by one or together, allow every action on every resource."""
    alone = [
        each for each in statements if each.allows and _on_everything(each) and (_does_everything([each]) or each.not_actions)
    ]
    if alone:
        return alone
    wide = [each for each in statements if each.allows and _on_everything(each)]
    return wide if _does_everything(wide) else []


def _does_everything(statements: Sequence[Statement]) -> bool:
    return all(any(statement.covers(action) for statement in statements) for action in _ANY_ACTION)


def _on_everything(statement: Statement) -> bool:
    return bool(statement.not_resources) or all(
        any(matches(pattern, resource) for pattern in statement.resources) for resource in _ANY_RESOURCE
    )


def whole_services(statement: Statement) -> list[str]:
    """The actions that name no kind of access: ``s3:*``, ``*``, ``s3:*t``, ``?3:GetObject``."""
    return [action for action in statement.actions if _is_whole_service(action)]


def _is_whole_service(action: str) -> bool:
    service, colon, name = action.partition(":")
    if "*" in service or "?" in service:
        return True
    return bool(colon) and _is_wild(name) and len(name.replace("*", "").replace("?", "")) < _FEWEST_LITERALS


def _is_wild(text: str) -> bool:
    return "*" in text or "?" in text


def unbounded(statement: Statement) -> list[str]:
    """The resources of an allowing statement that are no particular ones, less what its conditions narrow down."""
    if any(_names_resources(condition) for condition in statement.conditions):
        return []
    return [resource for resource in statement.resources if is_unbounded(resource)] or (
        ["NotResource"] if statement.not_resources else []
    )


def _names_resources(condition: Condition) -> bool:
    named = all(value.strip("*?") for value in condition.values)
    return condition.demands and named and _NAMES_RESOURCES.fullmatch(condition.key) is not None


def is_unbounded(resource: str) -> bool:
    """``*``, and an ARN that names a type at most: ``arn:aws:s3:::*``, ``arn:aws:iam::123456789012:role/*``."""
    if resource == OWN or not _is_wild(resource):
        return False
    parts = resource.split(":", _ARN_PARTS - 1)
    if len(parts) < _ARN_PARTS or _is_wild(parts[2]):
        return True
    names = re.split("[/:]", parts[-1])
    names = names[1:] if parts[2] not in _UNTYPED and len(names) > 1 else names[:1]
    return all(not name.strip("*?") or name in _TYPE_WORDS for name in names)


def scopable(statement: Statement) -> Iterator[str]:
    """The actions of the statement that could name their resources."""
    for action in statement.actions:
        if not any(matches(pattern, action, ignore_case=True) for pattern in _UNSCOPED):
            yield action


def escalations(statements: Sequence[Statement]) -> Iterator[tuple[Statement, str]]:
    """Each allowing statement with an action by which its holder comes to more rights, unless another one denies it."""
    for statement in statements:
        if not statement.allows:
            continue
        wide = bool(unbounded(statement))
        for action in (*_ESCALATING, *(_ESCALATING_ANYWHERE if wide else ())):
            if statement.covers(action) and not _within_boundary(statement) and not _denied(statements, action):
                yield statement, action


def _within_boundary(statement: Statement) -> bool:
    """A permissions boundary that whoever gets the rights must have (IAM's way of delegating)."""
    return any(
        condition.demands and not any(map(_is_wild, condition.values))
        for condition in statement.under("iam:PermissionsBoundary")
    )


def _denied(statements: Sequence[Statement], action: str) -> bool:
    return any(each.denies and not each.conditions and each.covers(action) and "*" in each.resources for each in statements)
