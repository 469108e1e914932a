"""One piece of work for all who ask for the same thing at the same time, within a process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    passengers: int = 0


class SingleFlight(Generic[T]):
    """The work goes on as long as one of those who wait for it does, and ends with the last."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """``work``'s result or error, and whether it was begun for this caller."""
        flight = self._flights.get(key)
        led = flight is None
        if flight is None:
            flight = _Flight(asyncio.create_task(_run(work)))
            self._flights[key] = flight
        flight.passengers += 1
        try:
            return await asyncio.shield(flight.task), led
        finally:
            flight.passengers -= 1
            if flight.passengers == 0:
                # Whoever comes now begins anew, rather than board what is being broken off.
                if self._flights.get(key) is flight:
                    del self._flights[key]
                flight.task.cancel()
                await asyncio.wait({flight.task})
            elif flight.task.done() and self._flights.get(key) is flight:
                del self._flights[key]


async def _run(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
