"""The long connection's other end: a WebSocket server that speaks the vendor's protobuf frames, taken from its own package.

Source: the vendor's client (``lark_oapi/ws/client.py``); the protocol itself is not documented. Importing the package takes
seconds, so this module is imported only where somebody connects.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from typing import Any

from feishu.wire import ANSWER_SECONDS
from lark_oapi.ws.pb.pbbp2_pb2 import Frame
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

CONTROL, DATA = 0, 1


class Connections:
    """Each event goes to one of the connections, as Feishu does; nobody connected: it is an attempt that failed."""

    def __init__(self, host: str, say: Callable[[str], None]) -> None:
        self._host, self._say = host, say
        self._changed = threading.Condition()
        self._open: list[ServerConnection] = []
        self._answers: dict[str, int] = {}
        self.pings = 0
        self.accepted = 0
        self._server = serve(self._connected, host, 0)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def url(self) -> str:
        port = self._server.socket.getsockname()[1]
        return f"ws://{self._host}:{port}/ws?device_id={uuid.uuid4().hex}&service_id=1&access_key=secret-in-the-url"

    def stop(self) -> None:
        self._server.shutdown()
        self.cut()

    def cut(self) -> None:
        """Every connection ends, as when the platform restarts."""
        for connection in list(self._open):
            connection.close()

    def wait_connected(self, seconds: float = 30.0) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._open), seconds)

    def deliver(self, event: dict[str, Any], *, parts: int = 1, seconds: float = ANSWER_SECONDS) -> int:
        """The code that the client answered with; 0 where none came in time."""
        with self._changed:
            if not self._open:
                self._say("delivery  nobody is connected")
                return 0
            connection = self._open[0]
        number, body = uuid.uuid4().hex, json.dumps(event, ensure_ascii=False).encode()
        size = -(-len(body) // parts)
        for part in range(parts):
            frame = _frame(DATA, type="event", message_id=number, trace_id=number, sum=str(parts), seq=str(part))
            frame.payload = body[part * size : (part + 1) * size]
            connection.send(frame.SerializeToString())
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers, seconds)
            return self._answers.get(number, 0)

    def _connected(self, connection: ServerConnection) -> None:
        with self._changed:
            self._open.append(connection)
            self.accepted += 1
            self._changed.notify_all()
        self._say("connected over the long connection")
        try:
            for message in connection:
                assert isinstance(message, bytes)
                self._read(connection, message)
        except ConnectionClosed:
            pass
        finally:
            with self._changed:
                self._open.remove(connection)
                self._changed.notify_all()

    def _read(self, connection: ServerConnection, message: bytes) -> None:
        frame = Frame()
        frame.ParseFromString(message)
        headers = {header.key: header.value for header in frame.headers}
        if frame.method == CONTROL:
            self.pings += 1
            connection.send(_frame(CONTROL, type="pong").SerializeToString())
            return
        with self._changed:
            self._answers[headers["message_id"]] = json.loads(frame.payload)["code"]
            self._changed.notify_all()


def _frame(method: int, **headers: str) -> Frame:
    frame = Frame()
    frame.SeqID = frame.LogID = 0
    frame.service, frame.method = 1, method
    for key, value in headers.items():
        header = frame.headers.add()
        header.key, header.value = key, value
    return frame
