"""The queue: what waits and for how long, who works on it, what waits for a person."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from redis import exceptions

from app.doctor.checks.redis import parse_info
from app.doctor.finding import Finding, error, ok, warning
from app.doctor.place import Place
from app.pipeline.queue import QueueUnavailable, Stats
from app.pipeline.redis_client import RedisClient, RedisUnavailable, connect
from app.pipeline.redis_queue import PREFIX, RedisQueue

CHECK: Final = "queue"
OLD_SECONDS, TOO_OLD_SECONDS = 60.0, 600.0
# An idle worker waits on Redis nearly all the time, in turns of a second: within these looks it is seen.
LOOKS, LOOK_SECONDS = 8, 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """``expired``: leases past their deadline, not taken back yet. ``waiting``: connections that wait for work; None where
    Redis does not tell."""

    expired: int
    waiting: int | None


async def look(place: Place) -> list[Finding]:
    """Nothing where Redis is away: the check of Redis has said so."""
    settings: Any = place.settings
    client = connect(settings)
    try:
        stats = await RedisQueue(client).stats()
        work = Work(expired=await _expired(client), waiting=await _waiting(client))
    except (QueueUnavailable, RedisUnavailable, exceptions.RedisError):
        return []
    finally:
        await client.close()
    return judge(stats, work)


def judge(stats: Stats, work: Work) -> list[Finding]:
    found = [_flow(stats, work)]
    if stats.dead:
        found.append(
            warning(
                CHECK,
                f"{_many(stats.dead, 'dead letter')} {_waits(stats.dead)} for a person",
                "given up after their last attempt",
                "See them and their reasons: make dead-letters. Mend the cause, then REPLAY=… or DISCARD=….",
            )
        )
    if stats.unknown:
        found.append(
            warning(
                CHECK,
                f"{_many(stats.unknown, 'event')} of unknown outcome {_waits(stats.unknown)} for a person",
                "a process ended between the sending and its record",
                "Look on the platform whether the answer is there (make dead-letters STATE=unknown); DISCARD=… or REPLAY=….",
            )
        )
    return found


def _flow(stats: Stats, work: Work) -> Finding:
    nobody = work.waiting == 0 and stats.leased == work.expired
    evidence = (
        f"backlog {stats.backlog}, the oldest {stats.oldest_seconds:.0f} s old, {stats.leased} leased"
        + (f" ({work.expired} expired)" if work.expired else "")
        + (f", {_many(work.waiting, 'connection')} waiting for work" if work.waiting is not None else "")
    )
    if nobody and stats.backlog:
        return error(
            CHECK,
            f"{_many(stats.backlog, 'event')} {_waits(stats.backlog)}, and no worker takes {_them(stats.backlog)}",
            evidence,
            "Start a worker, or see why it does not run: make logs. What waits is answered as soon as one is there.",
        )
    if nobody:
        return warning(CHECK, "No worker waits for work", evidence, "Start a worker, or see why it does not run: make logs.")
    if work.expired:
        return warning(
            CHECK,
            f"{_many(work.expired, 'lease')} expired and not taken back",
            evidence,
            "A worker was stopped or is overloaded, and the others have no hand free: raise WORKER_CONCURRENCY or replicas.",
        )
    if stats.oldest_seconds > OLD_SECONDS:
        say = error if stats.oldest_seconds > TOO_OLD_SECONDS else warning
        return say(
            CHECK,
            "Messages wait too long",
            evidence,
            "Is the model slow (inference), a platform refusing (network, tokens)? Else raise WORKER_CONCURRENCY or replicas.",
        )
    return ok(CHECK, "The queue flows", evidence)


async def _expired(client: RedisClient) -> int:
    seconds, microseconds = await client.command("TIME")
    now = int(seconds) * 1000 + int(microseconds) // 1000
    return int(await client.command("ZCOUNT", f"{PREFIX}:leases", "-inf", f"({now}"))


async def _waiting(client: RedisClient) -> int | None:
    deadline, most = time.monotonic() + LOOKS * LOOK_SECONDS, 0
    while time.monotonic() < deadline:
        try:
            blocked = parse_info(await client.command("INFO", "clients")).get("blocked_clients")
        except (RedisUnavailable, exceptions.RedisError):
            return None
        if blocked is None:
            return None
        most = max(most, int(blocked))
        if most:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return most


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _waits(number: int) -> str:
    return "waits" if number == 1 else "wait"


def _them(number: int) -> str:
    return "it" if number == 1 else "them"
