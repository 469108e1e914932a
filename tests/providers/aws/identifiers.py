"""A resource's id and ARN, in the form that the SDK's own example of an import shows.

What the examples do not say stands in the tables: ids put together from several inputs, and ARNs of kinds whose id is no ARN.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws.partitions import ACCOUNT, Region
from aws.sdk import Resource

# Ids, where the example of an import is another form than the id, or has parts that only a person can tell apart.
IDS: Mapping[str, str] = {
    "appautoscaling/policy:Policy": "{name}",
    "appautoscaling/target:Target": "{resourceId}",
    "backup/plan:Plan": "{uuid}",
    "backup/selection:Selection": "{uuid}",
    "budgets/budget:Budget": "{account}:{name}",
    "cloudwatch/eventRule:EventRule": "{name}",
    "cloudwatch/eventTarget:EventTarget": "{rule}-{targetId}",
    "ec2/route:Route": "r-{routeTableId}{hex10}",
    "ec2/routeTableAssociation:RouteTableAssociation": "rtbassoc-{hex17}",
    "ecs/cluster:Cluster": "{arn}",
    "ecs/service:Service": "{arn}",
    "ecs/taskDefinition:TaskDefinition": "{name}",
    "eks/accessEntry:AccessEntry": "{clusterName}:{principalArn}",
    "eks/accessPolicyAssociation:AccessPolicyAssociation": "{clusterName}#{principalArn}#{policyArn}",
    "eks/addon:Addon": "{clusterName}:{addonName}",
    "eks/nodeGroup:NodeGroup": "{clusterName}:{name}",
    "eks/podIdentityAssociation:PodIdentityAssociation": "a-{hex17}",
    "iam/rolePolicy:RolePolicy": "{role}:{name}",
    "iam/rolePolicyAttachment:RolePolicyAttachment": "{role}/{policyArn}",
    "kms/alias:Alias": "{name}",
    "route53/record:Record": "{zoneId}_{name}_{type}",
    "servicediscovery/privateDnsNamespace:PrivateDnsNamespace": "ns-{hex16}",
    "servicediscovery/service:Service": "srv-{hex16}",
    "sqs/queue:Queue": "https://sqs.{region}.{suffix}/{account}/{name}",
    "wafv2/ipSet:IpSet": "{uuid}",
    "wafv2/ruleGroup:RuleGroup": "{uuid}",
    "wafv2/webAcl:WebAcl": "{uuid}",
    "wafv2/webAclAssociation:WebAclAssociation": "{webAclArn},{resourceArn}",
}
# The part of an ARN after the account, where the kind is not called as its noun, or the key is not its id or name.
ARNS: Mapping[str, str] = {
    "backup/plan:Plan": "backup-plan:{id}",
    "backup/vault:Vault": "backup-vault:{name}",
    "cloudwatch/eventRule:EventRule": "rule/{name}",
    "cloudwatch/logGroup:LogGroup": "log-group:{name}",
    "cloudwatch/metricAlarm:MetricAlarm": "alarm:{name}",
    "ec2/eip:Eip": "elastic-ip/{id}",
    "ec2/flowLog:FlowLog": "vpc-flow-log/{id}",
    "ec2/natGateway:NatGateway": "natgateway/{id}",
    "ecs/cluster:Cluster": "cluster/{name}",
    "ecs/service:Service": "service/{clusterKey}/{name}",
    "ecs/taskDefinition:TaskDefinition": "task-definition/{name}:{revision}",
    "eks/accessEntry:AccessEntry": "access-entry/{clusterName}/role/{account}/{hex8}/{uuid}",
    "eks/addon:Addon": "addon/{clusterName}/{addonName}/{uuid}",
    "eks/nodeGroup:NodeGroup": "nodegroup/{clusterName}/{name}/{uuid}",
    "eks/podIdentityAssociation:PodIdentityAssociation": "podidentityassociation/{clusterName}/{id}",
    "iam/instanceProfile:InstanceProfile": "instance-profile/{name}",
    "iam/role:Role": "role{path}{name}",
    "iam/policy:Policy": "policy{path}{name}",
    "kms/alias:Alias": "{name}",
    "lambda/function:Function": "function:{name}",
    "lb/listener:Listener": "listener/{parentKey}/{hex16}",
    "lb/listenerRule:ListenerRule": "listener-rule/{parentKey}/{hex16}",
    "lb/loadBalancer:LoadBalancer": "loadbalancer/{balancer}/{name}/{hex16}",
    "lb/targetGroup:TargetGroup": "targetgroup/{name}/{hex16}",
    "route53/zone:Zone": "hostedzone/{id}",
    "s3/bucket:Bucket": "{name}",
    "secretsmanager/secret:Secret": "secret:{name}-{hex6}",
    "servicediscovery/privateDnsNamespace:PrivateDnsNamespace": "namespace/{id}",
    "sns/topic:Topic": "{name}",
    "sns/topicSubscription:TopicSubscription": "{topicName}:{uuid}",
    "sqs/queue:Queue": "{name}",
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule": "security-group-rule/{id}",
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": "security-group-rule/{id}",
    "wafv2/ipSet:IpSet": "{scopeKey}/ipset/{name}/{id}",
    "wafv2/ruleGroup:RuleGroup": "{scopeKey}/rulegroup/{name}/{id}",
    "wafv2/webAcl:WebAcl": "{scopeKey}/webacl/{name}/{id}",
}
ARN_SERVICES: Mapping[str, str] = {
    "alb": "elasticloadbalancing", "appautoscaling": "application-autoscaling", "cfg": "config", "cognito": "cognito-idp",
    "ebs": "ec2", "elb": "elasticloadbalancing", "lb": "elasticloadbalancing", "msk": "kafka", "sfn": "states", "vpc": "ec2",
}  # fmt: skip
WITHOUT_REGION = ("iam", "route53", "cloudfront", "budgets", "s3")
WITHOUT_ACCOUNT = ("s3", "route53")
_OPAQUE = re.compile(r"(?P<prefix>[a-z]+)-[0-9a-f]{8,}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class Identity:
    id: str
    arn: str
    name: str
    seed: str  # what everything else that is made up about the resource is made up from


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def a_uuid(seed: str) -> str:
    return str(uuid.UUID(digest(seed, "uuid")[:32], version=4))


def physical_name(resource: Resource, inputs: Mapping[str, Any], fallback: str) -> str:
    """The name it has at AWS: an input's, else the resource's own in the program."""
    for key in name_keys(resource):
        if isinstance(inputs.get(key), str) and inputs[key]:
            return str(inputs[key])
    return fallback


def name_keys(resource: Resource) -> tuple[str, ...]:
    own = resource.noun[:1].lower() + resource.noun[1:]
    keys = ("name", f"{own}Name", f"{own}Identifier", f"{own}Id", "bucket", "userName", "identifier", "policyName")
    found = tuple(key for key in keys if key in resource.inputs)
    return found or tuple(key for key in ("family",) if key in resource.inputs)


def arn_service(resource: Resource) -> str:
    if resource.module == "cloudwatch":
        return "logs" if resource.noun.startswith("Log") else "events" if resource.noun.startswith("Event") else "cloudwatch"
    return ARN_SERVICES.get(resource.module, resource.module)


def identify(
    resource: Resource, inputs: Mapping[str, Any], region: Region, urn: str, *, salt: str = "", revision: int = 1
) -> Identity:
    """Deterministic: the same inputs under the same URN have the same id, unless a ``salt`` tells them apart."""
    name = physical_name(resource, inputs, urn.rpartition("::")[2])
    seed = digest(urn, json.dumps(inputs, sort_keys=True, default=str), salt)
    values = _Values(resource, inputs, region, name, seed, revision)
    key = resource.token.removeprefix("aws:")
    template = IDS.get(key) or _id_template(resource)
    if template == "{arn}" and "arn" not in resource.inputs:
        found = _arn(resource, key, values, region)
        return Identity(id=found, arn=found, name=name, seed=seed)
    values["id"] = template.format_map(values)
    return Identity(id=values["id"], arn=_arn(resource, key, values, region), name=name, seed=seed)


class _Values(dict[str, str]):
    """What the templates may name: inputs by their own name, and what is derived here."""

    def __init__(
        self, resource: Resource, inputs: Mapping[str, Any], region: Region, name: str, seed: str, revision: int
    ) -> None:
        super().__init__({key: str(value) for key, value in inputs.items() if isinstance(value, str | int)})
        parent = str(inputs.get("listenerArn") or inputs.get("loadBalancerArn") or "")
        self.update(
            name=name,
            seed=seed,
            account=ACCOUNT,
            region=region.name,
            suffix=region.dns_suffix,
            uuid=a_uuid(seed),
            path=str(inputs.get("path") or "/"),
            revision=str(revision),
            zone=f"Z{digest(seed)[:19].upper()}",
            targetId=str(inputs.get("targetId") or f"terraform-{digest(seed)[:26]}"),
            clusterKey=str(inputs.get("cluster") or "default").rpartition("/")[2],
            parentKey=parent.partition("/")[2],
            balancer={"network": "net", "gateway": "gwy"}.get(str(inputs.get("loadBalancerType")), "app"),
            scopeKey="global" if inputs.get("scope") == "CLOUDFRONT" else "regional",
            topicName=str(inputs.get("topic") or "").rpartition(":")[2],
        )

    def __missing__(self, key: str) -> str:
        if key.startswith("hex"):
            return digest(self["seed"], "hex")[: int(key[3:])]
        return digest(self["seed"], key)[:8]


def _id_template(resource: Resource) -> str:
    example = resource.example
    if example.startswith("arn:"):
        # What is set on something else has no ARN of its own: its id is that of what it is set on.
        owners = [item.name for item in resource.inputs.values() if item.required and item.name.lower().endswith("arn")]
        return f"{{{owners[0]}}}" if owners and "arn" not in resource.outputs.keys() - resource.inputs.keys() else "{arn}"
    if match := _OPAQUE.fullmatch(example):
        return f"{match['prefix']}-{{hex17}}"
    if _UUID.fullmatch(example):
        return "{uuid}"
    if re.fullmatch(r"Z[0-9A-Z]{10,}", example):
        return "{zone}"
    for key in (*name_keys(resource), "bucket", "resourceArn", "arn", "secretArn", "repository", "repositoryName", "role"):
        if key in resource.inputs and (resource.inputs[key].required or key in name_keys(resource)):
            return f"{{{key}}}" if key not in name_keys(resource) else "{name}"
    return f"{resource.noun.lower()}-{{hex17}}"


def _arn(resource: Resource, key: str, values: _Values, region: Region) -> str:
    service = arn_service(resource)
    if key in ARNS:
        tail = ARNS[key].format_map(values)
    elif resource.example.startswith("arn:"):
        service, tail = _from_example(resource.example, values)
    else:
        known = _OPAQUE.fullmatch(resource.example) or _UUID.fullmatch(resource.example)
        kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-" if service == "ec2" else "", resource.noun.removeprefix("Default")).lower()
        tail = f"{kind}/{values['id'] if known else values['name']}"
    return arn(region, service, tail)


def _from_example(example: str, values: _Values) -> tuple[str, str]:
    _, _, service, _, _, tail = example.split(":", 5)
    parts = re.split(r"([/:])", tail)
    for index in range(0, len(parts), 2):
        if _UUID.fullmatch(parts[index]):
            parts[index] = values["uuid"]
        elif re.fullmatch(r"[0-9a-f]{16}", parts[index]):
            parts[index] = values["hex16"]
        elif index or len(parts) == 1:
            parts[index] = values["name"]
    return service, "".join(parts)


def arn(region: Region, service: str, tail: str) -> str:
    place = "" if service in WITHOUT_REGION else region.name
    account = "" if service in WITHOUT_ACCOUNT else ACCOUNT
    return f"arn:{region.partition}:{service}:{place}:{account}:{tail}"
