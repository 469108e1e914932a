"""What AWS refuses because of what exists already: a name that is taken, something still in use, a protected resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aws import networks, service_models
from aws.identifiers import Identity, arn_service
from aws.sdk import Resource
from aws.world import Record

# Creates that AWS answers with what exists, or names that may be there twice.
REPEATABLE = frozenset(
    {
        "aws:ecs/cluster:Cluster",
        "aws:route53/zone:Zone",
        "aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace",
        "aws:sns/topic:Topic",
        "aws:sqs/queue:Queue",
    }
)
_TAKEN: Mapping[str, tuple[str, str]] = {
    "ec2/securityGroup:SecurityGroup": ("InvalidGroup.Duplicate", "The security group '{name}' already exists for VPC"),
    "ecr/repository:Repository": ("RepositoryAlreadyExistsException", "The repository with name '{name}' already exists"),
    "kms/alias:Alias": ("AlreadyExistsException", "An alias with the name {name} already exists"),
    "lb/loadBalancer:LoadBalancer": ("DuplicateLoadBalancerName", "A load balancer with the name '{name}' already exists"),
    "lb/targetGroup:TargetGroup": ("DuplicateTargetGroupName", "A target group with the name '{name}' already exists"),
    "s3/bucket:Bucket": ("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded ({name})"),
    "secretsmanager/secret:Secret": (
        "ResourceExistsException",
        "The operation failed because the secret {name} already exists.",
    ),
    "wafv2/webAcl:WebAcl": (
        "WAFDuplicateItemException",
        "AWS WAF couldn't perform the operation because {name} already exists",
    ),
}
# Kinds that AWS does not delete while others refer to them: the code, and the kinds whose reference does not count, because
# they go with it or let it go.
_HELD: Mapping[str, tuple[str, frozenset[str]]] = {
    "acm/certificate:Certificate": ("ResourceInUseException", frozenset({"acm/certificateValidation:CertificateValidation"})),
    "ec2/eip:Eip": ("InvalidIPAddress.InUse", frozenset()),
    "ec2/internetGateway:InternetGateway": ("DependencyViolation", frozenset({"ec2/route:Route", "ec2/routeTable:RouteTable"})),
    "ec2/routeTable:RouteTable": ("DependencyViolation", frozenset({"ec2/route:Route", "ec2/vpcEndpoint:VpcEndpoint"})),
    "ec2/securityGroup:SecurityGroup": ("DependencyViolation", frozenset()),
    "ec2/subnet:Subnet": (
        "DependencyViolation",
        frozenset(
            {"ec2/routeTableAssociation:RouteTableAssociation", "ec2/flowLog:FlowLog", "memorydb/subnetGroup:SubnetGroup"}
        ),
    ),
    "ec2/vpc:Vpc": (
        "DependencyViolation",
        frozenset({"ec2/flowLog:FlowLog", "ec2/defaultSecurityGroup:DefaultSecurityGroup", "lb/targetGroup:TargetGroup"}),
    ),
    "ecs/cluster:Cluster": (
        "ClusterContainsServicesException",
        frozenset({"ecs/clusterCapacityProviders:ClusterCapacityProviders", "cloudwatch/metricAlarm:MetricAlarm"}),
    ),
    "eks/cluster:Cluster": ("ResourceInUseException", frozenset()),
    "iam/policy:Policy": ("DeleteConflict", frozenset()),
    "iam/role:Role": ("DeleteConflict", frozenset()),
    "lb/targetGroup:TargetGroup": ("ResourceInUse", frozenset()),
    "memorydb/acl:Acl": ("InvalidACLState", frozenset()),
    "memorydb/parameterGroup:ParameterGroup": ("InvalidParameterGroupState", frozenset()),
    "memorydb/subnetGroup:SubnetGroup": ("SubnetGroupInUseFault", frozenset()),
    "memorydb/user:User": ("InvalidUserState", frozenset()),
    "wafv2/webAcl:WebAcl": (
        "WAFAssociatedItemException",
        frozenset({"wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"}),
    ),
}
# Of the kinds above: which kinds alone hold it, where the others only name it.
_HOLDERS: Mapping[str, frozenset[str]] = {
    "eks/cluster:Cluster": frozenset({"eks/nodeGroup:NodeGroup", "eks/fargateProfile:FargateProfile"}),
    "iam/policy:Policy": frozenset({"iam/rolePolicyAttachment:RolePolicyAttachment"}),
    "iam/role:Role": frozenset(
        {"iam/rolePolicyAttachment:RolePolicyAttachment", "iam/rolePolicy:RolePolicy", "iam/instanceProfile:InstanceProfile"}
    ),
    "lb/targetGroup:TargetGroup": frozenset({"lb/listener:Listener", "lb/listenerRule:ListenerRule"}),
    "wafv2/webAcl:WebAcl": frozenset({"wafv2/webAclAssociation:WebAclAssociation"}),
    "ecs/cluster:Cluster": frozenset({"ecs/service:Service"}),
}
# Kinds that others refer to by name: a name is a word, and means them in these properties alone.
_NAMED_BY: Mapping[str, tuple[str, ...]] = {
    "ecs/cluster:Cluster": ("cluster",),
    "eks/cluster:Cluster": ("clusterName",),
    "iam/role:Role": ("role",),
    "memorydb/acl:Acl": ("aclName",),
    "memorydb/parameterGroup:ParameterGroup": ("parameterGroupName",),
    "memorydb/subnetGroup:SubnetGroup": ("subnetGroupName",),
    "memorydb/user:User": ("userNames",),
}
# Rules go with the group they are of; a reference from another group's rule holds it.
_OWN_REFERENCE: Mapping[str, str] = {
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": "securityGroupId",
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule": "securityGroupId",
}
_PROTECTION = ("deletionProtection", "enableDeletionProtection", "deletionProtectionEnabled")


def taken(
    resource: Resource, identity: Identity, region: str, inputs: Mapping[str, Any], records: Iterable[Record]
) -> str | None:
    """Why a create is refused for its name."""
    operation = service_models.creating(resource.module, resource.noun)
    if operation is None or not operation.creates or resource.token in REPEATABLE or resource.noun.startswith("Default"):
        return None
    unique = identity.name in identity.id or _requires_name(operation, resource)
    if not unique:
        return None
    for record in records:
        same_place = record.region == region or arn_service(resource) in ("iam", "s3")
        if record.token == resource.token and same_place and (record.id == identity.id or _same_name(record, identity, inputs)):
            return _taken_message(resource, operation, identity.name)
    return None


def _same_name(record: Record, identity: Identity, inputs: Mapping[str, Any]) -> bool:
    parents = ("vpcId", "clusterName", "cluster", "role", "scope", "path", "rule", "loadBalancerArn", "listenerArn")
    return record.name == identity.name and all(record.inputs.get(key) == inputs.get(key) for key in parents)


def _requires_name(operation: service_models.Operation, resource: Resource) -> bool:
    required = {service_models.loose(name) for name in operation.shapes[operation.request].get("required", ())}
    kind = service_models.loose(resource.noun)
    names = {"name", "groupname", f"{kind}name"}
    return bool(required & names) and (
        "name" in resource.inputs or f"{resource.noun[:1].lower()}{resource.noun[1:]}Name" in resource.inputs
    )


def _taken_message(resource: Resource, operation: service_models.Operation, name: str) -> str:
    code, text = _TAKEN.get(resource.token.removeprefix("aws:"), ("", ""))
    if not code:
        code = "EntityAlreadyExists" if operation.service == "iam" else "ResourceAlreadyExistsException"
        text = f"{resource.noun} with name {name} already exists."
    return f"operation error {operation.service_id}: {operation.name}, api error {code}: {text.format(name=name)}"


def subnet_conflict(inputs: Mapping[str, Any], records: Iterable[Record]) -> str | None:
    """Why AWS refuses a subnet: outside its VPC, or over another one."""
    known = list(records)
    vpc, cidr = inputs.get("vpcId"), inputs.get("cidrBlock")
    if not isinstance(cidr, str) or not isinstance(vpc, str):
        return None
    blocks = [
        str(block)
        for record in known
        if (record.token == networks.VPC and record.id == vpc) or (record.inputs.get("vpcId") == vpc and "Cidr" in record.token)
        if (block := record.inputs.get("cidrBlock"))
    ]
    others = (record for record in known if record.token == networks.SUBNET and record.inputs.get("vpcId") == vpc)
    return networks.conflict(blocks, cidr, others)


def held(record: Record, records: Iterable[Record]) -> str | None:
    """Why a delete is refused."""
    kind = record.token.removeprefix("aws:")
    for name in _PROTECTION:
        if record.inputs.get(name) is True:
            return (
                f"OperationNotPermitted: {record.name} ({record.id}) cannot be deleted because deletion protection is enabled"
            )
    if kind not in _HELD:
        return None
    code, ignored = _HELD[kind]
    for other in records:
        other_kind = other.token.removeprefix("aws:")
        if other.key == record.key or other_kind in ignored or other_kind not in _HOLDERS.get(kind, frozenset({other_kind})):
            continue
        own = _OWN_REFERENCE.get(other_kind) if kind == "ec2/securityGroup:SecurityGroup" else None
        if _refers(other, record, kind, own):
            return f"{code}: {record.name} ({record.id}) has a dependent object and cannot be deleted: {other.urn or other.id}"
    return None


def _refers(other: Record, record: Record, kind: str, own: str | None) -> bool:
    """By id or ARN anywhere but in ``own``; by name where that is what the property holds."""
    by_name = {text for key in _NAMED_BY.get(kind, ()) for text in _strings(other.inputs.get(key))}
    if record.name in by_name or record.id in by_name:
        return True
    ids = record.names - {record.name} if kind in _NAMED_BY else record.names
    return any(text in ids for text in _strings({key: value for key, value in other.inputs.items() if key != own}))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
