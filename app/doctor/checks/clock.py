"""Clocks and time zones: this process, this host, Redis, the platforms. All times of the assistant are UTC, and signatures hold
for five minutes on either side."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

from app.doctor.finding import Finding, error, note, ok, warning
from app.doctor.place import Place

CHECK: Final = "clock"
SKEW_WARNING, SKEW_ERROR = 60.0, 300.0  # seconds; the second is the tolerance of every signature
ASK_SECONDS: Final = 5.0
LOCAL_TIME, ZONE_FILE = Path("/etc/localtime"), Path("/etc/timezone")
ZONES: Final = Path("/usr/share/zoneinfo")
UNSYNCHRONISED: Final = 0x40  # STA_UNSYNC of adjtimex(2)


async def look(place: Place) -> list[Finding]:
    zone = place.environment.get("TZ")
    found = [judge_zone(zone, offset_seconds(), known=zone is None or is_zone(zone)), *judge_host(host_zone())]
    found += judge_ntp(clock_status())
    if place.settings is None:
        return found
    if place.service != "inference":
        found += await _redis(place)
        found += await _platforms(place)
    return found


def judge_zone(zone: str | None, offset: float, *, known: bool) -> Finding:
    """``zone``: of the variable TZ; ``offset``: of local time from UTC, in seconds; ``known``: there is such a zone."""
    named = f"TZ={zone}" if zone is not None else "TZ is not set"
    if not known:
        return warning(
            CHECK,
            "The process's time zone is none that is known, so it is UTC in silence",
            named,
            "Set TZ=UTC, or leave it out.",
        )
    if offset:
        return warning(
            CHECK,
            "The process's time zone is not UTC",
            f"{named}, {offset / 3600:+g} h",
            "Set TZ=UTC. Records and tasks are in UTC whatever TZ says, so times of other programs here differ from them.",
        )
    return ok(CHECK, "The process's time zone is UTC", named)


def judge_host(zone: str | None) -> list[Finding]:
    """``zone``: the name that the host's /etc/localtime leads to; None where it does not say."""
    if zone is None or zone.removeprefix("Etc/") in ("UTC", "UCT", "Zulu", "GMT", "Universal"):
        return []
    return [
        note(CHECK, "The host's time zone is not UTC", zone, "The assistant's times are UTC: mind it when you compare logs.")
    ]


def judge_ntp(status: int | None) -> list[Finding]:
    """``status``: of adjtimex(2); None where it cannot be read."""
    if status is None:
        return [note(CHECK, "Whether NTP keeps this clock cannot be seen here")]
    if status & UNSYNCHRONISED:
        return [
            note(
                CHECK,
                "The kernel's clock is not kept by NTP",
                "adjtimex: unsynchronised",
                "Run chrony or systemd-timesyncd on the host; a virtual machine may be kept by its hypervisor instead.",
            )
        ]
    return [ok(CHECK, "NTP keeps this clock", "adjtimex: synchronised")]


def judge_skew(whose: str, ahead: float) -> Finding:
    """``ahead``: how many seconds the other clock is before this one."""
    evidence = f"{whose} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine"
    if abs(ahead) > SKEW_ERROR:
        return error(
            CHECK,
            f"The clock of {whose} and this one are too far apart: signatures are refused as stale",
            evidence,
            "Mend the clock that is wrong (NTP); every signature holds for five minutes on either side.",
        )
    if abs(ahead) > SKEW_WARNING:
        return warning(
            CHECK,
            f"The clock of {whose} and this one drift apart",
            evidence,
            "Mend it (NTP) before it is more than five minutes.",
        )
    return ok(CHECK, f"The clock of {whose} and this one agree", evidence if abs(ahead) >= 1 else "less than a second apart")


def ahead_of(date: str, before: float, after: float) -> float | None:
    """How far the clock that wrote the header ``Date`` is ahead, where it was asked between ``before`` and ``after`` (Unix
    seconds). The header has whole seconds, so what may be rounding is none. None: it is no date."""
    try:
        told = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    moment = told.replace(tzinfo=told.tzinfo or UTC).timestamp()
    if moment > after:
        return moment - after
    return min(moment + 1 - before, 0.0)


def offset_seconds() -> float:
    here = datetime.now().astimezone().utcoffset()
    return here.total_seconds() if here is not None else 0.0


def is_zone(name: str) -> bool:
    """POSIX forms (UTC0, CET-1CEST) are zones without a file."""
    plain = name.removeprefix(":")
    if any(character.isdigit() for character in plain) and "/" not in plain:
        return True
    return plain in ("", "UTC", "GMT") or (ZONES / plain).is_file() or not ZONES.is_dir()


def host_zone() -> str | None:
    try:
        return str(LOCAL_TIME.readlink()).rpartition("zoneinfo/")[2] or None
    except OSError:
        try:
            return ZONE_FILE.read_text(encoding="utf-8").strip() or None
        except OSError:
            return None


def clock_status() -> int | None:
    """``status`` of struct timex, which reading needs no right for. Linux alone."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    # modes (unsigned), and behind it, at the alignment of a long: offset, freq, maxerror, esterror (longs), status (int).
    buffer = (ctypes.c_long * 64)()
    if adjtimex(ctypes.byref(buffer)) < 0:
        return None
    return int(ctypes.c_int.from_buffer(buffer, 5 * ctypes.sizeof(ctypes.c_long)).value)


async def _redis(place: Place) -> list[Finding]:
    from redis import exceptions

    from app.pipeline.redis_client import RedisUnavailable, connect

    settings: Any = place.settings
    client = connect(settings)
    try:
        before = time.time()
        seconds, microseconds = await client.command("TIME")
        middle = (before + time.time()) / 2
    except (RedisUnavailable, exceptions.RedisError):
        return []  # the check of Redis has said why
    finally:
        await client.close()
    return [judge_skew("Redis", int(seconds) + int(microseconds) / 1e6 - middle)]


async def _platforms(place: Place) -> list[Finding]:
    from app.doctor.checks.network import targets
    from app.http.outbound import CallFailed, client_for, get

    found: list[Finding] = []
    for target in targets(place):
        async with client_for(target.url) as client:
            before = time.time()
            try:
                headers: Mapping[str, str] = (await get(client, target.url, {}, ASK_SECONDS)).headers
            except CallFailed:
                continue  # the check of the network has said why
        ahead = ahead_of(headers.get("date", ""), before, time.time())
        if ahead is not None:
            found.append(judge_skew(target.whose, ahead))
    return found
