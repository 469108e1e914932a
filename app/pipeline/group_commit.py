"""Those who come while a write is under way share the next one, as databases do with their logs (group commit).

A disk's flush costs the same for one event as for many, and so does a round trip to Redis. Alone, nobody waits for company.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

LARGEST_GROUP = 128  # a script holds Redis up for so many events at most


class GroupCommit(Generic[T, R]):
    """``commit`` takes a group and gives a result for each, in order. Where it fails, those who wait for the next group fail
    with it: who finds the door shut need not try it one after another. Within one event loop."""

    def __init__(self, commit: Callable[[Sequence[T]], Awaitable[Sequence[R]]], largest: int = LARGEST_GROUP) -> None:
        self._commit = commit
        self._largest = largest
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._flight: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """The item's result. A caller who gives up leaves its item to its group. Raises what ``commit`` raises."""
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._flight is None:
            self._flight = asyncio.create_task(self._fly())
        return await result

    async def _fly(self) -> None:
        group: list[tuple[T, asyncio.Future[R]]] = []
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
                try:
                    results = await self._commit([item for item, _ in group])
                    answered = list(zip(group, results, strict=True))  # nobody waits for ever for a result that was left out
                except Exception as error:
                    self._fail([*group, *self._waiting], error)
                    self._waiting = []
                    continue
                for (_, result), found in answered:
                    if not result.done():
                        result.set_result(found)
        finally:
            self._flight = None
            for _, result in (*group, *self._waiting):  # who still waits, does so in a loop that is closing
                result.cancel()
            self._waiting = []

    @staticmethod
    def _fail(group: Sequence[tuple[T, asyncio.Future[R]]], error: Exception) -> None:
        for _, result in group:
            if not result.done():
                result.set_exception(error)
