"""The queue's store: MemoryDB, which has a write in several zones before it acknowledges it, as ElastiCache has not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.aws.context import AwsContext
from infra.aws.naming import MEMORYDB
from infra.aws.network import Network
from infra.kubernetes.names import REDIS_PORT

# docs.aws.amazon.com/memorydb: engine versions. Valkey costs less than Redis OSS and is the one that goes on.
ENGINE, ENGINE_VERSION, FAMILY = "valkey", "7.3", "memorydb_valkey7"
# UTC, and away from each other: a node is replaced in the one, a snapshot taken in the other.
SNAPSHOT_WINDOW, MAINTENANCE_WINDOW = "01:00-03:00", "sun:03:30-sun:05:00"
# The queue's keys, all of one hash tag (a script names the tag itself too), and nothing that empties, lists or configures the
# server; the map of the cluster and INFO are among what Redis calls dangerous.
ACCESS = "on ~{assistant}* &* +@all -@dangerous -@admin +info +cluster|slots"


@dataclass(frozen=True, kw_only=True)
class MemorydbArgs:
    """``client_security_group_ids``: of those that may connect, by a name of ours."""

    context: AwsContext
    network: Network
    key_arn: pulumi.Input[str]
    client_security_group_ids: Mapping[str, pulumi.Input[str]]


class Memorydb(pulumi.ComponentResource):
    """``url``: ``rediss://…``, with its database and without a password. ``username``: who may log in once
    :mod:`infra.aws.secret_values` has given it a password that Pulumi never sees."""

    url: pulumi.Output[str]
    username: str
    cluster_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: MemorydbArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Memorydb", name, {}, opts)
        self._name, self._args = name, args
        context, own = args.context, pulumi.ResourceOptions(parent=self)
        settings, protected = context.settings.memorydb, context.settings.protection
        called = context.name("queue", longest=MEMORYDB)
        # Names of users are the account's, not the cluster's.
        self.username = context.name(longest=MEMORYDB)
        group = self._security_group()
        user = aws.memorydb.User(
            f"{name}-user",
            user_name=self.username,
            access_string=ACCESS,
            # Until it has a password, only somebody whom IAM lets connect could log in, and IAM lets nobody.
            authentication_mode=aws.memorydb.UserAuthenticationModeArgs(type="iam"),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["authenticationMode"]),
        )
        acl = aws.memorydb.Acl(f"{name}-acl", name=called, user_names=[user.user_name], opts=own)
        subnets = aws.memorydb.SubnetGroup(f"{name}-subnets", name=called, subnet_ids=args.network.private_subnet_ids, opts=own)
        parameters = aws.memorydb.ParameterGroup(
            f"{name}-parameters",
            name=called,
            family=FAMILY,
            # Overload is refused at admission; what was acknowledged is never pushed out.
            parameters=[aws.memorydb.ParameterGroupParameterArgs(name="maxmemory-policy", value="noeviction")],
            opts=own,
        )
        cluster = aws.memorydb.Cluster(
            f"{name}-cluster",
            name=called,
            engine=ENGINE,
            engine_version=ENGINE_VERSION,
            auto_minor_version_upgrade=True,
            node_type=settings.node_type,
            num_shards=settings.shards,
            num_replicas_per_shard=settings.replicas,
            port=REDIS_PORT,
            tls_enabled=True,
            kms_key_arn=args.key_arn,
            acl_name=acl.name,
            parameter_group_name=parameters.name,
            subnet_group_name=subnets.name,
            security_group_ids=[group.id],
            snapshot_retention_limit=settings.snapshot_days,
            snapshot_window=SNAPSHOT_WINDOW,
            maintenance_window=MAINTENANCE_WINDOW,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=protected,
                custom_timeouts=pulumi.CustomTimeouts(create="60m", update="60m", delete="60m"),
            ),
        )
        host = cluster.cluster_endpoints.apply(lambda endpoints: str(endpoints[0].address))
        self.url = pulumi.Output.concat("rediss://", host, f":{REDIS_PORT}/0")
        self.cluster_name = cluster.name
        self.security_group_id = group.id
        self.register_outputs({"url": self.url, "clusterName": self.cluster_name})

    def _security_group(self) -> aws.ec2.SecurityGroup:
        """Reached by the given groups on its one port; it calls nobody."""
        context, own = self._args.context, pulumi.ResourceOptions(parent=self)
        called = context.name("queue")
        group = aws.ec2.SecurityGroup(
            f"{self._name}-group",
            name=called,
            description="The queue of the assistant: from its gateway and workers alone",
            vpc_id=self._args.network.vpc_id,
            tags={"Name": called},
            opts=own,
        )
        for client, identifier in self._args.client_security_group_ids.items():
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-from-{client}",
                security_group_id=group.id,
                referenced_security_group_id=identifier,
                ip_protocol="tcp",
                from_port=REDIS_PORT,
                to_port=REDIS_PORT,
                description=f"{client} to the queue",
                opts=own,
            )
        return group
