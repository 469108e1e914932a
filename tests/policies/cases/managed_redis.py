"""Redis as AWS runs it: the MemoryDB cluster of infra/aws/redis.py, and ElastiCache beside it."""

from __future__ import annotations

from cases.theme import Bad, Cases, Good, Theme

REDIS_GROUP, TASKS_GROUP, EDGE_GROUP = "sg-redis", "sg-tasks", "sg-edge"


def security_group(identifier: str) -> Good:
    return Good(type="aws:ec2/securityGroup:SecurityGroup", properties={"id": identifier, "name": identifier})


GOOD = {
    "cluster": Good(
        type="aws:memorydb/cluster:Cluster",
        properties={
            "name": "assistant-prod-queue",
            "aclName": "assistant-prod",
            "autoMinorVersionUpgrade": True,
            "engine": "valkey",
            "numReplicasPerShard": 2,
            "securityGroupIds": [REDIS_GROUP],
            "snapshotRetentionLimit": 35,
            "subnetGroupName": "queue-subnets",
            "tlsEnabled": True,
        },
        refers={"aclName": ("acl",), "securityGroupIds": ("group",), "subnetGroupName": ("subnets",)},
    ),
    "acl": Good(
        type="aws:memorydb/acl:Acl",
        properties={"name": "assistant-prod", "userNames": ["assistant"]},
        refers={"userNames": ("user",)},
    ),
    "user": Good(
        type="aws:memorydb/user:User",
        properties={
            "id": "assistant",
            "userName": "assistant",
            "accessString": "on ~{assistant}* &* +@all -@dangerous",
            "authenticationMode": {"type": "iam"},
        },
    ),
    "subnets": Good(
        type="aws:memorydb/subnetGroup:SubnetGroup",
        properties={"name": "queue-subnets", "subnetIds": ["subnet-a", "subnet-b"]},
        refers={"subnetIds": ("subnet-a", "subnet-b")},
    ),
    "subnet-a": Good(type="aws:ec2/subnet:Subnet", properties={"id": "subnet-a", "availabilityZone": "eu-central-1a"}),
    "subnet-b": Good(type="aws:ec2/subnet:Subnet", properties={"id": "subnet-b", "availabilityZone": "eu-central-1b"}),
    "group": security_group(REDIS_GROUP),
    "tasks": security_group(TASKS_GROUP),
    "edge": security_group(EDGE_GROUP),
    "from-tasks": Good(
        type="aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        properties={
            "securityGroupId": REDIS_GROUP,
            "referencedSecurityGroupId": TASKS_GROUP,
            "ipProtocol": "tcp",
            "fromPort": 6379,
            "toPort": 6379,
        },
        refers={"securityGroupId": ("group",), "referencedSecurityGroupId": ("tasks",)},
    ),
    "service": Good(
        type="aws:ecs/service:Service",
        properties={"networkConfiguration": {"assignPublicIp": False, "securityGroups": [TASKS_GROUP]}},
        refers={"networkConfiguration": ("tasks",)},
    ),
    "cache": Good(
        type="aws:elasticache/replicationGroup:ReplicationGroup",
        properties={
            "atRestEncryptionEnabled": True,
            "transitEncryptionEnabled": True,
            "transitEncryptionMode": "required",
            "automaticFailoverEnabled": True,
            "multiAzEnabled": True,
            "numCacheClusters": 2,
            "autoMinorVersionUpgrade": True,
            "snapshotRetentionLimit": 7,
            "engine": "redis",
            "securityGroupIds": [REDIS_GROUP],
            "userGroupIds": ["users"],
            "subnetGroupName": "cache-subnets",
        },
        refers={"securityGroupIds": ("group",), "userGroupIds": ("cache-users",), "subnetGroupName": ("cache-subnets",)},
    ),
    "cache-subnets": Good(
        type="aws:elasticache/subnetGroup:SubnetGroup",
        properties={"name": "cache-subnets", "subnetIds": ["subnet-a", "subnet-b"]},
        refers={"subnetIds": ("subnet-a", "subnet-b")},
    ),
    "cache-users": Good(
        type="aws:elasticache/userGroup:UserGroup",
        properties={"id": "users", "userIds": ["default-of-ours"]},
        refers={"userIds": ("cache-user",)},
    ),
    "cache-user": Good(
        type="aws:elasticache/user:User",
        properties={
            "id": "default-of-ours",
            "userName": "default",
            "accessString": "on ~* +@all",
            "noPasswordRequired": False,
            "authenticationMode": {"type": "password"},
        },
    ),
}

_CASES = {
    "R08": Cases(
        failing=(
            Bad("cluster", {"aclName": "open-access"}, "aclName is open-access"),
            Bad("user", {"authenticationMode/type": "no-password"}, "the user user needs no password"),
            Bad("user", {"accessString": "on nopass ~* +@all"}, "the user user needs no password"),
            Bad("cache", {"userGroupIds": None}, "userGroupIds is not set"),
            Bad("cache", {"userGroupIds": []}, "userGroupIds is not set"),
            Bad("cache-user", {"authenticationMode/type": "no-password-required"}, "the user cache-user needs no password"),
            Bad("cache-user", {"noPasswordRequired": True}, "the user cache-user needs no password"),
            Bad("cache-user", {"accessString": "ON ~* +@all NOPASS"}, "the user cache-user needs no password"),
        ),
        unknown=("cluster", "aclName"),
        malformed=("user", "authenticationMode"),
    ),
    "R26": Cases(
        failing=(
            Bad("cluster", {"autoMinorVersionUpgrade": False}, "autoMinorVersionUpgrade is false"),
            Bad("cache", {"autoMinorVersionUpgrade": False}, "autoMinorVersionUpgrade is false"),
        ),
        unknown=("cluster", "autoMinorVersionUpgrade"),
        malformed=("cluster", "autoMinorVersionUpgrade"),
    ),
    "R40": Cases(
        failing=(
            Bad("cluster", {"snapshotRetentionLimit": 6}, "snapshotRetentionLimit is 6"),
            Bad("cluster", {"snapshotRetentionLimit": None}, "snapshotRetentionLimit is 0"),
            Bad("cache", {"snapshotRetentionLimit": 0}, "snapshotRetentionLimit is 0"),
        ),
        unknown=("cluster", "snapshotRetentionLimit"),
        malformed=("cluster", "snapshotRetentionLimit"),
    ),
    "R41": Cases(
        failing=(
            Bad("cluster", {"numReplicasPerShard": 0}, "numReplicasPerShard is 0"),
            Bad("subnets", {"subnetIds": ["subnet-a"]}, "one zone alone", unlinked=True),
            Bad("subnet-b", {"availabilityZone": "eu-central-1a"}, "one zone alone"),
            Bad("cache", {"automaticFailoverEnabled": False}, "automaticFailoverEnabled is not true"),
            Bad("cache", {"automaticFailoverEnabled": None}, "automaticFailoverEnabled is not true"),
            Bad("cache", {"multiAzEnabled": False}, "multiAzEnabled is not true"),
            Bad("cache", {"numCacheClusters": 1}, "asks for a replica"),
            Bad("cache", {"numCacheClusters": None}, "asks for a replica"),
            Bad("cache-subnets", {"subnetIds": ["subnet-b"]}, "one zone alone", unlinked=True),
        ),
        unknown=("cache", "automaticFailoverEnabled"),
        malformed=("cluster", "numReplicasPerShard"),
    ),
    "R68": Cases(
        failing=(
            Bad("cluster", {"tlsEnabled": False}, "tlsEnabled is false"),
            Bad("cache", {"atRestEncryptionEnabled": False}, "atRestEncryptionEnabled is false"),
            Bad("cache", {"atRestEncryptionEnabled": None}, "atRestEncryptionEnabled is not set"),
            Bad("cache", {"transitEncryptionEnabled": False}, "transitEncryptionEnabled is false"),
            Bad("cache", {"transitEncryptionEnabled": None}, "transitEncryptionEnabled is not set"),
            Bad("cache", {"transitEncryptionMode": "preferred"}, "transitEncryptionMode is preferred"),
        ),
        unknown=("cluster", "tlsEnabled"),
        malformed=("cluster", "tlsEnabled"),
    ),
    "R62": Cases(
        failing=(
            Bad(
                "from-tasks",
                {"referencedSecurityGroupId": EDGE_GROUP},
                "in which no workload of this stack runs",
                unlinked=True,
            ),
            Bad("from-tasks", {"referencedSecurityGroupId": None, "cidrIpv4": "10.40.0.0/16"}, "cidrIpv4 lets in a network"),
            Bad("from-tasks", {"cidrIpv6": "::/0"}, "cidrIpv6 lets in a network"),
            Bad("from-tasks", {"prefixListId": "pl-1"}, "prefixListId lets in a network"),
            Bad("cluster", {"securityGroupIds": None}, "securityGroupIds is not set"),
            Bad("cluster", {"securityGroupIds": []}, "securityGroupIds is not set"),
            Bad("group", {"ingress": [{"cidrBlocks": ["10.0.0.0/8"]}]}, "ingress[0].cidrBlocks lets in a network"),
            Bad("group", {"ingress": [{"ipv6CidrBlocks": ["::/0"]}]}, "ingress[0].ipv6CidrBlocks lets in a network"),
            Bad("group", {"ingress": [{"prefixListIds": ["pl-1"]}]}, "ingress[0].prefixListIds lets in a network"),
            Bad("group", {"ingress": [{"securityGroups": [TASKS_GROUP, EDGE_GROUP]}]}, "ingress[0].securityGroups is edge"),
            Bad("service", {}, "in which no workload of this stack runs", without=("service",)),
        ),
        unknown=("from-tasks", "referencedSecurityGroupId"),
        malformed=("group", "ingress"),
    ),
}

THEME = Theme(good=GOOD, cases=_CASES)
