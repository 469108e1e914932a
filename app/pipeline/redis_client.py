"""How this application reaches Redis: bounded waits, one immediate reconnection, no sleeping retries inside the client.

By default the client library retries for seconds; here a caller learns within its time-out that Redis does not answer, and
decides itself. Recovery needs no help: the next call opens a new connection.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.pipeline.redis_cluster import Address, ClusterClient
from app.settings import RedisSettings

CONNECTIONS = 32  # a process and primary; further callers wait for a free one, within their time-out

# First words of error replies that mean "not now" or "not here" rather than "wrong command" (redis/src/server.c, cluster.c).
REFUSALS = frozenset(
    {"OOM", "READONLY", "LOADING", "BUSY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK"}
    | {"NOAUTH", "NOPERM", "WRONGPASS", "UNBLOCKED"}
)


class RedisUnavailable(Exception):
    """No answer within the time-out, or an answer that refuses work. The message holds neither address nor secret."""


class RedisClient:
    """Every call ends within ``timeout_seconds``; one exception, :class:`RedisUnavailable`, when Redis is away."""

    def __init__(self, client: Redis | ClusterClient, timeout_seconds: float) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds

    async def command(self, *words: str | bytes | float | int, extra_seconds: float = 0.0) -> Any:
        """Run one command; text comes back as ``str``. ``extra_seconds``: how much longer this one may take, because it blocks
        (BLPOP) or because a lost answer would cost more than the wait."""
        try:
            # One limit round it all: a stale connection, a new one and its handshake fit in together, or the call fails.
            async with asyncio.timeout(self._timeout_seconds + extra_seconds):
                return await self._client.execute_command(*words)
        except (TimeoutError, exceptions.TimeoutError):
            milliseconds = (self._timeout_seconds + extra_seconds) * 1000
            raise RedisUnavailable(f"Redis did not answer within {milliseconds:.0f} ms") from None
        except exceptions.NoScriptError:
            raise
        except exceptions.ConnectionError as error:
            raise RedisUnavailable(f"Redis is not reachable ({type(error).__name__})") from None
        except exceptions.RedisClusterException as error:
            raise RedisUnavailable(f"the Redis cluster is not reachable ({type(error).__name__})") from None
        except exceptions.ResponseError as error:
            if refusal := refusal_of(error):
                raise RedisUnavailable(f"Redis refuses: {refusal}") from None
            raise

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int], extra_seconds: float = 0.0) -> Any:
        """Run a script by its digest; send its source where the server does not know it (restart, failover, SCRIPT FLUSH)."""
        words = (len(keys), *keys, *arguments)
        try:
            return await self.command("EVALSHA", script.digest, *words, extra_seconds=extra_seconds)
        except exceptions.NoScriptError:
            return await self.command("EVAL", script.source, *words, extra_seconds=extra_seconds)

    async def close(self) -> None:
        await self._client.aclose()


class Script:
    """A Lua script and the digest by which Redis knows it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def connect(settings: RedisSettings) -> RedisClient:
    """A client of the Redis that ``settings`` name; connects when first used. With ``redis_cluster`` the cluster protocol is
    spoken (MemoryDB), which works because every key of an atomic step has one hash tag. ``rediss://`` proves the server against
    this system's authorities (or ``SSL_CERT_FILE``) and by its name."""
    options = _options(settings)
    seed = Address(options.pop("host", "localhost"), options.pop("port", 6379))

    def node(address: Address, connections: int) -> Redis:
        pool = BlockingConnectionPool(host=address.host, port=address.port, max_connections=connections, **options)
        return Redis.from_pool(pool)

    timeout = settings.redis_timeout_seconds
    if settings.redis_cluster:
        return RedisClient(ClusterClient(node, seed, timeout, CONNECTIONS), timeout)
    return RedisClient(node(seed, CONNECTIONS), timeout)


def _options(settings: RedisSettings) -> dict[str, Any]:
    """What a pool takes. What stands in the address, such as a user, goes before a setting of its own."""
    password = settings.redis_password.get_secret_value() if settings.redis_password else None
    timeout = settings.redis_timeout_seconds
    return {
        "username": settings.redis_username,
        "password": password,
        "decode_responses": True,
        "socket_connect_timeout": timeout,
        "socket_timeout": None,  # asyncio.timeout in RedisClient.command, which knows how long a command may take
        "timeout": timeout,
        # A pooled connection may have died with the server's restart: that one is replaced at once, without a sleep. A time-out
        # is not tried again: the caller has waited long enough.
        "retry": Retry(NoBackoff(), 1, supported_errors=(exceptions.ConnectionError,)),
        **parse_url(settings.redis_url),
    }


def refusal_of(error: exceptions.ResponseError) -> str | None:
    """The word with which Redis refuses work for now, or None where the command itself is wrong.

    redis-py strips the word where it has a class of its own for it; a script's error is wrapped in a sentence.
    """
    classes = {
        exceptions.OutOfMemoryError: "OOM",
        exceptions.ReadOnlyError: "READONLY",
        exceptions.NoPermissionError: "NOPERM",
        exceptions.ClusterDownError: "CLUSTERDOWN",
        exceptions.MovedError: "MOVED",  # a subclass of AskError, so it stands before it
        exceptions.AskError: "ASK",
        exceptions.TryAgainError: "TRYAGAIN",
    }
    for kind, word in classes.items():
        if isinstance(error, kind):
            return word
    return next((word for word in str(error).replace("-", " ").replace(":", " ").split() if word in REFUSALS), None)
