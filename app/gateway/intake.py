"""What becomes of a genuine request of a platform: stored before it is acknowledged, or not acknowledged.

The edge calls this itself once it has verified a request. An event waits for a disk, and should wait for little else: the
framework's routing and its request and response objects cost more than verifying, parsing and storing together.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.http.errors import ApiError
from app.pipeline.queue import Delivery, Queue, QueueUnavailable
from app.platforms.inbound import Challenge, Ignored, Received

BUSY_SECONDS = 5.0  # what a caller is asked to wait where nothing better is known
QUEUE_SECONDS = 2.0  # Redis restarts within this


class Intake:
    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def take(self, received: Received) -> Mapping[str, str]:
        """The answer's body. Raises :class:`app.http.errors.ApiError` 503 where it cannot be stored now: the platform sends
        it again."""
        if isinstance(received, Challenge):
            return received.body
        if isinstance(received, Ignored):
            return {"status": "ignored", "event": received.key}
        try:
            delivery = await self._queue.deliver(received)
        except QueueUnavailable as error:
            raise queue_unavailable(error) from None
        if delivery is Delivery.REFUSED:
            raise ApiError(503, "queue_full", "too many events wait: send this one again later", retry_after=BUSY_SECONDS)
        return {"status": delivery.value, "event": received.key}


def queue_unavailable(error: QueueUnavailable) -> ApiError:
    return ApiError(503, "queue_unavailable", f"nothing can be stored or read now: {error}", retry_after=QUEUE_SECONDS)
