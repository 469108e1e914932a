"""Identities of AWS, what they may do, who may take them, and what resources allow by themselves."""

from __future__ import annotations

import json
from typing import Any

from cases.theme import Bad, Cases, Good, Theme

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
PODS = "pods.eks.amazonaws.com"
PROVIDER = "oidc.eks.eu-central-1.amazonaws.com/id/0A1B"
SUBJECT, AUDIENCE = f"{PROVIDER}:sub", f"{PROVIDER}:aud"
EVERYBODY_ELSE = {"NotPrincipal": {"AWS": ROOT}}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def identity(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"policy": document(*statements)}


def trust(principal: Any, **more: Any) -> dict[str, Any]:
    return {"assumeRolePolicy": document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **more})}


def federated(**conditions: Any) -> dict[str, Any]:
    return trust({"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"}, Condition=conditions)


def resource_policy(**statement: Any) -> dict[str, Any]:
    return {"policy": document({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", **statement})}


POLICY, ATTACHMENT = "aws:iam/rolePolicy:RolePolicy", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
AWS_POLICY = "arn:aws:iam::aws:policy/"

_GOOD = {
    "worker-role": Good(
        type="aws:iam/role:Role",
        properties=trust({"Service": [PODS]})
        | {"name": "assistant-prod-pod-worker", "managedPolicyArns": [], "inlinePolicies": []},
    ),
    "worker-policy": Good(
        type=POLICY,
        properties={
            "role": "assistant-prod-pod-worker",
            "policy": document(
                allow(
                    ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
                    [f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:assistant/prod/api_key-a1B2c3"],
                ),
                allow(["ec2:DescribeTags", "logs:DescribeLogGroups"]),
            ),
        },
        refers={"role": ("worker-role",)},
    ),
    "network-role": Good(type="aws:iam/role:Role", properties=trust({"Service": PODS}) | {"name": "assistant-prod-vpc-cni"}),
    "network-attachment": Good(
        type=ATTACHMENT, properties={"policyArn": f"{AWS_POLICY}AmazonEKS_CNI_Policy", "role": "assistant-prod-vpc-cni"}
    ),
    "worker": Good(
        type="aws:eks/podIdentityAssociation:PodIdentityAssociation",
        properties={"roleArn": f"arn:aws:iam::{ACCOUNT}:role/assistant-prod-pod-worker", "serviceAccount": "worker"},
        refers={"roleArn": ("worker-role",)},
    ),
    "gateway": Good(
        type="aws:eks/podIdentityAssociation:PodIdentityAssociation",
        properties={"roleArn": f"arn:aws:iam::{ACCOUNT}:role/assistant-prod-pod-gateway", "serviceAccount": "gateway"},
    ),
    "bucket-policy": Good(
        type="aws:s3/bucketPolicy:BucketPolicy",
        properties={
            "bucket": "b",
            "policy": document(
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "delivery.logs.amazonaws.com"},
                    "Action": "s3:PutObject",
                    "Resource": "arn:aws:s3:::b/*",
                },
            ),
        },
    ),
    "key": Good(
        type="aws:kms/key:Key",
        properties={
            "policy": document({"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}),
        },
    ),
    "permission": Good(
        type="aws:lambda/permission:Permission", properties={"principal": "s3.amazonaws.com", "action": "lambda:InvokeFunction"}
    ),
}

_CASES = {
    "R02": Cases(
        failing=(
            Bad("worker-policy", identity(allow("*")), "policy.Statement[0] allows every action on every resource"),
            Bad("worker-policy", identity(allow(["*"], ["*"])), "every action on every resource"),
            Bad("worker-policy", identity(allow("*:*")), "every action on every resource"),
            Bad("worker-policy", identity(allow("**", "**")), "every action on every resource"),
            Bad("worker-policy", identity(allow(["s3:GetObject", "?*"], "arn:*")), "every action on every resource"),
            Bad("worker-policy", identity(allow("*", "arn:aws:*:*:*:*")), "every action on every resource"),
            Bad("worker-policy", identity(allow([f"{letter}*" for letter in "abcdefghijklmnopqrstuvwxyz"])), "every action"),
            Bad(
                "worker-policy",
                identity(allow("*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})),
                "every action",
            ),
            Bad("worker-policy", identity({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b"}), "every action"),
            Bad("worker-policy", identity({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}), "everything but"),
            Bad(
                "worker-policy",
                identity(
                    allow([f"{letter}*" for letter in "abcdefghijkl"]), allow([f"{letter}*" for letter in "mnopqrstuvwxyz"])
                ),
                "together with others",
            ),
            Bad(
                "worker-policy", {"policy": {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}}, "every action"
            ),
            Bad("worker-role", {"inlinePolicies": [{"name": "all", "policy": document(allow("*"))}]}, "every action"),
            Bad("worker-role", {"managedPolicyArns": [f"{AWS_POLICY}AdministratorAccess"]}, "AdministratorAccess allows every"),
            Bad("network-attachment", {"policyArn": f"{AWS_POLICY}PowerUserAccess"}, "policyArn: AWS' policy PowerUserAccess"),
            Bad("network-attachment", {"policyArn": "arn:aws-cn:iam::aws:policy/AdministratorAccess"}, "AdministratorAccess"),
        ),
        unknown=("worker-policy", "policy"),
        malformed=("worker-policy", "policy"),
    ),
    "R03": Cases(
        failing=(
            Bad("worker-policy", identity(allow("s3:*", "arn:aws:s3:::b/*")), "allows s3:*: name the actions"),
            Bad("worker-policy", identity(allow("S3:**", "arn:aws:s3:::b/*")), "name the actions"),
            Bad("worker-policy", identity(allow("s3:?*", "arn:aws:s3:::b/*")), "name the actions"),
            Bad("worker-policy", identity(allow("s3:*t", "arn:aws:s3:::b/*")), "allows s3:*t: name the actions"),
            Bad("worker-policy", identity(allow("?3:GetObject", "arn:aws:s3:::b/*")), "name the actions"),
            Bad("worker-policy", identity(allow("*", "arn:aws:s3:::b/*")), "allows *: name the actions"),
            Bad("worker-policy", identity({"Effect": "Allow", "NotAction": "s3:*", "Resource": "arn:aws:s3:::b"}), "NotAction"),
            Bad("worker-policy", identity(allow("s3:GetObject")), "allows s3:GetObject on *: name the resources"),
            Bad("worker-policy", identity(allow("s3:GetObject", "arn:aws:s3:::*")), "on arn:aws:s3:::*"),
            Bad("worker-policy", identity(allow("s3:GetObject", "arn:aws:s3:::*/*")), "name the resources"),
            Bad("worker-policy", identity(allow("kms:Decrypt", f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/*")), "key/*"),
            Bad("worker-policy", identity(allow("logs:PutLogEvents", f"arn:aws:logs:*:{ACCOUNT}:log-group:*")), "log-group:*"),
            Bad(
                "worker-policy", identity(allow("logs:PutLogEvents", "arn:aws:logs:*:*:log-group:*:log-stream:*")), "log-stream"
            ),
            Bad("worker-policy", identity(allow("sqs:SendMessage", f"arn:aws:sqs:eu-central-1:{ACCOUNT}:*")), "sqs"),
            Bad("worker-policy", identity(allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/*")), "role/*"),
            Bad("worker-policy", identity(allow("s3:GetObject", "arn:aws:*:::b/k")), "name the resources"),
            Bad("worker-policy", identity(allow(["s3:GetObject"], ["arn:aws:s3:::b/*", "*"])), "on *"),
            Bad(
                "worker-policy",
                identity({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::b/*"}),
                "on ",
            ),
            Bad("worker-policy", identity(allow(["ec2:DescribeTags", "ec2:CreateTags"])), "allows ec2:CreateTags on *"),
            Bad(
                "worker-policy",
                identity(allow("autoscaling:SetDesiredCapacity", Condition={"StringLike": {"aws:ResourceTag/owner": "*"}})),
                "name the resources",
            ),
            Bad(
                "worker-policy",
                identity(allow("ec2:StopInstances", Condition={"StringEqualsIfExists": {"aws:ResourceTag/owner": "a"}})),
                "name the resources",
            ),
            Bad(
                "worker-policy",
                identity(allow("ec2:StopInstances", Condition={"StringEquals": {"aws:PrincipalTag/owner": "a"}})),
                "name the resources",
            ),
            Bad("network-attachment", {"policyArn": f"{AWS_POLICY}AmazonS3FullAccess"}, "AmazonS3FullAccess allows whole"),
            Bad("network-attachment", {"policyArn": f"{AWS_POLICY}AmazonElasticFileSystemFullAccess"}, "whole services"),
            Bad("worker-role", {"managedPolicyArns": [f"{AWS_POLICY}AmazonS3FullAccess"]}, "AmazonS3FullAccess"),
        ),
        unknown=("worker-policy", "policy"),
        malformed=("network-attachment", "policyArn"),
    ),
    "R10": Cases(
        failing=(
            Bad(
                "worker-policy",
                identity(allow("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/p")),
                "CreatePolicyVersion",
            ),
            Bad(
                "worker-policy", identity(allow("IAM:Attach*Policy", f"arn:aws:iam::{ACCOUNT}:role/r")), "iam:AttachRolePolicy"
            ),
            Bad("worker-policy", identity(allow("iam:*", f"arn:aws:iam::{ACCOUNT}:role/r")), "iam:UpdateAssumeRolePolicy"),
            Bad("worker-policy", identity(allow("iam:PassRole")), "policy.Statement[0] allows iam:PassRole"),
            Bad("worker-policy", identity(allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/*")), "iam:PassRole"),
            Bad(
                "worker-policy",
                identity(allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}})),
                "iam:PassRole",
            ),
            Bad("worker-policy", identity(allow("sts:AssumeRole")), "sts:AssumeRole"),
            Bad("worker-policy", identity(allow("sts:Assume*", f"arn:aws:iam::{ACCOUNT}:role/*")), "sts:AssumeRole"),
            Bad("worker-policy", identity(allow("ssm:SendCommand")), "ssm:SendCommand"),
            Bad("worker-policy", identity({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}), "iam:CreateAccessKey"),
            Bad(
                "worker-policy",
                identity(allow("eks:CreateAccessEntry", f"arn:aws:eks:r:{ACCOUNT}:cluster/c")),
                "eks:CreateAccess",
            ),
            Bad(
                "worker-policy",
                identity(
                    allow("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/r"),
                    {
                        "Effect": "Deny",
                        "Action": "iam:*",
                        "Resource": "*",
                        "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}},
                    },
                ),
                "iam:PutRolePolicy",
            ),
            Bad(
                "worker-policy",
                identity(
                    allow("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/r"),
                    {"Effect": "Deny", "Action": "iam:PutRolePolicy", "Resource": f"arn:aws:iam::{ACCOUNT}:role/other"},
                ),
                "iam:PutRolePolicy",
            ),
            Bad(
                "worker-policy",
                identity(
                    allow(
                        "iam:PutRolePolicy",
                        f"arn:aws:iam::{ACCOUNT}:role/r",
                        Condition={"StringLike": {"iam:PermissionsBoundary": "*"}},
                    )
                ),
                "iam:PutRolePolicy",
            ),
            Bad("network-attachment", {"policyArn": f"{AWS_POLICY}IAMFullAccess"}, "IAMFullAccess lets its holder come to any"),
            Bad("worker-role", {"inlinePolicies": [{"policy": document(allow("iam:PassRole"))}]}, "iam:PassRole"),
        ),
        unknown=("worker-policy", "policy"),
        malformed=("worker-role", "inlinePolicies"),
    ),
    "R04": Cases(
        failing=(
            Bad("worker-role", trust("*"), "trusts *, which is no one in particular"),
            Bad("worker-role", trust({"AWS": ["*"]}), "no one in particular"),
            Bad("worker-role", trust({"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}), "no one in particular"),
            Bad("worker-role", trust({"AWS": ROOT}), "everybody whom that account allows"),
            Bad("worker-role", trust({"AWS": ACCOUNT}), "everybody whom that account allows"),
            Bad(
                "worker-role",
                trust({"Service": [PODS, "ec2.amazonaws.com"]}),
                "trusts 2 principals (pods.eks.amazonaws.com, ec2",
            ),
            Bad("worker-role", trust({"Service": PODS, "AWS": f"arn:aws:iam::{ACCOUNT}:role/x"}), "trusts 2 principals"),
            Bad(
                "worker-role",
                {
                    "assumeRolePolicy": document(
                        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": PODS}},
                        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}},
                    )
                },
                "trusts 2 principals",
            ),
            Bad(
                "worker-role",
                {"assumeRolePolicy": document({"Effect": "Allow", "Action": "sts:AssumeRole", **EVERYBODY_ELSE})},
                "everybody but those of NotPrincipal",
            ),
            Bad("worker-role", federated(StringEquals={AUDIENCE: "sts.amazonaws.com"}), "names nobody by its sub"),
            Bad(
                "worker-role",
                federated(StringLike={SUBJECT: "system:serviceaccount:*:*"}, StringEquals={AUDIENCE: "sts.amazonaws.com"}),
                "name one service account",
            ),
            Bad(
                "worker-role",
                federated(
                    StringEquals={
                        SUBJECT: ["system:serviceaccount:a:b", "system:serviceaccount:a:c"],
                        AUDIENCE: "sts.amazonaws.com",
                    }
                ),
                "name one service account",
            ),
            Bad(
                "worker-role",
                federated(StringEqualsIfExists={SUBJECT: "system:serviceaccount:a:b", AUDIENCE: "sts.amazonaws.com"}),
                "names nobody by its sub",
            ),
            Bad("worker-role", federated(StringEquals={SUBJECT: "system:serviceaccount:a:b"}), "for any aud"),
            Bad(
                "gateway",
                {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/assistant-prod-pod-worker"},
                "roleArn is also the role of worker",
            ),
        ),
        unknown=("worker-role", "assumeRolePolicy"),
        malformed=("worker-role", "assumeRolePolicy"),
    ),
    "R18": Cases(
        failing=(
            Bad("bucket-policy", resource_policy(Principal="*"), "policy.Statement[0] allows Principal *"),
            Bad("bucket-policy", resource_policy(Principal={"AWS": "*"}), "allows Principal *"),
            Bad("bucket-policy", resource_policy(Principal={"AWS": [ROOT, "*"]}), "allows Principal *"),
            Bad("bucket-policy", resource_policy(Principal={"AWS": "arn:aws:iam::*:root"}), "allows Principal *"),
            Bad("bucket-policy", resource_policy(**EVERYBODY_ELSE), "everybody but those of NotPrincipal"),
            Bad("bucket-policy", resource_policy(Principal="*", Condition={"Bool": {"aws:SecureTransport": "true"}}), "who"),
            *(
                Bad("bucket-policy", resource_policy(Principal="*", Condition=condition), "without a condition that says who")
                for condition in (
                    {"StringNotEquals": {"aws:SourceAccount": ACCOUNT}},
                    {"StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT}},
                    {"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-1"}},
                    {"StringLike": {"aws:SourceAccount": "*"}},
                    {"StringEquals": {"aws:SourceAccount": []}},
                    {"StringEquals": {"aws:UserAgent": "secret-agent"}},
                    {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}},
                    {"ArnLike": {"aws:SourceArn": ["arn:aws:sns:eu-central-1:123456789012:t", "*"]}},
                    {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:topic"}},
                    {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}},
                    {"IpAddress": {"aws:SourceIp": ["10.1.0.0/16", "128.0.0.0/1"]}},
                    {"IpAddress": {"aws:SourceIp": "12.0.0.0/7"}},
                    {"IpAddress": {"aws:SourceIp": "::/0"}},
                    {"IpAddress": {"aws:SourceIp": "2000::/31"}},
                    {"IpAddress": {"aws:SourceIp": "somewhere"}},
                    {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
                )
            ),
            Bad("key", {"policy": document(allow("kms:*", Principal={"AWS": "*"}))}, "allows Principal *"),
            Bad("worker-role", trust({"AWS": "*"}), "assumeRolePolicy.Statement[0] allows Principal *"),
            Bad("permission", {"principal": "*"}, "none of sourceArn, sourceAccount, principalOrgId"),
        ),
        unknown=("bucket-policy", "policy"),
        malformed=("bucket-policy", "policy"),
    ),
}

THEME = Theme(good=_GOOD, cases=_CASES)
