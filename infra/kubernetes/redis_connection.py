"""How gateway and worker reach the queue's store, whoever runs it: the stack itself, its user, or a cloud."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.kubernetes.names import REDIS_PORT
from infra.kubernetes.peers import PRIVATE_NETWORK, PUBLIC, Peer, destinations
from infra.settings import Settings

REDIS_PASSWORD = "redis_password"  # noqa: S105 - the secret's name


@dataclass(frozen=True, kw_only=True)
class RedisConnection:
    """``url``: with its database. ``cluster``: it speaks the cluster protocol. ``password``: the secret :data:`REDIS_PASSWORD`
    opens it, for ``username`` where it knows more than one. ``peers`` and ``port``: what network policies open for it."""

    url: pulumi.Input[str]
    cluster: bool = False
    username: str | None = None
    password: bool = True
    peers: tuple[Peer, ...] = ("redis",)
    port: int = REDIS_PORT

    def environment(self) -> dict[str, pulumi.Input[str]]:
        """What is no secret of it."""
        return {
            "REDIS_URL": self.url,
            **({"REDIS_CLUSTER": "true"} if self.cluster else {}),
            **({"REDIS_USERNAME": self.username} if self.username else {}),
        }

    def secrets(self) -> Mapping[str, str]:
        """The password's variable and secret, where there is a password."""
        return {"REDIS_PASSWORD": REDIS_PASSWORD} if self.password else {}


def redis_of(settings: Settings) -> RedisConnection:
    """The stack's own server, or the one that the settings name."""
    redis = settings.redis
    if redis.url is None:
        return RedisConnection(url=f"redis://redis:{REDIS_PORT}/0")
    peers, port = destinations(redis.url)
    if peers == PUBLIC or redis.cluster:
        # A managed Redis has a public name and a private address; the nodes of a cluster name each other's.
        peers = (*PUBLIC, *PRIVATE_NETWORK)
    return RedisConnection(
        url=redis.url if redis.url.count("/") > 2 else f"{redis.url}/0",
        cluster=redis.cluster,
        password=redis.password_secret is not None,
        peers=peers,
        port=port,
    )
