"""Redis: whether it answers and how fast, whether it takes writes and keeps them, memory, version."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis import exceptions

from app.doctor.finding import Finding, error, note, ok, warning
from app.doctor.place import Place
from app.doctor.reach import Reached, judge, milliseconds, reach
from app.pipeline.redis_client import RedisClient, RedisUnavailable, connect
from app.settings import RedisSettings

CHECK: Final = "redis"
SAMPLES: Final = 5
SLOW_SECONDS: Final = 0.05  # of a round trip: an event takes about a dozen
SLOW_WRITE_SECONDS: Final = 0.1  # of a durable write: each acknowledgement waits for one
MEMORY_WARNING, MEMORY_ERROR = 0.8, 0.95  # of maxmemory
OLDEST_VERSION: Final = (6, 2)
# Written and gone again after a second: whether a write is taken is known only from one.
TRIAL_KEY, TRIAL_MILLISECONDS = "{assistant}:doctor", 1000
REFUSED: Final = {
    "OOM": ("Redis is full and takes no event", "Raise maxmemory, or find what fills it: make dead-letters, queue's backlog."),
    "READONLY": ("Redis takes no writes: it is a replica", "Point REDIS_URL at the primary (a failover has moved it?)."),
    "MISCONF": ("Redis takes no writes: it cannot save", "Look at Redis' log and its disk: it is full, or read-only."),
    "NOPERM": ("Redis' user may not write our keys", "Give REDIS_USERNAME the keys {assistant}:* (docs/decisions/queue.md)."),
    "LOADING": ("Redis is still loading its file", "Wait: it answers when it has read it."),
    "CLUSTERDOWN": ("The Redis cluster is down", "Bring the shard's primary back; nothing is lost meanwhile."),
}
PASSWORD: Final = error(
    CHECK,
    "Redis refuses the password",
    "WRONGPASS or NOAUTH",
    "REDIS_PASSWORD (and REDIS_USERNAME) must be Redis' own. After a rotation restart the processes that read the old one.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Medians, in seconds."""

    round_trip: float
    write: float


async def look(place: Place) -> list[Finding]:
    settings: Any = place.settings
    reached = await reach(settings.redis_url)
    if reached.stage != "reached":
        return [judge(CHECK, "Redis", "REDIS_URL", reached)]
    client = connect(settings)
    try:
        return await _asked(client, settings, reached)
    finally:
        await client.close()


async def _asked(client: RedisClient, settings: RedisSettings, reached: Reached) -> list[Finding]:
    try:
        round_trip = await _median(client, "PING")
    except (RedisUnavailable, exceptions.RedisError) as failure:
        return [unanswered(str(failure), reached, settings.redis_timeout_seconds)]
    found: list[Finding] = []
    try:
        write = await _median(client, "SET", TRIAL_KEY, "1", "PX", TRIAL_MILLISECONDS)
        found.append(judge_times(Times(round_trip=round_trip, write=write), reached.where))
    except (RedisUnavailable, exceptions.RedisError) as failure:
        found.append(refused(str(failure)))
    try:
        said = parse_info(await client.command("INFO"))
    except (RedisUnavailable, exceptions.RedisError):
        return [*found, note(CHECK, "Redis does not tell of itself", "INFO is refused", "Memory and durability are not seen.")]
    return [*found, *judge_info(said, settings.redis_cluster)]


def unanswered(failure: str, reached: Reached, timeout_seconds: float) -> Finding:
    """Redis is connected to, and PING has no good answer. ``failure``: as RedisClient says it."""
    if "AuthenticationError" in failure or re.search(r"\b(WRONGPASS|NOAUTH)\b", failure):
        return PASSWORD
    if word := next((word for word in REFUSED if word in failure), None):
        return refused(word)
    if "did not answer" in failure:
        return error(
            CHECK,
            "Redis takes connections and does not answer: it hangs",
            f"{reached.where} connected in {milliseconds(reached.tcp_seconds)}, "
            f"PING had no answer in {timeout_seconds * 1000:.0f} ms",
            "Is its process stopped (SIGSTOP), waiting for its disk, or running a slow command? Look at its log and disk; "
            "events are refused with 503 and sent again by their platform meanwhile.",
        )
    return error(
        CHECK, "Redis does not answer", failure, "Look at Redis' log. The processes go on by themselves when it answers."
    )


def refused(failure: str) -> Finding:
    word = next((word for word in REFUSED if word in failure), None)
    if word is None:
        return error(CHECK, "Redis takes no writes", failure, "Look at Redis' log.")
    what, remedy = REFUSED[word]
    return error(CHECK, what, f"a write is answered with {word}", remedy)


def judge_times(times: Times, where: str) -> Finding:
    medians = f"round trip {milliseconds(times.round_trip)}, durable write {milliseconds(times.write)}"
    evidence = f"{where}, {medians} (medians of {SAMPLES})"
    if times.round_trip > SLOW_SECONDS:
        return warning(
            CHECK,
            "Redis is slow to answer",
            evidence,
            "Is it in another zone, or short of CPU? A slow command shows in SLOWLOG GET.",
        )
    if times.write > SLOW_WRITE_SECONDS:
        return warning(
            CHECK,
            "Redis' disk is slow: every acknowledgement waits for it",
            evidence,
            "Give Redis a faster volume, or end what else writes to that disk.",
        )
    return ok(CHECK, "Redis answers and takes writes", evidence)


def judge_info(said: Mapping[str, str], cluster: bool) -> list[Finding]:
    """``said``: the fields of INFO, as text. ``cluster``: MemoryDB, whose log is elsewhere and which owns its policy."""
    found = [_version(said.get("redis_version", "")), _memory(said)]
    if said.get("aof_last_write_status", "ok") != "ok" or said.get("aof_last_bgrewrite_status", "ok") != "ok":
        found.append(
            error(
                CHECK,
                "Redis could not write its file",
                "INFO persistence: status err",
                "Is its disk full or read-only? See its log.",
            )
        )
    elif not cluster and said.get("aof_enabled") == "0":
        found.append(
            error(
                CHECK,
                "Redis keeps nothing on the disk: acknowledged events are lost when it ends",
                "aof_enabled:0",
                "Start it with appendonly yes and appendfsync always.",
            )
        )
    if not cluster and said.get("maxmemory_policy", "noeviction") != "noeviction":
        found.append(
            error(
                CHECK,
                "Redis throws events away when it is full",
                f"maxmemory_policy:{said['maxmemory_policy']}",
                "Set maxmemory-policy noeviction: full, it then refuses new events, and the platform sends them again.",
            )
        )
    return [finding for finding in found if finding is not None]


def parse_info(answer: object) -> dict[str, str]:
    """INFO's answer: text of ``name:value`` lines, or what the client library has made of it."""
    if isinstance(answer, Mapping):
        return {str(name): "" if isinstance(value, Mapping) else str(value) for name, value in answer.items()}
    lines = (line.partition(":") for line in str(answer).splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def _version(text: str) -> Finding | None:
    numbers = tuple(int(word) for word in re.findall(r"\d+", text)[:2])
    if not numbers:
        return None
    if numbers < OLDEST_VERSION:
        return error(CHECK, f"Redis {text} is too old", "6.2 or newer is needed", "Install a newer Redis or Valkey.")
    return ok(CHECK, f"Redis {text} is new enough")


def _memory(said: Mapping[str, str]) -> Finding | None:
    try:
        used, limit = int(said["used_memory"]), int(said["maxmemory"])
    except (KeyError, ValueError):
        return None
    if limit == 0:
        return note(
            CHECK,
            "Redis has no memory limit: the kernel ends it when the machine is full",
            f"maxmemory:0, {_mib(used)} used",
            "Set maxmemory below what the machine or pod may use.",
        )
    share, evidence = used / limit, f"{_mib(used)} of {_mib(limit)}"
    remedy = "The backlog, dead letters or the answer cache (ANSWER_CACHE_ENTRIES) fill it. Settle them, or raise maxmemory."
    if share >= MEMORY_ERROR:
        return error(CHECK, f"Redis' memory is full to {share:.0%}", evidence, remedy)
    if share >= MEMORY_WARNING:
        return warning(CHECK, f"Redis' memory is full to {share:.0%}", evidence, remedy)
    return ok(CHECK, "Redis has memory left", evidence)


async def _median(client: RedisClient, *words: str | int) -> float:
    taken: list[float] = []
    await client.command(*words)  # the first one pays for the connection
    for _ in range(SAMPLES):
        begun = time.perf_counter()
        await client.command(*words)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
