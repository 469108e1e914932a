"""botocore's model of a service: which operation makes a resource, and which of its members a property is.

Found by convention, so that a resource nobody has thought of is checked too; what has no operation or no member by that
convention is told by ``coverage``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# SDK modules that are not called as botocore's services are; several where a module holds more than one service.
SERVICES: Mapping[str, tuple[str, ...]] = {
    "alb": ("elbv2",),
    "appautoscaling": ("application-autoscaling",),
    "cfg": ("config",),
    "cloudwatch": ("cloudwatch", "logs", "events"),
    "cognito": ("cognito-idp",),
    "ebs": ("ec2",),
    "ec2clientvpn": ("ec2",),
    "ec2transitgateway": ("ec2",),
    "elasticsearch": ("es",),
    "lb": ("elbv2",),
    "msk": ("kafka",),
    "sfn": ("stepfunctions",),
    "vpc": ("ec2",),
}
# Operations that are called neither after their resource nor after "what is done" + resource.
OPERATIONS: Mapping[tuple[str, str], str] = {
    ("application-autoscaling", "Policy"): "PutScalingPolicy",
    ("application-autoscaling", "Target"): "RegisterScalableTarget",
    ("ec2", "Eip"): "AllocateAddress",
    ("ec2", "FlowLog"): "CreateFlowLogs",
    ("ec2", "SecurityGroupEgressRule"): "AuthorizeSecurityGroupEgress",
    ("ec2", "SecurityGroupIngressRule"): "AuthorizeSecurityGroupIngress",
    ("elbv2", "ListenerRule"): "CreateRule",
    ("logs", "LogResourcePolicy"): "PutResourcePolicy",
    ("logs", "LogSubscriptionFilter"): "PutSubscriptionFilter",
    ("logs", "LogMetricFilter"): "PutMetricFilter",
    ("events", "EventTarget"): "PutTargets",
    ("events", "EventRule"): "PutRule",
    ("iam", "RolePolicyAttachment"): "AttachRolePolicy",
    ("route53", "Record"): "ChangeResourceRecordSets",
    ("s3", "BucketServerSideEncryptionConfiguration"): "PutBucketEncryption",
    ("s3", "BucketObjectLockConfiguration"): "PutObjectLockConfiguration",
    ("s3", "BucketPublicAccessBlock"): "PutPublicAccessBlock",
    ("secretsmanager", "SecretVersion"): "PutSecretValue",
    ("secretsmanager", "SecretRotation"): "RotateSecret",
    ("sns", "TopicPolicy"): "SetTopicAttributes",
    ("sns", "TopicSubscription"): "Subscribe",
    ("wafv2", "WebAclLoggingConfiguration"): "PutLoggingConfiguration",
    ("wafv2", "WebAclAssociation"): "AssociateWebACL",
}
_CREATE_VERBS = (
    "Create", "Request", "Register", "Run", "Allocate", "Import", "Schedule", "Start", "Put", "Set", "Enable", "Associate",
    "Attach", "Add",
)  # fmt: skip
_CHANGE_VERBS = ("Update", "Modify", "Put", "Set", "Associate", "Change", "Attach", "Enable", "Rotate", "Tag", "Reset")


@dataclass(frozen=True, kw_only=True)
class Operation:
    service: str  # botocore's name
    service_id: str  # as the SDK for Go words it: "EKS", "Elastic Load Balancing v2"
    name: str
    shapes: Mapping[str, Any]
    request: str  # name of a shape
    response: str | None

    def members(self, shape: str | None) -> Mapping[str, Any]:
        return self.shapes[shape].get("members", {}) if shape else {}

    @property
    def creates(self) -> bool:
        """Not one of the operations that may be repeated on what is there already (Put, Attach, …)."""
        return self.name.startswith(("Create", "Run"))


def loose(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@lru_cache(maxsize=1)
def _loader() -> Any:
    from botocore.loaders import Loader

    return Loader()


@lru_cache(maxsize=1)
def _service_names() -> frozenset[str]:
    return frozenset(_loader().list_available_services("service-2"))


@lru_cache(maxsize=32)
def _model(service: str) -> Mapping[str, Any]:
    return _loader().load_service_model(service, "service-2")  # type: ignore[no-any-return]


def services_of(module: str) -> tuple[str, ...]:
    names = SERVICES.get(module) or (module,)
    return tuple(name for name in names if name in _service_names())


@lru_cache(maxsize=1024)
def creating(module: str, noun: str) -> Operation | None:
    """The operation that makes a ``noun``, or None where none is called as such an operation is called."""
    for service in services_of(module):
        model = _model(service)
        names = {loose(name): name for name in model["operations"]}
        for wanted in _candidates(service, noun):
            if name := names.get(loose(wanted)):
                return _operation(service, model, name)
    return None


def _operation(service: str, model: Mapping[str, Any], name: str) -> Operation:
    operation = model["operations"][name]
    return Operation(
        service=service,
        service_id=model["metadata"].get("serviceId", service),
        name=name,
        shapes=model["shapes"],
        request=operation.get("input", {}).get("shape", ""),
        response=operation.get("output", {}).get("shape"),
    )


def _candidates(service: str, noun: str) -> Iterator[str]:
    if (service, noun) in OPERATIONS:
        yield OPERATIONS[service, noun]
    nouns = [noun, f"{service}{noun}", f"DB{noun}", f"Hosted{noun}"]
    prefixes = (prefix for prefix in ("Log", "Event", "Waf") if noun.startswith(prefix))  # cloudwatch.LogStream
    nouns += [noun.removeprefix(prefix) for prefix in prefixes]
    for verb in _CREATE_VERBS:
        for word in nouns:
            yield f"{verb}{word}"
    for ending, verb in (("Association", "Associate"), ("Attachment", "Attach")):
        if noun.endswith(ending):
            yield verb + noun.removesuffix(ending)


def member_of(operation: Operation, shape: str | None, name: str, noun: str) -> tuple[str, str] | None:
    """The member of ``shape`` that the property ``name`` is: (its name, its shape). Also one level down, where a request wraps
    what it makes (LaunchTemplateData, IpPermissions)."""
    members = operation.members(shape)
    direct = _among(members, name, noun)
    if direct:
        return direct, members[direct]["shape"]
    for member, detail in members.items():
        inner = operation.shapes[detail["shape"]]
        if inner["type"] == "list":
            inner = operation.shapes[inner["member"]["shape"]]
        if inner["type"] == "structure" and loose(member) not in ("tags", "tagspecifications"):
            found = _among(inner.get("members", {}), name, noun, strict=True)
            if found:
                return f"{member}.{found}", inner["members"][found]["shape"]
    return None


def nested_member(operation: Operation, shape: str | None, name: str, noun: str) -> str | None:
    """The structure that the property ``name`` is in ``shape``, also where it has the service's prefix (resourcesVpcConfig)."""
    found = member_of(operation, shape, name, noun)
    if found is None:
        candidates = [*operation.members(shape).items()]
        for detail in operation.members(shape).values():
            candidates += operation.members(detail["shape"]).items()
        endings = [detail["shape"] for member, detail in candidates if loose(member).endswith(loose(name))]
        found = ("", endings[0]) if endings else None
    if found is None:
        return None
    detail = operation.shapes[found[1]]
    if detail["type"] == "list":
        detail = operation.shapes[detail["member"]["shape"]]
    return found[1] if detail["type"] == "structure" else None


def _among(members: Mapping[str, Any], name: str, noun: str, *, strict: bool = False) -> str | None:
    by_name = {loose(member): member for member in members}
    wanted = loose(name)
    forms = [wanted, wanted.removesuffix("s"), f"{wanted}s"]
    if wanted.endswith("ies"):
        forms.append(f"{wanted[:-3]}y")
    if wanted.endswith("arn"):
        forms.append(wanted.removesuffix("arn"))
    if not strict:
        kind, last = loose(noun), loose(re.findall(r"[A-Z][^A-Z]*", noun)[-1]) if re.search("[A-Z]", noun) else ""
        forms += [f"{wanted}document", f"{wanted}name", last + wanted, f"resources{wanted}"]
        forms += [kind + wanted, wanted.removeprefix(kind), kind[:3] + wanted if kind.startswith("log") else wanted]
    return next((by_name[form] for form in forms if form and form in by_name), None)


@lru_cache(maxsize=1024)
def identifying(module: str, noun: str) -> frozenset[str]:
    """Loose names of what says which ``noun`` an operation is to change: that itself cannot be changed."""
    operation = creating(module, noun)
    if operation is None:
        return frozenset()
    model = _model(operation.service)
    found: set[str] = set()
    for verb in ("Update", "Modify", "Delete"):
        name = {loose(name): name for name in model["operations"]}.get(loose(verb + noun))
        if name:
            request = model["shapes"][model["operations"][name].get("input", {}).get("shape", "")]
            found |= {loose(member) for member in request.get("required", ())}
    return frozenset(member for member in found if member.endswith(("name", "id", "arn", "identifier")))


@lru_cache(maxsize=1024)
def changing(module: str, noun: str) -> frozenset[str]:
    """Loose names of all that an operation of the service can change about an existing ``noun``."""
    operation = creating(module, noun)
    if operation is None:
        return frozenset()
    kind = loose(noun)
    endings = ("name", "id", "arn", "identifier", "ids", "arns")
    identity = {f"{form}{end}" for form in (kind, loose(noun.removeprefix("Event"))) for end in endings}
    found: set[str] = set()
    model = _model(operation.service)
    for name in model["operations"]:
        if not name.startswith(_CHANGE_VERBS):
            continue
        candidate = _operation(operation.service, model, name)
        members = candidate.members(candidate.request)
        loose_members = {loose(member) for member in members}
        if kind in loose(name) or loose_members & identity:
            found |= loose_members - identity
            for detail in members.values():  # EKS: resourcesVpcConfig and the like stay whole; EC2 wraps values
                inner = candidate.shapes[detail["shape"]]
                if inner["type"] == "structure":
                    found |= {loose(member) for member in inner.get("members", {})}
    return frozenset(found)
