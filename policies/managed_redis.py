"""The types of the Redis services of AWS, and what of them is Redis at all."""

from __future__ import annotations

from typing import Final

from policies.given import is_given
from policies.resource import Resource

CLUSTER: Final = "aws:memorydb/cluster:Cluster"
ACL: Final = "aws:memorydb/acl:Acl"
USER: Final = "aws:memorydb/user:User"
REPLICATION_GROUP: Final = "aws:elasticache/replicationGroup:ReplicationGroup"
CACHE: Final = "aws:elasticache/cluster:Cluster"
SERVERLESS: Final = "aws:elasticache/serverlessCache:ServerlessCache"
USER_GROUP: Final = "aws:elasticache/userGroup:UserGroup"
USER_GROUP_MEMBER: Final = "aws:elasticache/userGroupAssociation:UserGroupAssociation"
CACHE_USER: Final = "aws:elasticache/user:User"
SUBNET: Final = "aws:ec2/subnet:Subnet"
SUBNET_GROUPS: Final = ("aws:memorydb/subnetGroup:SubnetGroup", "aws:elasticache/subnetGroup:SubnetGroup")
MEMCACHED: Final = "memcached"


def is_redis_alone(cache: Resource) -> bool:
    """Whether ElastiCache's ``Cluster`` is a Redis of its own: neither Memcached nor a member of a replication group, which has
    what there is to say of it. An engine that is not known yet counts as Redis."""
    return cache.view.raw("engine") != MEMCACHED and not is_given(cache, "replicationGroupId")
