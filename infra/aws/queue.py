"""The queue's store and the values of the stack's secrets, which belong together: the store's user gets its password with them.

With ``redis.url`` of the settings the store is yours, and only the values are seen to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.aws.context import AwsContext
from infra.aws.foundation import Foundation
from infra.aws.naming import secret_name
from infra.aws.redis import Memorydb, MemorydbArgs
from infra.aws.secret_values import SecretValues, SecretValuesArgs
from infra.aws.secrets import secret_names
from infra.kubernetes.peers import PRIVATE_NETWORK, Addresses, Peer
from infra.kubernetes.redis_connection import RedisConnection, redis_of
from infra.settings import Settings


@dataclass(frozen=True, kw_only=True)
class QueueArgs:
    """``clients``: security groups of those that may connect, by a name of ours."""

    context: AwsContext
    foundation: Foundation
    clients: Mapping[str, pulumi.Input[str]]


class Queue(pulumi.ComponentResource):
    """``connection``: how the store is reached. ``store``: None where it is yours. ``ready``: what must be there before anybody
    asks for a secret or connects."""

    connection: RedisConnection
    store: Memorydb | None
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: QueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Queue", name, {}, opts)
        context, foundation = args.context, args.foundation
        settings, child = context.settings, pulumi.ResourceOptions(parent=self)
        self.store = None
        self.connection = redis_of(settings)
        if settings.redis.url is None:
            self.store = Memorydb(
                "redis",
                MemorydbArgs(
                    context=context,
                    network=foundation.network,
                    key_arn=foundation.keys.arn("redis"),
                    client_security_group_ids=args.clients,
                ),
                child,
            )
            self.connection = RedisConnection(
                url=self.store.url, cluster=True, username=self.store.username, peers=vpc_peers(settings)
            )
        stores = [self.store] if self.store else []
        values = SecretValues(
            "secret-values",
            SecretValuesArgs(
                secrets={word: secret_name(context.stack, word) for word in secret_names(settings)},
                numbers=settings.secret_versions.model_dump(),
                region=context.region,
                profile=settings.aws.profile,
                redis_user=self.store.username if self.store else None,
                stack=context.stack if settings.platforms.connected else None,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=[*foundation.secrets.made, *stores]),
        )
        self.ready = [values, *stores]
        self.register_outputs({})


def vpc_peers(settings: Settings) -> tuple[Peer, ...]:
    """For network policies: the stack's own network, or, in a VPC of yours, every private one."""
    return PRIVATE_NETWORK if settings.network.vpc_id else (Addresses(settings.network.cidr),)
