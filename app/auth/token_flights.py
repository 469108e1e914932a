"""Single flight of a token within a process: one request, however many wait for it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from app.auth.access_tokens import AccessTokenUnavailable


class TokenFlights:
    """One flight a key. It goes on when nobody waits any more: a refresh token that is used up and not stored is lost."""

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Task[str]] = {}

    async def run(self, key: str, work: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """``work``'s token or error, of the flight that is under way or begun now. Who comes after it begins anew."""
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(work())
            self._flights[key] = flight
            flight.add_done_callback(functools.partial(self._landed, key))
        try:
            # Shielded: a caller who gives up must not take the others' token along.
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if flight.cancelled() and not (task and task.cancelling()):
                raise AccessTokenUnavailable("the token manager was closed while a token was on its way") from None
            raise

    async def aclose(self, grace_seconds: float = 0.0) -> None:
        """Break off what is under way, after ``grace_seconds`` in which it may still land."""
        flights = list(self._flights.values())
        if flights and grace_seconds:
            await asyncio.wait(flights, timeout=grace_seconds)
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _landed(self, key: str, flight: asyncio.Task[str]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, also when every caller has gone: no "exception was never retrieved"
