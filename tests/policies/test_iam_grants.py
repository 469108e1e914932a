"""The tables by which grants are judged: each entry by an example, written out here from AWS' references."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policies.iam_grants import escalations, grants_everything, is_unbounded, scopable
from policies.policy_documents import Statement, parse


def words(text: str) -> list[str]:
    return text.split()


# Of each service one action: whoever has all of them has everything.
SERVICES = words("""
    acm athena autoscaling backup cloudfront dynamodb ec2 ecs eks glue kms lambda logs memorydb rds route53 s3
    secretsmanager sns sqs ssm xray
""")
# Service Authorization Reference: actions without a resource type.
UNSCOPED = words("""
    acm:ListCertificates application-autoscaling:DescribeSomething autoscaling:DescribeSomething
    cloudtrail:DescribeTrails cloudtrail:ListTrails cloudtrail:LookupEvents cloudwatch:DescribeAlarmsForMetric
    cloudwatch:DescribeAnomalyDetectors cloudwatch:GetMetricData cloudwatch:GetMetricStatistics
    cloudwatch:GetMetricWidgetImage cloudwatch:ListDashboards cloudwatch:ListMetrics cloudwatch:PutMetricData
    ec2:DescribeSomething ec2:GetEbsDefaultKmsKeyId ec2:GetEbsEncryptionByDefault ec2:GetSpotPlacementScores
    ec2:GetInstanceTypesFromInstanceRequirements ec2messages:SendMessageFoo ec2messages:GetEndpoint ecr:DescribeRegistry
    ecr:GetAuthorizationToken ecr:GetRegistryPolicy ecs:DescribeTaskDefinition ecs:DiscoverPollEndpoint ecs:ListClusters
    ecs:ListServices ecs:ListTaskDefinitionFamilies ecs:ListTaskDefinitions eks:DescribeAddonConfiguration
    eks:DescribeAddonVersions eks:DescribeClusterVersions eks:ListClusters elasticloadbalancing:DescribeSomething
    events:ListEventBuses events:ListRules iam:GetAccountSummary kms:GenerateRandom kms:ListAliases kms:ListKeys
    lambda:GetAccountSettings lambda:ListFunctions logs:DescribeDestinations logs:DescribeExportTasks
    logs:DescribeLogGroups logs:DescribeQueries logs:DescribeQueryDefinitions logs:DescribeResourcePolicies
    logs:ListLogDeliveries logs:ListLogGroups memorydb:DescribeEngineVersions memorydb:DescribeEvents
    pricing:DescribeServices pricing:GetAttributeValues pricing:GetProducts route53:ListHostedZones
    route53:ListHostedZonesByName s3:ListAllMyBuckets secretsmanager:GetRandomPassword secretsmanager:ListSecrets
    servicediscovery:ListNamespaces servicediscovery:ListServices servicequotas:ListServiceQuotas sns:ListSubscriptions
    sns:ListTopics sqs:ListQueues ssm:DescribeInstanceInformation ssm:DescribeParameters
    ssmmessages:CreateControlChannel ssmmessages:CreateDataChannel ssmmessages:OpenControlChannel
    ssmmessages:OpenDataChannel sts:GetCallerIdentity sts:GetServiceBearerToken tag:GetResources tag:GetTagKeys
    tag:GetTagValues wafv2:ListWebACLs xray:GetSamplingRules xray:PutTelemetryRecords xray:PutTraceSegments
    xray:PutSpans
""")
ESCALATING = words("""
    iam:AddClientIDToOpenIDConnectProvider iam:AddUserToGroup iam:AttachGroupPolicy iam:AttachRolePolicy
    iam:AttachUserPolicy iam:CreateAccessKey iam:CreateLoginProfile iam:CreateOpenIDConnectProvider
    iam:CreatePolicyVersion iam:CreateSAMLProvider iam:CreateServiceSpecificCredential iam:DeactivateMFADevice
    iam:DeleteRolePermissionsBoundary iam:DeleteUserPermissionsBoundary iam:PutGroupPolicy
    iam:PutRolePermissionsBoundary iam:PutRolePolicy iam:PutUserPermissionsBoundary iam:PutUserPolicy
    iam:ResetServiceSpecificCredential iam:SetDefaultPolicyVersion iam:UpdateAssumeRolePolicy iam:UpdateLoginProfile
    iam:UpdateOpenIDConnectProviderThumbprint iam:UpdateSAMLProvider eks:AssociateAccessPolicy eks:CreateAccessEntry
    eks:UpdateAccessEntry kms:PutKeyPolicy sso:AttachManagedPolicyToPermissionSet sso:CreateAccountAssignment
    sso:PutInlinePolicyToPermissionSet sts:AssumeRoot
""")
ESCALATING_ANYWHERE = words("""
    iam:PassRole sts:AssumeRole lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration ssm:SendCommand
    ssm:StartSession ecs:ExecuteCommand ec2-instance-connect:SendSSHPublicKey cloudformation:UpdateStack
    glue:UpdateDevEndpoint codebuild:StartBuild
""")


def statement(**given: Any) -> Statement:
    (parsed,) = parse(json.dumps({"Statement": [{"Effect": "Allow", "Resource": "*", **given}]}), "policy")
    return parsed


@pytest.mark.parametrize("left_out", SERVICES)
def test_all_services_but_one_are_not_everything(left_out: str) -> None:
    some = [f"{service}:*" for service in SERVICES if service != left_out]
    assert grants_everything([statement(Action=some)]) == []
    assert grants_everything([statement(Action=[*some, f"{left_out}:*"])])


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:s3:::*",
        "arn:aws:ec2:*:*:instance/*",
        "arn:aws:secretsmanager:*:*:secret:*",
        "arn:aws:kms:*:*:key/*",
    ],
)
def test_all_of_three_kinds_are_not_every_resource(resource: str) -> None:
    kinds = ["arn:aws:s3:::*", "arn:aws:ec2:*:*:instance/*", "arn:aws:secretsmanager:*:*:secret:*", "arn:aws:kms:*:*:key/*"]
    assert grants_everything([statement(Action="*", Resource=kinds)])
    assert grants_everything([statement(Action="*", Resource=[kind for kind in kinds if kind != resource])]) == []


def test_everything_but_something_is_as_good_as_everything() -> None:
    assert grants_everything([statement(NotAction="iam:*")])


@pytest.mark.parametrize("action", UNSCOPED)
def test_an_action_without_resources_cannot_be_scoped(action: str) -> None:
    assert list(scopable(statement(Action=action))) == []
    assert list(scopable(statement(Action=action.swapcase()))) == []


@pytest.mark.parametrize(
    "action", ["s3:GetObject", "ec2:RunInstances", "ecr:BatchGetImage", "kms:Decrypt", "logs:PutLogEvents"]
)
def test_an_action_with_resources_can(action: str) -> None:
    assert list(scopable(statement(Action=action))) == [action]


@pytest.mark.parametrize("action", ESCALATING)
def test_what_leads_to_more_rights_does_so_on_whatever_it_is_done(action: str) -> None:
    own = statement(Action=action, Resource="arn:aws:iam::123456789012:role/one")
    assert [found for _statement, found in escalations([own])] == [action]


@pytest.mark.parametrize("action", ESCALATING_ANYWHERE)
def test_what_leads_there_through_others_does_so_where_it_is_unbounded(action: str) -> None:
    assert [found for _statement, found in escalations([statement(Action=action)])] == [action]
    one = statement(Action=action, Resource="arn:aws:iam::123456789012:role/one")
    assert list(escalations([one])) == []


@pytest.mark.parametrize(
    ("denied", "found"),
    [
        ({"Action": "iam:PutRolePolicy"}, []),
        ({"Action": "iam:*"}, []),
        ({"Action": "iam:PutUserPolicy"}, ["iam:PutRolePolicy"]),
        ({"Action": "iam:PutRolePolicy", "Resource": "arn:aws:iam::123456789012:role/one"}, ["iam:PutRolePolicy"]),
        (
            {"Action": "iam:PutRolePolicy", "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}},
            ["iam:PutRolePolicy"],
        ),
    ],
)
def test_what_is_denied_everywhere_leads_nowhere(denied: dict[str, Any], found: list[str]) -> None:
    deny = statement(**{"Effect": "Deny", **denied})
    allow = statement(Action="iam:PutRolePolicy")
    assert [action for _statement, action in escalations([deny, allow])] == found


def test_an_earlier_statement_that_does_not_allow_hides_no_later_one() -> None:
    deny = statement(Effect="Deny", Action="s3:*")
    assert [action for _statement, action in escalations([deny, statement(Action="iam:CreateAccessKey")])]


@pytest.mark.parametrize("word", ["app", "net", "gwy"])
def test_the_word_for_a_kind_of_balancer_is_no_name(word: str) -> None:
    assert is_unbounded(f"arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/{word}/*")
    assert not is_unbounded(f"arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/{word}/mine/*")


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/*",
        "arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:*:autoScalingGroupName/*:policyName/*",
        "arn:aws:logs:eu-west-1:123456789012:log-group:*:log-stream:*",
    ],
)
def test_the_words_between_wildcards_are_no_names_either(arn: str) -> None:
    assert is_unbounded(arn)
