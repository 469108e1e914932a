"""Which changed inputs need a new resource.

The SDK for Python does not say (its documentation only now and then), so it is derived: what the service's create operation
takes and no operation that changes such a resource does, can only be set anew. The table corrects that where it is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aws import service_models
from aws.identifiers import name_keys
from aws.sdk import Resource

FORCES = re.compile(
    r"\b(changing this (value |parameter |argument )?(forces|creates|will force)|forces (a )?new resource)\b", re.I
)
# The provider's own, and what it changes by other calls.
IN_PLACE = frozenset({"tags", "tagsAll", "timeouts", "forceDestroy", "skipDestroy", "forceDelete", "deletionProtection"})

# Token without "aws:": (properties that need a new resource, properties that do not), against the derived answer.
# "*" stands for all others.
CORRECTIONS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    token: (frozenset(anew.split()), frozenset(kept.split()))
    for token, anew, kept in (
        ("backup/vault:Vault", "kmsKeyArn", ""),
        ("cloudwatch/logGroup:LogGroup", "logGroupClass", "kmsKeyId"),
        ("ec2/launchTemplate:LaunchTemplate", "name namePrefix", "*"),
        ("ec2/route:Route", "routeTableId destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId", "*"),
        ("ec2/routeTable:RouteTable", "vpcId", "*"),
        ("ec2/routeTableAssociation:RouteTableAssociation", "subnetId gatewayId", "routeTableId"),
        ("ec2/securityGroup:SecurityGroup", "name namePrefix description vpcId", "*"),
        ("ec2/subnet:Subnet", "cidrBlock availabilityZone availabilityZoneId vpcId", ""),
        ("ec2/vpc:Vpc", "cidrBlock ipv4IpamPoolId", ""),
        ("ec2/vpcEndpoint:VpcEndpoint", "vpcId serviceName vpcEndpointType", "*"),
        ("ecr/repository:Repository", "name encryptionConfigurations", "*"),
        ("ecs/cluster:Cluster", "name", "*"),
        ("ecs/service:Service", "name cluster launchType schedulingStrategy", "*"),
        ("ecs/taskDefinition:TaskDefinition", "*", "skipDestroy trackLatest"),
        ("eks/cluster:Cluster", "name roleArn kubernetesNetworkConfig outpostConfig bootstrapSelfManagedAddons", "*"),
        (
            "eks/nodeGroup:NodeGroup",
            "nodeGroupName clusterName nodeRoleArn subnetIds amiType capacityType diskSize instanceTypes remoteAccess",
            "*",
        ),
        ("eks/podIdentityAssociation:PodIdentityAssociation", "clusterName namespace serviceAccount", "*"),
        ("iam/policy:Policy", "name namePrefix path description", "*"),
        ("iam/role:Role", "name namePrefix path", "*"),
        ("kms/alias:Alias", "name", "targetKeyId"),
        ("lb/loadBalancer:LoadBalancer", "name loadBalancerType internal customerOwnedIpv4Pool", "*"),
        ("lb/listener:Listener", "loadBalancerArn", "*"),
        ("lb/listenerRule:ListenerRule", "listenerArn", "*"),
        ("memorydb/acl:Acl", "name namePrefix", "*"),
        (
            "memorydb/cluster:Cluster",
            "name kmsKeyArn subnetGroupName tlsEnabled port dataTiering snapshotName snapshotArns autoMinorVersionUpgrade",
            "numShards numReplicasPerShard",
        ),
        ("secretsmanager/secret:Secret", "name namePrefix", "*"),
        ("sns/topic:Topic", "name namePrefix fifoTopic", "*"),
        ("sqs/queue:Queue", "name namePrefix fifoQueue", "*"),
        ("s3/bucket:Bucket", "bucket bucketPrefix objectLockEnabled", "*"),
        ("vpc/securityGroupEgressRule:SecurityGroupEgressRule", "securityGroupId", "*"),
        ("vpc/securityGroupIngressRule:SecurityGroupIngressRule", "securityGroupId", "*"),
        ("wafv2/webAcl:WebAcl", "name scope", "*"),
    )
}


def replaces(resource: Resource, name: str) -> bool:
    """Whether a change of the top-level property ``name`` needs a new resource."""
    anew, kept = CORRECTIONS.get(resource.token.removeprefix("aws:"), (frozenset(), frozenset()))
    if name in anew:
        return True
    if name in kept or name in IN_PLACE or name.startswith("__"):
        return False
    if "*" in kept or "*" in anew:
        return "*" in anew
    if name == "region" or name in name_keys(resource) or name.endswith("Prefix"):
        return True
    declared = resource.inputs.get(name)
    if declared and FORCES.search(declared.doc):
        return True
    operation = service_models.creating(resource.module, resource.noun)
    if operation is None or operation.name.startswith(("Put", "Set", "Enable")):
        # Set on something else: a new one of those is a new one of these, and all the rest is written again in place.
        return bool(declared and declared.required and re.search(r"(Arn|Id|Name)$|^(bucket|role|repository|topic|arn)$", name))
    if operation.name.startswith(("Attach", "Associate")) and declared and declared.required:
        return True
    if operation.name.startswith("Register"):
        return bool(re.search(r"(Id|Namespace|Dimension)$", name))
    member = service_models.member_of(operation, operation.request, name, resource.noun)
    if member is None:
        return False
    called = service_models.loose(member[0].rpartition(".")[2])
    if called in service_models.identifying(resource.module, resource.noun):
        return True
    return called not in service_models.changing(resource.module, resource.noun)


def stands_in_the_way(resource: Resource, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the new resource cannot stand beside the old one: both have the one name that the program gave."""
    keys = name_keys(resource)[:1]
    made_up = new.get("__defaults") or []
    return any(old.get(key) == new.get(key) and new.get(key) is not None and key not in made_up for key in keys)
