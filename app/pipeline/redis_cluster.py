"""The cluster protocol of Redis (MemoryDB): which primary has a key's slot, and how a caller learns that it has changed.

Ours instead of the library's: redis-py's ``RedisCluster`` never gives back the connection slot of a connect that is refused
(https://github.com/redis/redis-py/issues/4110), so that an outage of seconds uses its pool up for good, and it looks for a new
primary only after an error, while a primary that is gone without a word gives none within our time-out. Here each primary has
the pool that a single Redis has, and whatever ends a call badly, a time-out too, puts the map of slots in doubt: it is learned
anew before the next call. The protocol: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis import exceptions
from redis.asyncio import Redis
from redis.crc import key_slot

HOPS = 4  # how often one command may be sent on: a slot that moves twice meanwhile is rare, a circle is a fault
KEYLESS = frozenset({"PING", "INFO", "TIME", "SCRIPT", "CLUSTER", "CONFIG", "DBSIZE", "FLUSHALL"})
WITH_A_COUNT_OF_KEYS = frozenset({"EVAL", "EVALSHA", "FCALL"})  # name, script, number of keys, keys …


class Address(NamedTuple):
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Slots:
    """``ranges``: first and last slot, and their primary. ``nodes``: whom to ask for the next map, replicas too."""

    ranges: tuple[tuple[int, int, Address], ...]
    nodes: tuple[Address, ...]

    def primary(self, slot: int | None) -> Address | None:
        """None where nobody serves ``slot``; any primary for a command without a key."""
        return next((who for first, last, who in self.ranges if slot is None or first <= slot <= last), None)


def slot_of(words: tuple[str | bytes | float | int, ...]) -> int | None:
    """The slot of a command's first key; None for one without a key. All keys of our commands have the same hash tag."""
    name = _text(words[0]).upper()
    at = 3 if name in WITH_A_COUNT_OF_KEYS else 1
    if name in KEYLESS or len(words) <= at or (at == 3 and not int(words[2])):
        return None
    key = words[at]
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


def parse_slots(answer: list[list[Any]], asked: Address) -> Slots:
    """The map in an answer to ``CLUSTER SLOTS``. A node without a name is the one that was asked (or behind its name)."""

    def address(node: list[Any]) -> Address:
        host = _text(node[0]) if node[0] else ""
        return Address(asked.host if host in ("", "?") else host, int(node[1]))

    ranges = tuple((int(first), int(last), address(nodes[0])) for first, last, *nodes in answer)
    return Slots(ranges, tuple(dict.fromkeys(address(node) for _, _, *nodes in answer for node in nodes)))


class ClusterClient:
    """Sends a command to the primary of its key. ``make(address, connections)`` gives a client of one node.

    A call may end with any error of redis-py, or be cancelled by its caller's limit. ``timeout_seconds`` bounds the question to
    one node; asking all of them may take longer than a call and goes on for the next one.
    """

    def __init__(self, make: Callable[[Address, int], Redis], seed: Address, timeout_seconds: float, connections: int) -> None:
        self._make, self._seed = make, seed
        self._timeout_seconds, self._connections = timeout_seconds, connections
        self._clients: dict[Address, Redis] = {}
        self._slots: Slots | None = None
        self._doubtful = True
        self._suspect: Address | None = None  # asked last
        self._hint: Address | None = None  # asked first
        self._learning: asyncio.Task[Slots] | None = None

    async def execute_command(self, *words: str | bytes | float | int) -> Any:
        slot, failure = slot_of(words), exceptions.RedisError()
        for _ in range(HOPS):
            slots = await self._current()
            address = slots.primary(slot)
            if address is None:
                self._doubt(slots)
                raise exceptions.RedisClusterException(f"no node of the Redis cluster serves slot {slot}")  # type: ignore[no-untyped-call]
            try:
                return await self._client(address).execute_command(*words)  # type: ignore[no-untyped-call]
            except exceptions.MovedError as error:
                self._doubt(slots, hint=_named(error, address))
                failure = error
            except exceptions.AskError as error:  # the slot is on its way: this command alone goes to where it is taken
                return await self._ask(_named(error, address), words)
            except (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ClusterDownError) as error:
                self._doubt(slots, suspect=address)
                if (await self._current()).primary(slot) == address:
                    raise
                failure = error
            except asyncio.CancelledError:
                self._doubt(slots, suspect=address)
                raise
        raise failure

    async def aclose(self) -> None:
        if self._learning is not None:
            self._learning.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._learning
        await self._close(self._clients)

    def _client(self, address: Address) -> Redis:
        if address not in self._clients:
            self._clients[address] = self._make(address, self._connections)
        return self._clients[address]

    async def _ask(self, address: Address, words: tuple[str | bytes | float | int, ...]) -> Any:
        pipeline = self._client(address).pipeline(transaction=False)  # ASKING counts for the next command of its connection
        pipeline.execute_command("ASKING")
        pipeline.execute_command(*words)
        # An error that the pipeline raises itself would repeat the command, and with it what people wrote.
        answer = (await pipeline.execute(raise_on_error=False))[1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _doubt(self, slots: Slots, *, suspect: Address | None = None, hint: Address | None = None) -> None:
        """``slots`` was wrong, or its node is away; nothing to do where others have learned a newer map meanwhile."""
        if slots is self._slots:
            self._doubtful, self._suspect, self._hint = True, suspect, hint

    async def _current(self) -> Slots:
        if self._slots is not None and not self._doubtful:
            return self._slots
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn())
            self._learning.add_done_callback(_look_at)
        return await asyncio.shield(self._learning)  # one question for all callers, which outlives each one's limit

    async def _learn(self) -> Slots:
        failure: Exception = exceptions.ConnectionError("no node to ask")
        for address in dict.fromkeys(self._nodes()):
            try:
                slots = await self._slots_of(address)
            except exceptions.ResponseError as error:
                failure = error if "cluster support disabled" not in str(error) else _no_cluster()
            except (exceptions.RedisError, OSError, TimeoutError) as error:
                failure = error
            else:
                await self._install(slots)
                return slots
        raise failure

    def _nodes(self) -> Iterator[Address]:
        known = self._slots.nodes if self._slots else ()
        if self._hint is not None:
            yield self._hint
        yield from (address for address in (*known, self._seed) if address != self._suspect)
        if self._suspect is not None:
            yield self._suspect

    async def _slots_of(self, address: Address) -> Slots:
        client = self._make(address, 1)  # no connection of the pool, which may be in use to the last
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return parse_slots(await client.execute_command("CLUSTER", "SLOTS"), address)  # type: ignore[no-untyped-call]
        finally:
            await client.aclose()

    async def _install(self, slots: Slots) -> None:
        self._slots, self._doubtful, self._suspect, self._hint = slots, False, None, None
        primaries = {address for _, _, address in slots.ranges}
        await self._close({address: client for address, client in self._clients.items() if address not in primaries})

    async def _close(self, clients: dict[Address, Redis]) -> None:
        for address, client in list(clients.items()):
            self._clients.pop(address, None)
            with contextlib.suppress(exceptions.RedisError, OSError):
                await client.aclose()


def _named(error: exceptions.AskError, asked: Address) -> Address:
    return Address(error.host or asked.host, int(error.port))


def _no_cluster() -> exceptions.RedisClusterException:
    return exceptions.RedisClusterException("this Redis is no cluster: take REDIS_CLUSTER out of the environment")  # type: ignore[no-untyped-call]


def _look_at(task: asyncio.Task[Slots]) -> None:
    """A failure that no caller waited for is no surprise to be reported."""
    if not task.cancelled():
        task.exception()


def _text(word: str | bytes | float | int) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)
