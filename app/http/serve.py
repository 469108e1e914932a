"""Serve an application until it is told to stop, and then drain: what gateway, inference service and worker health share.

On SIGTERM or SIGINT readiness turns 503 (``notice_seconds`` pass while load balancers see it), then new work is refused with
503 while the probes still answer, running requests get up to ``drain_seconds``, and the process exits 0. A second signal, or
the end of that time, forces the exit with code 1. A process that stops because of a fault of its own gives no notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any, Literal

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from app.http.errors import ApiError, render
from app.http.health import LIVE_PATHS, READY_PATHS
from app.http.lifecycle import Lifecycle
from app.http.protocol import Limits, bounded
from app.telemetry.logs import get_logger

EXIT_FORCED = 1
EXIT_STARTUP = 3  # the application's own start failed; uvicorn's code for it
CLEANUP_SECONDS = 3.0  # for the application's shutdown once the drain is over
FLUSH_SECONDS = 1.0  # for the last responses to leave
POLL_SECONDS = 0.05
# Forward secrecy and authenticated encryption for TLS 1.2; TLS 1.3's suites all have both.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ServeError(Exception):
    """The process cannot serve as configured; the message is one line for the operator."""


def tls_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    """A server context for TLS 1.2 or newer. Raises :class:`ServeError` when the files are missing or do not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, private_key)
    except (OSError, ssl.SSLError) as error:
        message = f"TLS certificate {certificate} with key {private_key} cannot be used: {error.strerror or error}"
        raise ServeError(message) from None
    return context


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run an entry point's coroutine on uvloop; returns its exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    lifecycle: Lifecycle,
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    drain_seconds: float = 20.0,
    notice_seconds: float = 0.0,
    finish: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """Serve ``app`` on ``host:port`` until ``lifecycle`` drains; returns the exit code.

    ``finish`` is awaited while draining, beside the running requests (a worker ends its own work in it). Raises
    :class:`ServeError` when the address cannot be bound.
    """
    limits = limits or Limits()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lifecycle.signalled)
    config = _config(_gate(app, lifecycle), limits, lifespan="on")
    state, lifespan = ServerState(), config.lifespan_class(config)
    await lifespan.startup()
    if lifespan.should_exit:
        return EXIT_STARTUP

    try:
        server = await _listen(config, state, lifespan.state, host, port, limits, tls)
    except ServeError:
        await lifespan.shutdown()
        raise
    log = get_logger()
    log.info("listening", host=host, port=server.sockets[0].getsockname()[1], tls=tls is not None)
    clock = asyncio.create_task(_date_header(state))
    await lifecycle.draining.wait()

    log.info("draining", seconds=drain_seconds, requests=len(state.tasks))
    clean = await _drain(state, lifecycle, drain_seconds, notice_seconds if lifecycle.exit_code == 0 else 0.0, finish)
    clock.cancel()
    server.close()
    with contextlib.suppress(TimeoutError):
        # What still runs is failed by the application now, and told so.
        await asyncio.wait_for(
            lifespan.shutdown(), CLEANUP_SECONDS if clean or not lifecycle.forced.is_set() else FLUSH_SECONDS
        )
    await _flush(state)
    log.info("stopped", clean=clean, requests_cut=len(state.tasks))
    if not clean:
        # A thread that never returns must not keep the process: this exit waits for none.
        logging.shutdown()
        os._exit(lifecycle.exit_code or EXIT_FORCED)
    return lifecycle.exit_code


@asynccontextmanager
async def serving_beside(app: ASGIApp, host: str, port: int, limits: Limits) -> AsyncIterator[None]:
    """Serve ``app``, which has no lifespan, on a port of its own while the block runs; then cut its connections off.

    It goes on answering while the main application drains. Raises :class:`ServeError` when the address cannot be bound.
    """
    config, state = _config(app, limits, lifespan="off"), ServerState()
    server = await _listen(config, state, {}, host, port, limits, tls=None)
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            if connection.transport is not None:
                connection.transport.abort()


def _config(app: ASGIApp, limits: Limits, lifespan: Literal["on", "off"]) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=bounded(limits),
        ws="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=limits.keep_alive_seconds,
    )
    config.load()
    return config


async def _listen(
    config: uvicorn.Config,
    state: ServerState,
    app_state: dict[str, Any],
    host: str,
    port: int,
    limits: Limits,
    tls: ssl.SSLContext | None,
) -> asyncio.Server:
    def protocol() -> asyncio.Protocol:
        return config.http_protocol_class(config=config, server_state=state, app_state=app_state)  # type: ignore[call-arg]

    timeouts: dict[str, Any] = {"ssl_handshake_timeout": limits.handshake_seconds, "ssl_shutdown_timeout": 5.0} if tls else {}
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(protocol, host, port, ssl=tls, backlog=limits.connections, **timeouts)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ServeError(f"cannot listen on {host}:{port}: {reason}") from None


async def _drain(
    state: ServerState, lifecycle: Lifecycle, drain: float, notice: float, finish: Callable[[], Awaitable[None]] | None
) -> bool:
    """True when all that ran has finished in time; False on a second signal or when the time is over."""
    if notice:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(lifecycle.forced.wait(), notice)
    lifecycle.refusing.set()
    for connection in list(state.connections):
        connection.shutdown()  # closes an idle one; a busy one after its response
    finishing = asyncio.ensure_future(finish()) if finish else None
    deadline = time.monotonic() + drain
    while state.tasks or (finishing and not finishing.done()):
        if lifecycle.forced.is_set() or time.monotonic() >= deadline:
            if finishing:
                finishing.cancel()
            return False
        await asyncio.sleep(POLL_SECONDS)
    if finishing:
        finishing.result()
    return True


async def _flush(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.shutdown()
    deadline = time.monotonic() + FLUSH_SECONDS
    while state.connections and time.monotonic() < deadline:  # noqa: ASYNC110 (uvicorn's sets tell nobody when they empty)
        await asyncio.sleep(POLL_SECONDS / 5)
    for connection in list(state.connections):
        if connection.transport is not None:
            connection.transport.abort()


async def _date_header(state: ServerState) -> None:
    while True:
        state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        await asyncio.sleep(1)


def _gate(app: ASGIApp, lifecycle: Lifecycle) -> ASGIApp:
    """Refuse new work while the process drains; probes go on answering."""
    probes = {*LIVE_PATHS, *READY_PATHS}

    async def gated(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and lifecycle.refusing.is_set() and scope["path"] not in probes:
            message = "this process is about to stop: send the request again"
            refusal = ApiError(503, "draining", message, retry_after=1, headers={"Connection": "close"})
            await render(refusal)(scope, receive, send)
            return
        await app(scope, receive, send)

    return gated
