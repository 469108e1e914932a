"""A small stack with something of everything, as a run of the pack would have recorded it, and what a repository says."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from policies.evaluation import WAIVERS, Result
from policies.evidence import applicability, bundle, repository
from policies.record import Record, Seen, marked
from policies.resource import Resource
from policies.rule import PASS, Check, Outcome, Rule, Severity
from policies.values import Secret
from policies.waivers import Register, Waiver

DAY = "2026-11-25"
CANARY = "canary-Zq8v3Lr0Tn5Xw2Kb"
HOSTILE = '<script>alert("1")</script>'
FORMULA = '=HYPERLINK("http://example.org")'

BUCKET, KEY, ROLE = "aws:s3/bucket:Bucket", "aws:kms/key:Key", "aws:iam/role:Role"


def urn(resource_type: str, name: str) -> str:
    return f"urn:pulumi:prod::assistant::{resource_type}::{name}"


def seen(
    resource_type: str,
    name: str,
    properties: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    edges: Mapping[str, tuple[str, ...]] | None = None,
    protected: bool = False,
) -> Seen:
    """``properties``: outputs, and inputs as well unless those are given. Values as in a record's JSON."""
    outputs = {key: marked(value) for key, value in (properties or {}).items()}
    given = outputs if inputs is None else {key: marked(value) for key, value in inputs.items()}
    resource = Resource(
        urn(resource_type, name), resource_type, name, outputs, property_dependencies=edges or {}, protected=protected
    )
    return Seen(resource, given)


def rule(number: str, *controls: str, severity: Severity = Severity.HIGH, types: tuple[str, ...] = (BUCKET,)) -> Rule:
    return Rule(
        id=number,
        name=f"rule-{number.lower()}",
        title=f"What {number} wants & needs",
        severity=severity,
        controls=controls,
        remedy="set <it>",
        link="https://example.org/rule",
        checks=(Check(types=types, judge=lambda _resource: PASS),),
    )


RULES = (
    rule("R17", "8.3", "5.15", severity=Severity.CRITICAL),
    rule("R39", "8.13"),
    rule("R40", "8.13", severity=Severity.MEDIUM),
    rule("R63", "8.24", types=(KEY,)),
    rule("R47", "8.15", severity=Severity.MEDIUM),
    rule("R68", "8.24", types=("aws:memorydb/cluster:Cluster",)),
    rule("R20", "8.5", types=("aws:ec2/launchTemplate:LaunchTemplate",)),
    WAIVERS,
)

WAIVER = Waiver(
    rule="R47",
    urn="*access-logs",
    stacks=("prod",),
    owner="platform-team",
    reason="the bucket that holds access logs cannot log to itself",
    ticket="OPS-123",
    expires=datetime.date(2027, 1, 4),
)

RESULTS = (
    Result("R17", urn(BUCKET, "models"), Outcome.PASS),
    Result("R17", urn(BUCKET, "access-logs"), Outcome.FAIL, ("blockPublicPolicy is off",)),
    Result("R39", urn(BUCKET, "models"), Outcome.UNDETERMINED, ("versioning is not known before the update",)),
    Result("R40", urn(BUCKET, "models"), Outcome.UNDETERMINED, ("days are not known before the update",)),
    Result("R63", urn(KEY, "data"), Outcome.PASS),
    Result("R47", urn(BUCKET, "models"), Outcome.PASS),
    Result("R47", urn(BUCKET, "access-logs"), Outcome.FAIL, ("it has no log of its own",), waiver="OPS-123"),
)

TRUST = '{"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": ["pods.eks.amazonaws.com"]}}]}'
GRANT = (
    '{"Statement": {"Effect": "Allow", "Action": ["s3:*", "kms:Decrypt"], "Resource": "*", "Condition": {"Bool": {"a": "b"}}}}'
)

RESOURCES = (
    seen("pulumi:pulumi:Stack", "assistant-prod"),
    seen("pulumi:providers:aws", "aws", {"version": "7.51.1"}),
    seen(
        KEY,
        "data",
        {"description": "models", "enableKeyRotation": True, "rotationPeriodInDays": 365, "deletionWindowInDays": 30},
        protected=True,
    ),
    seen(
        "aws:kms/alias:Alias",
        "data",
        {"name": "alias/data", "targetKeyId": {"$unknown": True}},
        edges={"targetKeyId": (urn(KEY, "data"),)},
    ),
    seen(BUCKET, "models", {"bucket": HOSTILE}),
    seen(BUCKET, "access-logs", {"bucket": FORMULA}),
    seen("aws:ecr/repository:Repository", "gateway", {"kmsKey": {"$unknown": True}}, edges={"kmsKey": (urn(KEY, "data"),)}),
    seen(ROLE, "worker", {"name": "assistant-worker", "assumeRolePolicy": TRUST, "description": FORMULA}),
    seen(
        "aws:iam/rolePolicy:RolePolicy",
        "worker",
        {"role": "assistant-worker", "policy": GRANT},
        edges={"role": (urn(ROLE, "worker"),)},
    ),
    seen(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "worker-managed",
        {"role": "assistant-worker", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
        edges={"role": (urn(ROLE, "worker"),)},
    ),
    seen("aws:iam/rolePolicy:RolePolicy", "later", {"role": "assistant-worker", "policy": {"$unknown": True}}),
    seen(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        "worker",
        {"namespace": "assistant", "serviceAccount": "worker", "roleArn": {"$unknown": True}},
        edges={"roleArn": (urn(ROLE, "worker"),)},
    ),
    seen("aws:sns/topicPolicy:TopicPolicy", "topic", {"policy": GRANT}),
    seen(
        "aws:acm/certificate:Certificate",
        "edge",
        {"domainName": "assistant.example.com", "validationMethod": "DNS", "notAfter": "2026-12-25T00:00:00Z"},
    ),
    seen(
        "aws:secretsmanager/secret:Secret",
        "api_key",
        {"name": "assistant/prod/api_key", "kmsKeyId": {"$unknown": True}, "tags": {"RotationByHand": "within 90 days"}},
        edges={"kmsKeyId": (urn(KEY, "data"),)},
    ),
    seen("pulumi-python:dynamic/aws:SecretValues", "values", {"numbers": {"api_key": 3}}),
    seen(
        "kubernetes:core/v1:Namespace",
        "ns",
        {"metadata": {"name": {"$unknown": True}}},
        inputs={"metadata": {"name": "assistant"}},
    ),
    seen(
        "kubernetes:core/v1:ServiceAccount",
        "worker",
        {"metadata": {"name": "worker", "namespace": {"$unknown": True}}, "automountServiceAccountToken": False},
        edges={"metadata": (urn("kubernetes:core/v1:Namespace", "ns"),)},
    ),
    seen(
        "kubernetes:rbac.authorization.k8s.io/v1:Role",
        "reader",
        {
            "metadata": {"name": "reader", "namespace": "assistant"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
        },
    ),
    seen(
        "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
        "reader",
        {
            "metadata": {"name": "reader", "namespace": "assistant"},
            "roleRef": {"kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "worker", "namespace": "assistant"}],
        },
    ),
    seen(
        "kubernetes:core/v1:Secret",
        "tls",
        {"metadata": {"name": "tls", "namespace": "assistant"}, "stringData": {"$secret": True}, "type": "kubernetes.io/tls"},
    ),
    seen(
        "kubernetes:apps/v1:Deployment",
        "worker",
        {"spec": {"template": {"spec": {"containers": [{"image": f"registry.example.org/worker:1@sha256:{'ab' * 32}"}]}}}},
    ),
    seen("docker-build:index:Image", "gateway-image", {"digest": {"$unknown": True}}, inputs={}),
    seen(
        "pulumi-python:dynamic/aws:PublishedModel",
        "model",
        {"modelName": "smol", "modelDigest": "cd" * 32, "recipeKey": "ef" * 32},
    ),
)


def secret_resources() -> tuple[Seen, ...]:
    """Resources with a secret wherever the bundle looks."""
    hidden = Secret(f"registry.example.org/{CANARY}@sha256:{'ab' * 32}")  # what is looked for everywhere
    places = {
        ROLE: ("name", "description", "assumeRolePolicy"),
        KEY: ("description",),
        "aws:iam/rolePolicy:RolePolicy": ("policy", "role"),
        "aws:secretsmanager/secret:Secret": ("name", "kmsKeyId"),
        "aws:acm/certificate:Certificate": ("domainName", "notAfter"),
        "kubernetes:core/v1:Secret": ("stringData", "data", "metadata"),
        "kubernetes:apps/v1:Deployment": ("spec",),
        "pulumi-python:dynamic/generated:Secrets": ("versions", "values"),
        "pulumi-python:dynamic/aws:PublishedModel": ("modelName",),
        "pulumi:providers:aws": ("version",),
    }
    made = []
    for resource_type, names in places.items():
        properties = dict.fromkeys(names, hidden)
        made.append(Seen(Resource(urn(resource_type, "hidden"), resource_type, "hidden", properties), properties))
    return tuple(made)


def record_of(resources: tuple[Seen, ...] = RESOURCES, results: tuple[Result, ...] = RESULTS, **changes: Any) -> Record:
    run = {"project": "assistant", "stack": "prod", "source": "preview", "day": DAY, "version": "0.1.0", "stand_ins": True}
    return Record(**{**run, "resources": resources, "results": results, **changes})


HISTORY = repository.Repository(
    commit="0123456789abcdef0123456789abcdef01234567",
    day=DAY,
    clean=True,
    shallow=False,
    since="v1.0",
    commits=(
        repository.Commit("a" * 40, DAY, "Ada", FORMULA, "Grace", ("app/gateway/routes.py", "policies/waivers.yaml")),
        repository.Commit("b" * 40, DAY, HOSTILE, "Say less", "", ("README.md",)),
    ),
    locks={"requirements/gateway.lock": "12" * 32},
    pins={"pulumi": "3.251.0"},
    base_image=f"debian:bookworm-slim@sha256:{'34' * 32}",
)


def assembled(
    record: Record | None = None, register: Register | None = None, history: repository.Repository = HISTORY
) -> dict[str, bytes]:
    return bundle.assemble(
        record or record_of(), RULES, register or Register((WAIVER,)), applicability.read(), history, "0" * 64
    )
