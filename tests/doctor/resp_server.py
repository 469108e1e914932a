"""A Redis of which only the clock can be set: it answers what a client says at its start, PING, SET, TIME and INFO."""

from __future__ import annotations

import socketserver
import threading
import time
from typing import Any


class ClockRedis:
    """``ahead``: how many seconds its clock is before this machine's."""

    def __init__(self, ahead: float) -> None:
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline():
                    words = []
                    for _ in range(int(line[1:])):
                        size = int(self.rfile.readline()[1:])
                        words.append(self.rfile.read(size + 2)[:-2].decode())
                    self.wfile.write(server.answer(words))

        self.ahead = ahead
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._server.server_address[1]}/0"

    def answer(self, words: list[str]) -> bytes:
        match words[0].upper():
            case "TIME":
                told = time.time() + self.ahead
                seconds, micros = str(int(told)), str(int(told % 1 * 1e6))
                return f"*2\r\n${len(seconds)}\r\n{seconds}\r\n${len(micros)}\r\n{micros}\r\n".encode()
            case "HELLO":
                return b"-ERR unknown command\r\n"
            case "PING":
                return b"+PONG\r\n"
            case _:
                return b"+OK\r\n"

    def __enter__(self) -> ClockRedis:
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()
