"""Which model answers now: the digest under which kept answers are looked for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Final

import httpx2

from app.http.outbound import CallFailed, get
from app.pipeline.answer import digest_in

REFRESH_SECONDS: Final = 2.0  # so long, at most, an answer of the model before the last may still be told
IDLE_SECONDS: Final = 10.0  # nobody asked for so long: the service is left alone
KEPT_SECONDS: Final = 60.0  # so long the last digest stands while the service cannot be reached
WAIT_SECONDS: Final = 0.5  # for the first digest


class ModelIdentity:
    """Asks the inference service's readiness for its digest, every :data:`REFRESH_SECONDS` while somebody uses it, and hears of
    it with each answer. ``client`` is shared and closed by its owner.

    A service that answers without a digest (it loads a model, or is another vendor's) has none: nothing is known. One that
    cannot be reached keeps its last for :data:`KEPT_SECONDS`.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        url: str,
        *,
        refresh_seconds: float = REFRESH_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._url = client, url.rstrip("/") + "/readyz"
        self._refresh_seconds, self._wait_seconds, self._clock = refresh_seconds, wait_seconds, clock
        self._digest: str | None = None
        self._heard_at = 0.0
        self._used_at = 0.0
        self._asked = asyncio.Event()  # since the following began
        self._following: asyncio.Task[None] | None = None

    async def digest(self) -> str | None:
        """The last one known; None where none is. Takes no time while in use, and at most ``wait_seconds`` after a pause."""
        self._used_at = self._clock()
        if self._following is None or self._following.done():
            self._asked.clear()
            self._following = asyncio.create_task(self._follow())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._wait_seconds):
                await self._asked.wait()
        known = self._asked.is_set() and self._clock() - self._heard_at <= KEPT_SECONDS
        return self._digest if known else None

    def learned(self, digest: str | None) -> None:
        """An answer came from the model with this digest; None, where it told none, changes nothing."""
        if digest is not None:
            self._digest, self._heard_at = digest, self._clock()

    async def aclose(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait({self._following})

    async def _follow(self) -> None:
        while self._clock() - self._used_at <= IDLE_SECONDS:
            await self._ask()
            self._asked.set()
            await asyncio.sleep(self._refresh_seconds)

    async def _ask(self) -> None:
        try:
            answer = await get(self._client, self._url, {}, self._refresh_seconds)
        except CallFailed:
            return
        with contextlib.suppress(ValueError, RecursionError):
            values = json.loads(answer.body)
            self._digest, self._heard_at = digest_in(values.get("digest") if isinstance(values, dict) else None), self._clock()
