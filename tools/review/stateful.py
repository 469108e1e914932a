"""What is lost when a resource of a type goes, or another one takes its place. What is not in the table can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from tools.review.changes import name_of, type_of

LOST: Mapping[str, str] = {
    "aws:s3/bucket:Bucket": "every object in it, and its name for a while",
    "aws:kms/key:Key": "whatever it has encrypted, for everybody, once its 30 days are over",
    "aws:memorydb/cluster:Cluster": "the queue: messages without an answer, and the memory of those that have one",
    "aws:memorydb/user:User": "the password by which the assistant reaches its queue",
    "aws:secretsmanager/secret:Secret": "the secret's value, and the name that readers know it by",
    "aws:eks/cluster:Cluster": "the cluster with all that runs in it",
    "aws:eks/nodeGroup:NodeGroup": "the nodes, and the pods on them",
    "aws:ecs/cluster:Cluster": "the tasks that run in it",
    "aws:ecr/repository:Repository": "the images that were pushed, those that run among them",
    "aws:backup/vault:Vault": "the recovery points in it",
    "aws:cloudtrail/trail:Trail": "the record of what is done in the account, from then on",
    "aws:dynamodb/table:Table": "every item in it",
    "aws:efs/fileSystem:FileSystem": "every file in it",
    "aws:ebs/volume:Volume": "every block on it",
    "aws:rds/instance:Instance": "every row in it",
    "aws:ec2/vpc:Vpc": "the network, and all that stands in it",
    "aws:ec2/natGateway:NatGateway": "the way out, until the new one stands",
    "aws:ec2/eip:Eip": "a fixed address that platforms may trust",
    "aws:lb/loadBalancer:LoadBalancer": "the way in, until the new one stands and its name is known",
    "aws:route53/zone:Zone": "the zone's records and its name servers",
    "kubernetes:core/v1:PersistentVolumeClaim": "the volume's content, unless its class keeps volumes",
    "kubernetes:core/v1:Namespace": "every object in the namespace",
    "kubernetes:apps/v1:StatefulSet": "its pods, and their hold on their volumes",
    "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": "every object of its kind",
    "pulumi-python:dynamic/local:Secrets": "the secrets of this machine's stack",
    "pulumi-python:dynamic/generated:Secrets": "the generated secrets, and what only they open",
    "pulumi-python:dynamic/aws:SecretValues": "the versions of secrets that it has written",
}
# A log can be made again, but not what it holds; of these somebody may have to show what was in them.
LOGS = "aws:cloudwatch/logGroup:LogGroup"
ALARMED = ("*audit*", "*trail*", "*flow*", "*waf*", "*firewall*", "*cluster*", "*deliver*")
OF_LOGS = "the lines in it, which an audit may ask for"
PROTECTED = "it is protected: somebody has said that it must not go"


def loss(urn: str) -> str | None:
    """What goes with it, or None. Pure."""
    kind = type_of(urn)
    if kind == LOGS:
        return OF_LOGS if any(fnmatchcase(name_of(urn), pattern) for pattern in ALARMED) else None
    return LOST.get(kind)
