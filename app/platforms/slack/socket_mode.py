"""``python -m app.platforms.slack.socket_mode``: events through a connection that goes out, so no public address is needed.

A process of its own with the vendor's client (slack_sdk), which opens the WebSocket, answers pings and connects again. Each
envelope is stored in the queue before it is acknowledged; what could not be stored is not acknowledged, and Slack sends it
again. From the queue on, everything is as with webhooks. Its port is for health.

Source: https://docs.slack.dev/apis/events-api/using-socket-mode.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import httpx2
from fastapi import FastAPI
from pydantic import Field

from app.http.body import parse_json
from app.http.errors import ApiError, install
from app.http.exposition import exposing
from app.http.health import Verdict, router
from app.http.lifecycle import Lifecycle
from app.http.outbound import is_loopback
from app.http.serve import ServeError, run, serve
from app.pipeline.metrics import QueueMetrics
from app.pipeline.queue import Delivery, Queue, QueuePolicy, QueueUnavailable
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.platforms.inbound import Ignored
from app.platforms.slack.connect import CheckFailed, check_app_token
from app.platforms.slack.events import parse_payload
from app.platforms.slack.web_api import WebApi
from app.settings import Port, ProcessSettings, RedisSettings, SettingsError, SlackSettings, load
from app.telemetry.audit.log import auditing
from app.telemetry.audit.record import AuditUnavailable
from app.telemetry.logs import configure, get_logger
from app.telemetry.metrics import new_registry

if TYPE_CHECKING:
    from slack_sdk.socket_mode.aiohttp import SocketModeClient
    from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
    from slack_sdk.socket_mode.request import SocketModeRequest

EXIT_CONFIGURATION: Final = 2
PING_SECONDS: Final = 5.0  # and how long it waits before it connects again
IDLE_SECONDS: Final = 0.05
CLOSE_SECONDS: Final = 2.0


class SocketModeSettings(ProcessSettings, RedisSettings, SlackSettings):
    port: Port = 8086  # health only
    queue_limit: Annotated[int, Field(ge=1)] = 100_000  # as the gateway's
    audit_directory: Path | None = None  # None: the audit log goes to standard output


class Receiver:
    """What becomes of an envelope. Knows of no connection."""

    def __init__(self, queue: Queue, now: Callable[[], float] = time.time) -> None:
        self._queue, self._now = queue, now

    async def take(self, kind: str, payload: Any) -> bool:
        """Whether to acknowledge: the event is stored, or there is nothing to store."""
        log = get_logger(kind=kind[:32])
        if kind != "events_api":
            log.info("envelope_ignored")
            return True
        try:
            # As strictly as a webhook's body: what the queue could not hold must not come back for ever.
            received = parse_payload(parse_json(json.dumps(payload).encode()), datetime.fromtimestamp(self._now(), UTC))
        except ApiError as refusal:
            log.warning("envelope_malformed", code=refusal.code, param=refusal.param)
            return True
        if isinstance(received, Ignored):
            return True
        try:
            delivery = await self._queue.deliver(received)
        except QueueUnavailable as error:
            log.warning("event_not_stored", key=received.key, reason=str(error))
            return False
        log.info("event_stored", key=received.key, delivery=delivery.value)
        return delivery is not Delivery.REFUSED


class Connection:
    """Slack's client with ``receiver`` behind it. Make it within the event loop."""

    def __init__(self, receiver: Receiver, app_token: str, api_url: str) -> None:
        self._receiver = receiver
        self._in_flight = 0
        self._client = _client(app_token, api_url)
        self._client.socket_mode_request_listeners.append(self._listen)

    async def open(self) -> None:
        """Returns once connected; until then it tries again and again."""
        await self._client.connect()  # type: ignore[no-untyped-call]

    async def is_open(self) -> bool:
        return await self._client.is_connected()

    async def drain(self) -> None:
        """Take nothing more, and store and acknowledge what has arrived. What Slack has on its way it sends again."""
        self._client.default_auto_reconnect_enabled = self._client.auto_reconnect_enabled = False
        if self._client.message_receiver is not None:
            self._client.message_receiver.cancel()
        quiet = 0
        while quiet < 2:  # between the client's queue and our listener a message is seen in neither
            await asyncio.sleep(IDLE_SECONDS)
            quiet = quiet + 1 if self._client.message_queue.empty() and not self._in_flight else 0

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._client.close(), CLOSE_SECONDS)  # type: ignore[no-untyped-call]

    async def _listen(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        self._in_flight += 1
        try:
            if await self._receiver.take(request.type, request.payload):
                await client.send_socket_mode_response({"envelope_id": request.envelope_id})
        finally:
            self._in_flight -= 1


def _client(app_token: str, api_url: str) -> SocketModeClient:
    try:
        from slack_sdk.socket_mode.aiohttp import SocketModeClient
        from slack_sdk.web.async_client import AsyncWebClient
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"Socket Mode needs Slack's own client ({error}): install the extra, pip install '.[slack]'"
        ) from None

    logger = logging.getLogger("app.platforms.slack.client")
    logger.setLevel(logging.WARNING)  # below that it writes down whole messages
    if not logger.filters:
        logger.addFilter(_without_traceback)
    client = SocketModeClient(
        app_token,
        logger=logger,
        web_client=AsyncWebClient(base_url=api_url.rstrip("/") + "/", logger=logger),
        ping_interval=PING_SECONDS,
    )
    if is_loopback(httpx2.URL(api_url).host):
        client.proxy = client.web_client.proxy = None
    return client


def _without_traceback(record: logging.LogRecord) -> bool:
    """A connection that fails is nobody's defect; the client's line says what happened."""
    record.exc_info = record.exc_text = None
    return True


def main() -> int:
    try:
        settings = load(SocketModeSettings, os.environ)
        if settings.slack_app_token is None:
            raise SettingsError("SLACK_APP_TOKEN is required for Socket Mode (or SLACK_APP_TOKEN_FILE with the path of a file)")
        configure("slack-transport", settings.log_level)
        return run(receive(settings, settings.slack_app_token.get_secret_value().strip()))
    except (SettingsError, CheckFailed) as error:
        print(f"slack-transport: cannot start:\n{error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    except (ServeError, AuditUnavailable) as error:
        print(f"slack-transport: {error}", file=sys.stderr)
        return 1


async def receive(settings: SocketModeSettings, app_token: str) -> int:
    """Bring events from Slack into the queue until the process is told to stop."""
    await _check(settings.slack_api_url, app_token)
    lifecycle, registry = Lifecycle(), new_registry()
    async with contextlib.AsyncExitStack() as parts:
        redis = connect(settings)
        parts.push_async_callback(redis.close)
        queue = RedisQueue(redis, QueuePolicy(limit=settings.queue_limit))
        metrics = QueueMetrics(registry, queue)
        await parts.enter_async_context(auditing(settings.audit_directory, redis, registry, "slack-transport"))
        connection = Connection(Receiver(queue), app_token, settings.slack_api_url)
        parts.push_async_callback(connection.close)

        @asynccontextmanager
        async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
            opening = asyncio.create_task(connection.open())
            yield
            opening.cancel()

        app = FastAPI(title="Slack transport", lifespan=lifespan, openapi_url=None)
        install(app)
        app.include_router(router(lifecycle, ready=lambda: readiness(connection, queue)))
        async with exposing(registry, settings.host, settings.metrics_port, metrics.refresh):
            return await serve(
                app,
                settings.host,
                settings.port,
                lifecycle=lifecycle,
                drain_seconds=settings.drain_seconds,
                # Nobody is sent here by a load balancer who would have to hear of it first.
                notice_seconds=0.0,
                finish=connection.drain,
            )


async def readiness(connection: Connection, queue: Queue) -> Verdict:
    if not await connection.is_open():
        return Verdict("no connection to Slack: it is tried again every few seconds")
    try:
        stats = await queue.stats()
    except QueueUnavailable as error:
        return Verdict(f"the queue is away: {error}")
    return Verdict(details={"backlog": stats.backlog})


async def _check(api_url: str, app_token: str) -> None:
    """Raises :class:`CheckFailed` where a person has to change something; a network that is away may come back."""
    api = WebApi(api_url)
    try:
        await check_app_token(api, app_token)
    except CheckFailed as error:
        if not error.passing:
            raise
        get_logger().warning("slack_is_away", reason=str(error))
    finally:
        await api.aclose()


if __name__ == "__main__":
    sys.exit(main())
