"""uvicorn's HTTP/1.1 protocol with the limits it lacks: size and time of a request's head, time of its body, connections.

Without them a peer that sends one header byte a minute holds a connection for ever (slowloris), and a head of any size is
read into memory. Refusals at this level carry the same error body as the application's.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.http.errors import error_body
from app.http.health import LIVE_PATHS, READY_PATHS

PROBES = frozenset(path.encode() for path in (*LIVE_PATHS, *READY_PATHS))
ABORT_SECONDS = 2.0  # what a refused peer gets to read the refusal


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one server grants its callers; seconds and bytes."""

    head_bytes: int = 32 * 1024  # request line and headers together
    head_count: int = 100  # headers
    head_seconds: float = 10.0  # from the connection (or the first byte of a further request) to the end of the head
    body_seconds: float = 20.0  # from the end of the head to the end of the body
    keep_alive_seconds: int = 75  # idle between requests; longer than load balancers and gateways keep them unused
    connections: int = 448  # more are told to come again, but for probes; twice as many, below 1024 open files, are cut off
    handshake_seconds: float = 10.0  # TLS


def bounded(limits: Limits) -> type[HttpToolsProtocol]:
    """uvicorn creates one protocol a connection from a class, so the limits are bound to a class."""
    return type("BoundedProtocol", (BoundedProtocol,), {"limits": limits})


class BoundedProtocol(HttpToolsProtocol):
    limits: ClassVar[Limits] = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._application = self.app
        self._in_head = True  # waiting for, or in the middle of, a request's head
        self._unparsed = 0  # bytes of a head that is not complete
        self._deadline: asyncio.TimerHandle | None = None
        if len(self.connections) > 2 * self.limits.connections:
            transport.abort()
            return
        self._watch(self.limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._unparsed += len(data)
            if self._deadline is None:  # a further request on a kept connection
                self._watch(self.limits.head_seconds)
        super().data_received(data)
        if self._in_head and self._unparsed > self.limits.head_bytes and not self.transport.is_closing():
            self._refuse(431, "headers_too_large", self._head_message())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:
            self._watch(self.limits.head_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        # After the head come a chunked body's trailers: nobody reads them, and uvicorn would gather them without a bound.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self.app = self._application
        if size > self.limits.head_bytes or len(self.headers) > self.limits.head_count:
            self.app = _refusal(431, "headers_too_large", self._head_message())
        elif len(self.connections) > self.limits.connections and self.url not in PROBES:
            self.app = _refusal(503, "too_many_connections", "too many connections: try again shortly")
        super().on_headers_complete()
        self._in_head, self._unparsed = False, 0
        self._watch(self.limits.body_seconds)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._unwatch()

    def timeout_keep_alive_handler(self) -> None:
        self._unwatch()
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "invalid_http", "this is not a valid HTTP/1.1 request")

    def _watch(self, seconds: float) -> None:
        self._unwatch()
        self._deadline = self.loop.call_later(seconds, self._too_slow, seconds)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self, seconds: float) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        reading = self._in_head or self.cycle.more_body
        answering = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        if self.pipeline or answering or not reading:
            # Further bytes wait, perhaps unread, behind a request that is being answered: that is not the peer's doing.
            self._watch(seconds)
            return
        part = "headers" if self._in_head else "body"
        self._refuse(408, "request_timeout", f"the request's {part} did not arrive within {seconds:g} seconds")

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade that is not offered is answered as a plain request; the offer is no event worth a log line."""

    def _head_message(self) -> str:
        return f"the request's headers exceed {self.limits.head_bytes} bytes or {self.limits.head_count} lines"

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer if nothing was answered yet, then close, and cut off a peer that does not read."""
        self._unwatch()
        if self._in_head or not self.cycle.response_started:
            body = json.dumps(error_body(status, code, message)).encode()
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        self.transport.close()
        self.loop.call_later(ABORT_SECONDS, self.transport.abort)


def _refusal(status: int, code: str, message: str) -> Any:
    body = json.dumps(error_body(status, code, message)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"1"))

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application
