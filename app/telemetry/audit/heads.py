"""The heads of the chains, kept in another place than the records: cutting a file's end is then seen.

They are in Redis, ``{assistant}:audit:heads``, moved forward only; ``python -m app.telemetry.audit heads`` prints them as JSON,
to be put away where nobody changes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from app.pipeline.redis_client import RedisClient, RedisUnavailable, Script
from app.telemetry.audit.record import Head

HEADS: Final = "{assistant}:audit:heads"
MOVED: Final = "{assistant}:audit:moved"
SINCE: Final = "{assistant}:audit:since"
LATE_SECONDS: Final = 2.0  # nobody waits for a head, so it waits out a slow disk
KEPT_DAYS: Final = 400  # longer than records are kept, a year; beyond, the heads of processes long gone would add up
_HASH = re.compile(r"[0-9a-f]{64}")
_SEQ = re.compile(r"[1-9][0-9]{0,15}")


class HeadsUnavailable(Exception):
    """The heads cannot be moved or read now; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """What records are held against: the heads, and since when heads are kept there (None: not yet). Whoever had stopped before
    that has none."""

    heads: Mapping[str, Head]
    since: datetime | None = None


class Heads(Protocol):
    async def advance(self, head: Head) -> bool:
        """Whether ``head`` is the writer's head now. False: it stands further on, or elsewhere, which nothing of ours does.
        Raises :class:`HeadsUnavailable`."""


class RedisHeads:
    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._script = Script((Path(__file__).parent / "heads.lua").read_text(encoding="utf-8"))

    async def advance(self, head: Head) -> bool:
        kept = KEPT_DAYS * 86_400_000
        try:
            moved = await self._client.run(
                self._script, [HEADS, MOVED, SINCE], [head.writer, head.seq, head.hash, kept], LATE_SECONDS
            )
        except RedisUnavailable as error:
            raise HeadsUnavailable(str(error)) from None
        return bool(moved)

    async def anchored(self) -> Anchored:
        try:
            found = await self._client.command("HGETALL", HEADS)
            since = await self._client.command("GET", SINCE)
        except RedisUnavailable as error:
            raise HeadsUnavailable(str(error)) from None
        heads = {writer: _head(writer, *str(value).partition(" ")[::2]) for writer, value in dict(found).items()}
        return Anchored(heads=heads, since=datetime.fromtimestamp(int(since) / 1000, tz=UTC) if since else None)


def to_json(anchored: Anchored) -> str:
    heads = {writer: {"seq": head.seq, "hash": head.hash} for writer, head in sorted(anchored.heads.items())}
    return json.dumps({"since": anchored.since.isoformat() if anchored.since else None, "heads": heads}, indent=2)


def from_json(text: str) -> Anchored:
    """Raises :class:`HeadsUnavailable`."""
    try:
        document = json.loads(text)
        found = document["heads"].items()
        heads = {str(writer): _head(str(writer), str(head["seq"]), str(head["hash"])) for writer, head in found}
        since = datetime.fromisoformat(document["since"]).astimezone(UTC) if document.get("since") else None
        return Anchored(heads=heads, since=since)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise HeadsUnavailable("not a file that `python -m app.telemetry.audit heads` has printed") from None


def _head(writer: str, seq: str, hash: str) -> Head:
    if not _SEQ.fullmatch(seq) or not _HASH.fullmatch(hash):
        raise HeadsUnavailable(f"the head of {writer!r} is not a number and a hash: somebody else has written it")
    return Head(writer=writer, seq=int(seq), hash=hash)
