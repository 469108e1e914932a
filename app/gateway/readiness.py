"""Whether work sent to this gateway now would be done.

Ready means that Redis answers: then an event can be stored, and stored events are processed sooner or later. The inference
service is reported beside it and does not count: while it restarts, events must still be accepted (a platform gives up after a
few refusals, the queue does not), and a gateway taken out of the load balancer could not say 503 to a question either.
"""

from __future__ import annotations

import asyncio
import time

import httpx2

from app.http.health import Verdict
from app.pipeline.redis_client import RedisClient, RedisUnavailable

INFERENCE_SECONDS = 0.5
# The probe needs no credential: however often it is asked, the inference service is asked once in this time.
REMEMBERED_SECONDS = 1.0


class Readiness:
    def __init__(self, redis: RedisClient, http: httpx2.AsyncClient, inference_url: str) -> None:
        self._redis, self._http = redis, http
        self._inference = inference_url.rstrip("/") + "/readyz"
        self._verdict: Verdict | None = None
        self._until = 0.0
        self._asking = asyncio.Lock()

    async def __call__(self) -> Verdict:
        async with self._asking:
            if self._verdict is None or time.monotonic() >= self._until:
                self._verdict = await self._ask()
                self._until = time.monotonic() + REMEMBERED_SECONDS
            return self._verdict

    async def _ask(self) -> Verdict:
        redis, inference = await asyncio.gather(self._ask_redis(), self._ask_inference())
        reason = None if redis == "ready" else redis
        return Verdict(reason, {"redis": "ready" if reason is None else "not ready", "inference": inference})

    async def _ask_redis(self) -> str:
        try:
            await self._redis.command("PING")
        except RedisUnavailable as error:
            return str(error)
        return "ready"

    async def _ask_inference(self) -> str:
        try:
            async with asyncio.timeout(INFERENCE_SECONDS), self._http.stream("GET", self._inference) as response:
                return "ready" if response.status_code == 200 else "not ready"
        except (TimeoutError, httpx2.HTTPError):
            return "unreachable"
