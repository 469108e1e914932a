"""Answers in Redis, and who is asking the model for one. What for: :mod:`app.pipeline.answer_cache`.

Each step is one Lua script (``scripts/answers/``), so it is atomic; times are the server's. All keys have the queue's hash tag.

=================================  ======  ==================================================================================
key (after ``{assistant}:cache:``)  type    holds
=================================  ======  ==================================================================================
``answer:<key>``                   string  an answer, for its time to live
``used``, ``ends``                 zset    the keys of answers, by their last use and by the end of their life
``lease:<key>``                    string  the token of who asks the model; expires unless renewed
``outcome:<token>``                string  what became of it, in JSON, for those who wait, where no answer was kept
=================================  ======  ==================================================================================

The cache bounds itself, because Redis evicts nothing: for an entry more than the bound the one least recently used goes, in the
same step. Uses within a second count as one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.pipeline.redis_breaker import Scripts
from app.pipeline.redis_client import Script

PREFIX: Final = "{assistant}:cache"
LEASE_SECONDS: Final = 6.0  # a process that died leaves its question to another this much later
OUTCOME_SECONDS: Final = 10.0  # those who wait look several times a second
SCRIPTS = ("look", "keep", "settle", "renew")


@dataclass(frozen=True, slots=True)
class Hit:
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """How it ended for the one that was waited for, as given to :meth:`AnswerStore.settle`."""

    outcome: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """Another asks the model."""

    token: str


@dataclass(frozen=True, slots=True)
class Lead:
    """The caller has the lease: it asks the model, renews, and then keeps an answer or settles."""


Look = Hit | Told | Wait | Lead


class AnswerStore:
    """Every method raises :class:`app.pipeline.redis_client.RedisUnavailable`, also where Redis is full."""

    def __init__(self, redis: Scripts, *, live_seconds: float, entries: int, prefix: str = PREFIX) -> None:
        self._redis, self._prefix = redis, prefix
        self._live_ms, self._entries = _milliseconds(live_seconds), entries
        self._scripts = load_scripts()

    async def look(self, key: str, token: str, waited: str = "", lease_seconds: float = LEASE_SECONDS) -> Look:
        """``token``: the caller's own, for a lease. ``waited``: that of the :class:`Wait` it was told before."""
        word, value = await self._run("look", key, token, _milliseconds(lease_seconds), waited)
        match word:
            case "hit":
                return Hit(value)
            case "told":
                return Told(value)
            case "wait":
                return Wait(value)
            case _:
                return Lead()

    async def keep(self, key: str, text: str, token: str = "") -> None:
        """Keep an answer for its time, and give the lease of its key back, where it is held by ``token``."""
        await self._run("keep", key, text, self._live_ms, self._entries, token)

    async def settle(self, key: str, token: str, outcome: str = "") -> bool:
        """Give the lease back without an answer. ``outcome`` goes to those who wait; without one the next takes over."""
        return bool(await self._run("settle", key, token, outcome, _milliseconds(OUTCOME_SECONDS)))

    async def renew(self, key: str, token: str, lease_seconds: float = LEASE_SECONDS) -> bool:
        """False: the lease is held no more."""
        return bool(await self._run("renew", key, token, _milliseconds(lease_seconds)))

    async def _run(self, script: str, *arguments: str | int) -> Any:  # as the head of each script says
        return await self._redis.run(self._scripts[script], [self._prefix], arguments)


def load_scripts() -> dict[str, Script]:
    folder = Path(__file__).parent / "scripts" / "answers"
    common = (folder / "common.lua").read_text(encoding="utf-8")
    return {name: Script(common + (folder / f"{name}.lua").read_text(encoding="utf-8")) for name in SCRIPTS}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
