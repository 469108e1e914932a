"""supervisord's XML-RPC interface over its Unix socket, with a time-out on every call."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

CALL_SECONDS = 5.0
BAD_NAME, ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED = 10, 60, 70, 90  # supervisor.xmlrpc.Faults


class SupervisorUnreachable(Exception):
    """Nothing answers on the socket."""


@dataclass(frozen=True)
class ProgramState:
    """What supervisord says of a program. ``state``: its name in supervisor's documentation, such as RUNNING or BACKOFF."""

    state: str
    pid: int
    detail: str


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(self._path)


class SupervisorClient:
    """Calls raise :class:`SupervisorUnreachable` where supervisord does not answer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pid(self) -> int:
        return int(cast(int, self._call("supervisor.getPID")))

    def version(self) -> str:
        return str(self._call("supervisor.getSupervisorVersion"))

    def answers(self) -> bool:
        try:
            self.version()
        except SupervisorUnreachable:
            return False
        return True

    def shutdown(self) -> None:
        """Ask it to stop its programs and then itself; returns at once."""
        self._call("supervisor.shutdown")

    def program(self, name: str) -> ProgramState | None:
        """None where supervisord knows no program ``name``."""
        try:
            info = cast(dict[str, Any], self._call("supervisor.getProcessInfo", name))
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == BAD_NAME:
                return None
            raise
        return ProgramState(str(info["statename"]), int(info["pid"]), str(info["spawnerr"]))

    def add(self, name: str) -> None:
        """Read the configuration files again and take ``name`` on; it starts by itself."""
        self._call("supervisor.reloadConfig")
        self._tolerating(ALREADY_ADDED, "supervisor.addProcessGroup", name)

    def start(self, name: str) -> None:
        """Start a program that has stopped or failed; returns at once."""
        self._tolerating(ALREADY_STARTED, "supervisor.startProcess", name, False)

    def stop(self, name: str) -> None:
        """Ask a program to stop; returns at once."""
        self._tolerating(NOT_RUNNING, "supervisor.stopProcess", name, False)

    def remove(self, name: str) -> None:
        """Forget a program that has stopped."""
        self._tolerating(BAD_NAME, "supervisor.removeProcessGroup", name)

    def _tolerating(self, code: int, method: str, *arguments: object) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != code:
                raise

    def _call(self, method: str, *arguments: object) -> object:
        # A connection for each call: the provider's threads share nothing.
        with xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(self._path), allow_none=True) as proxy:
            try:
                result: object = getattr(proxy, method)(*arguments)
            except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
                raise SupervisorUnreachable(f"supervisord does not answer on {self._path} ({error})") from error
            return result
