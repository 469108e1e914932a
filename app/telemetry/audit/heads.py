"""The heads of the chains, kept in another place than the records: cutting a file's end is then seen.

They are in Redis, ``{assistant}:audit:heads``, moved forward only; ``python -m app.telemetry.audit heads`` prints them as JSON,
to be put away where nobody changes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from app.pipeline.redis_client import RedisClient, RedisUnavailable, Script
from app.telemetry.audit.record import Head

HEADS: Final = "{assistant}:audit:heads"
MOVED: Final = "{assistant}:audit:moved"
KEPT_DAYS: Final = 400  # longer than records are kept, a year; beyond, the heads of processes long gone would add up
_HASH = re.compile(r"[0-9a-f]{64}")
_SEQ = re.compile(r"[1-9][0-9]{0,15}")


class HeadsUnavailable(Exception):
    """The heads cannot be moved or read now; the message says why."""


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
            return bool(await self._client.run(self._script, [HEADS, MOVED], [head.writer, head.seq, head.hash, kept]))
        except RedisUnavailable as error:
            raise HeadsUnavailable(str(error)) from None

    async def all(self) -> dict[str, Head]:
        try:
            found = await self._client.command("HGETALL", HEADS)
        except RedisUnavailable as error:
            raise HeadsUnavailable(str(error)) from None
        return {writer: _head(writer, *str(value).partition(" ")[::2]) for writer, value in dict(found).items()}


def to_json(heads: Mapping[str, Head]) -> str:
    document = {writer: {"seq": head.seq, "hash": head.hash} for writer, head in sorted(heads.items())}
    return json.dumps(document, indent=2)


def from_json(text: str) -> dict[str, Head]:
    """Raises :class:`HeadsUnavailable`."""
    try:
        document = json.loads(text)
        return {str(writer): _head(str(writer), str(head["seq"]), str(head["hash"])) for writer, head in document.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise HeadsUnavailable(
            'not a file of heads: {"<writer>": {"seq": 12, "hash": "<64 hex digits>"}} is expected'
        ) from None


def _head(writer: str, seq: str, hash: str) -> Head:
    if not _SEQ.fullmatch(seq) or not _HASH.fullmatch(hash):
        raise HeadsUnavailable(f"the head of {writer!r} is not a number and a hash: somebody else has written it")
    return Head(writer=writer, seq=int(seq), hash=hash)
