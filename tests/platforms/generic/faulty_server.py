"""A small HTTP/1.1 server whose answers can be made to fail on demand: statuses, resets, delays, garbage."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

MAX_BODY_BYTES = 1024 * 1024


@dataclass
class Fault:
    """What goes wrong at ``path``, ``times`` times.

    ``status`` answers with that status (and ``retry_after``), ``reset`` cuts the connection, ``slow`` waits ``seconds`` and
    goes on, ``garbage`` answers 200 with ``body``, ``redirect`` answers 307 to ``location``. ``after_effect``: the request has
    its effect first, so only the answer is lost.
    """

    path: str
    kind: Literal["status", "reset", "slow", "garbage", "redirect"] = "status"
    times: int = 1
    status: int = 500
    retry_after: str | None = None
    seconds: float = 1.0
    body: str = "not json"
    location: str = "http://127.0.0.1:9/"
    after_effect: bool = False


@dataclass
class Answer:
    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


Handle = Callable[[str, str, dict[str, str], bytes], Answer]  # method, path, headers in lower case, body


class FaultyServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host: str, port: int, handle: Handle, take_fault: Callable[[str], Fault | None]) -> None:
        self.handle_call, self.take_fault = handle, take_fault
        self._open: set[socket.socket] = set()  # closed also when the port turns out to be taken
        super().__init__((host, port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """The kept connections end too, as when a server's process does: else the next one at this port would miss calls."""
        super().server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that hangs up is nothing to print a traceback for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one segment
    timeout = 30
    server: FaultyServer

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _serve(self) -> None:
        length = self.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            return self._send(413, b"{}", {})
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.server.take_fault(self.path)
        answer = None
        if fault is None or fault.after_effect or fault.kind == "slow":
            if fault is not None and fault.kind == "slow" and not fault.after_effect:
                time.sleep(fault.seconds)
            answer = self.server.handle_call(self.command, self.path, headers, body)
        if fault is not None and (fault.kind != "slow" or fault.after_effect):
            return self._break(fault, answer)
        assert answer is not None
        return self._send(answer.status, json.dumps(answer.body, ensure_ascii=False).encode(), answer.headers)

    def _break(self, fault: Fault, answer: Answer | None) -> None:
        if fault.kind == "reset":
            # No waiting on close: the peer gets RST, as from a crashed server.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif fault.kind == "slow":
            time.sleep(fault.seconds)
            assert answer is not None
            self._send(answer.status, json.dumps(answer.body).encode(), answer.headers)
        elif fault.kind == "redirect":
            self._send(307, b"{}", {"Location": fault.location})
        elif fault.kind == "garbage":
            self._send(200, fault.body.encode(), {})
        else:
            retry = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            self._send(fault.status, b'{"error": "on demand"}', retry)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *arguments: Any) -> None:
        """The platform says what it received in its own lines."""
