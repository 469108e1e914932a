"""``python -m app.platforms.feishu.long_connection``: Feishu's events over a connection that this side opens.

For a stack without a public address. The vendor's package speaks the protocol, which is not documented; it takes seconds and
170 MB to import, so it has a process of its own, and there a thread of its own, as it brings its own event loop.

**Nothing is lost.** An event is acknowledged (200) once the queue has stored it. Whatever else happens in the handler becomes
a 500, and Feishu sends the event again after 15 s, 5 min, 1 h and 6 h. Of several connections Feishu chooses one for each
event, so two processes share the work, and one may stop.

The connection proves itself by the application's secret; what comes over it is neither signed nor encrypted.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import Field

from app.http.body import parse_json
from app.http.errors import ApiError, install
from app.http.exposition import exposing
from app.http.health import Verdict, router
from app.http.lifecycle import Lifecycle
from app.http.serve import ServeError, run, serve
from app.pipeline.metrics import QueueMetrics
from app.pipeline.queue import Delivery, Queue, QueuePolicy, QueueUnavailable
from app.pipeline.redis_client import connect
from app.pipeline.redis_queue import RedisQueue
from app.platforms.feishu.payload import parse_payload
from app.platforms.inbound import Ignored
from app.settings import FeishuSettings, Port, ProcessSettings, RedisSettings, SettingsError, load
from app.telemetry.audit.log import auditing
from app.telemetry.audit.record import AuditUnavailable
from app.telemetry.logs import configure, get_logger
from app.telemetry.metrics import new_registry

STORE_SECONDS = 2.5  # Feishu waits 3 for an answer
GONE_SECONDS = 600.0  # without a connection for so long, another process may do better
WATCH_SECONDS = 1.0
EXIT_CONFIGURATION = 2
SERVICE = "feishu-transport"


class LongConnectionSettings(ProcessSettings, RedisSettings, FeishuSettings):
    """As the gateway's and worker's; the application's id and secret are required."""

    port: Port = 8087  # health only
    queue_limit: Annotated[int, Field(ge=1)] = 100_000  # as the gateway's
    audit_directory: Path | None = None  # None: the audit log goes to standard output


class NotStored(Exception):
    """The event shall be sent again. The message is logged by the vendor's package: no text of anybody's."""


class Inbox:
    """Stores what the connection brings, from the package's thread into the queue's loop."""

    def __init__(self, queue: Queue, loop: asyncio.AbstractEventLoop, bot_open_id: str | None) -> None:
        self._queue, self._loop, self._bot_open_id = queue, loop, bot_open_id

    def take(self, payload: bytes) -> None:
        """Returns once the event is stored, or is none for us. Raises :class:`NotStored`."""
        try:
            value = parse_json(payload)
            received = parse_payload(value if isinstance(value, dict) else {}, time.time(), self._bot_open_id)
        except ApiError as error:
            raise NotStored(f"malformed: {error.message}") from None
        if isinstance(received, Ignored):
            return
        storing = asyncio.run_coroutine_threadsafe(self._queue.deliver(received), self._loop)
        try:
            delivery = storing.result(STORE_SECONDS)
        except QueueUnavailable as error:
            raise NotStored(f"the queue is away: {error}") from None
        except TimeoutError:
            storing.cancel()
            raise NotStored("the queue took too long") from None
        get_logger().info("received", key=received.key, status=delivery.value)
        if delivery is Delivery.REFUSED:
            raise NotStored("too many events wait")


class Connection:
    """The vendor's client in a daemon thread. ``ended`` is called from it with a sentence where it gives up for good."""

    def __init__(self, settings: LongConnectionSettings, take: Callable[[bytes], None], ended: Callable[[str], None]) -> None:
        self._settings, self._take, self._ended = settings, take, ended
        self._package: Any = None
        self._client: Any = None
        self._thread = threading.Thread(target=self._run, name="feishu", daemon=True)
        self._closing = False

    def start(self) -> None:
        self._thread.start()

    @property
    def connected(self) -> bool:
        """The package tells it nowhere but in a field of its own."""
        return self._client is not None and self._client._conn is not None

    def close(self) -> None:
        """No more events come. What is not acknowledged yet is sent again, to whoever is connected then."""
        self._closing = True
        if not self.connected:
            return
        self._client._auto_reconnect = False
        closing = asyncio.run_coroutine_threadsafe(self._client._disconnect(), self._package.loop)
        try:
            closing.result(2.0)
        except Exception as error:  # the process ends in any case, and the connection with it
            get_logger().warning("not_closed", type=type(error).__name__)

    def _unforeseen(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """A task of the package's ended with an error that nobody awaits: its reconnecting, when Feishu refuses it for good."""
        if not self._closing:
            self._ended(self._why(context.get("exception")))

    def _why(self, error: object) -> str:
        if self._package is not None and isinstance(error, self._package.ClientException):
            hint = "check FEISHU_APP_ID, FEISHU_APP_SECRET and that events are taken by long connection"
            return f"Feishu's long connection ended ({error}): {hint}"
        return f"Feishu's long connection ended ({type(error).__name__})"

    def _run(self) -> None:
        try:
            package: Any = importlib.import_module("lark_oapi.ws.client")
            self._package = package
            package.loop = asyncio.new_event_loop()  # its own would be that of whoever imported it first
            asyncio.set_event_loop(package.loop)
            package.loop.set_exception_handler(self._unforeseen)
            adopt_logs()
            secret = self._settings.feishu_app_secret
            self._client = package.Client(
                self._settings.feishu_app_id,
                secret.get_secret_value() if secret else "",
                # Below warnings it logs addresses with credentials, and messages.
                log_level=package.LogLevel.WARNING,
                event_handler=handler_for(package, self._take),
                domain=self._settings.feishu_url.rstrip("/"),
            )
            self._client.start()
        except Exception as error:
            self._ended(self._why(error))


def handler_for(package: Any, take: Callable[[bytes], None]) -> Any:
    """What the package's client calls with each event. Its own dispatcher would answer events that nobody registered with an
    error, and read all others into objects; this one reads them as the webhook does."""

    class Handler(package.EventDispatcherHandler):  # type: ignore[misc]  # (a class of an untyped package)
        def _do_without_validation(self, payload: bytes) -> None:
            take(payload)

        do_without_validation = _do_without_validation  # as older versions call it

    return Handler()


def main() -> int:
    try:
        settings = load(LongConnectionSettings, os.environ)
        if settings.feishu_app_id is None or settings.feishu_app_secret is None:
            raise SettingsError("FEISHU_APP_ID and FEISHU_APP_SECRET are required (the secret also as FEISHU_APP_SECRET_FILE)")
        if importlib.util.find_spec("lark_oapi") is None:
            raise SettingsError("the vendor's package is missing: install this one with its extra, assistant-stack[feishu]")
        configure(SERVICE, settings.log_level)
        return run(receive(settings))
    except SettingsError as error:
        print(f"{SERVICE}: cannot start:\n{error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    except (ServeError, AuditUnavailable) as error:
        print(f"{SERVICE}: {error}", file=sys.stderr)
        return 1


async def receive(settings: LongConnectionSettings) -> int:
    """Bring events from Feishu into the queue until the process is told to stop."""
    lifecycle, loop, registry = Lifecycle(), asyncio.get_running_loop(), new_registry()

    def ended(why: str) -> None:
        get_logger().error("disconnected", reason=why)
        loop.call_soon_threadsafe(lifecycle.stop, 1)

    async with contextlib.AsyncExitStack() as parts:
        redis = connect(settings)
        parts.push_async_callback(redis.close)
        queue = RedisQueue(redis, QueuePolicy(limit=settings.queue_limit))
        metrics = QueueMetrics(registry, queue)
        await parts.enter_async_context(auditing(settings.audit_directory, redis, registry, SERVICE))
        connection = Connection(settings, Inbox(queue, loop, settings.feishu_bot_open_id).take, ended)

        @asynccontextmanager
        async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
            connection.start()
            watching = asyncio.create_task(watch(connection, lifecycle))
            yield
            watching.cancel()

        app = FastAPI(title="Feishu transport", lifespan=lifespan, openapi_url=None)
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
                finish=lambda: asyncio.to_thread(connection.close),
            )


async def readiness(connection: Connection, queue: Queue) -> Verdict:
    """Ready: connected, and the queue answers."""
    if not connection.connected:
        return Verdict("no connection to Feishu: it is tried again and again")
    try:
        stats = await queue.stats()
    except QueueUnavailable as error:
        return Verdict(f"the queue is away: {error}")
    return Verdict(details={"backlog": stats.backlog})


async def watch(connection: Connection, lifecycle: Lifecycle) -> None:
    """The package reconnects by itself, but some of its errors end that silently: then this process ends, and is restarted."""
    connected, seen = False, time.monotonic()
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if connection.connected != connected:
            connected = not connected
            get_logger().info("connected" if connected else "reconnecting")
        seen = time.monotonic() if connected else seen
        if time.monotonic() - seen > GONE_SECONDS:
            get_logger().error("disconnected", reason=f"no connection to Feishu for {GONE_SECONDS:.0f} s")
            lifecycle.stop(exit_code=1)


def adopt_logs() -> None:
    """The package prints to standard output in lines of its own; here they become records like all others. What it is built on
    logs addresses with credentials, and messages, below warnings."""
    its = logging.getLogger("Lark")
    its.handlers.clear()
    its.propagate = True
    for name in ("websockets", "urllib3", "requests", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
