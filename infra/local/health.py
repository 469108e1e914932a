"""Asks a process whether it is ready, with nothing but the standard library. Times are in seconds."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

HOST = "127.0.0.1"
LONGEST_ANSWER = 4096  # bytes of an answer that are looked at


@dataclass(frozen=True, kw_only=True)
class Check:
    """How to ask. ``file``: the authority's PEM for ``https``, the password for ``redis``.

    ``ready_within``: after a start. ``recovers_within``: how long a process that was ready may fail before it counts as
    broken, because it or what it depends on may just be starting again.
    """

    kind: Literal["http", "https", "redis"]
    port: int
    path: str = "/readyz"
    file: str | None = None
    ready_within: float = 60.0
    recovers_within: float = 10.0
    answer_within: float = 2.0

    def as_input(self) -> dict[str, Any]:
        """In the form of a resource's property."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_input(cls, value: Mapping[str, Any]) -> Check:
        """Numbers arrive as floats from the engine."""
        return cls(**{**value, "port": int(value["port"])})


@dataclass(frozen=True)
class Health:
    """``detail``: why not, in words."""

    ready: bool
    detail: str = ""


def probe(check: Check) -> Health:
    """Ask once; never raises for what the other side does."""
    try:
        return _ping(check) if check.kind == "redis" else _get(check)
    except TimeoutError:
        return Health(False, f"no answer on port {check.port} within {check.answer_within:g} s")
    except ConnectionRefusedError:
        return Health(False, f"nothing listens on port {check.port}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Health(False, f"port {check.port}: {type(error).__name__}: {error}")


def _get(check: Check) -> Health:
    connection: http.client.HTTPConnection
    if check.kind == "https":
        context = ssl.create_default_context(cafile=check.file)
        connection = http.client.HTTPSConnection(HOST, check.port, timeout=check.answer_within, context=context)
    else:
        connection = http.client.HTTPConnection(HOST, check.port, timeout=check.answer_within)
    with contextlib.closing(connection):
        connection.request("GET", check.path)
        response = connection.getresponse()
        body = response.read(LONGEST_ANSWER)
    if response.status == http.HTTPStatus.OK:
        return Health(True)
    return Health(False, f"{check.path} answers {response.status}{_reason(body)}")


def _reason(body: bytes) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    reason = document.get("reason") if isinstance(document, dict) else None
    return f": {reason}" if reason else ""


def _ping(check: Check) -> Health:
    """AUTH and PING in the Redis protocol (RESP); a server that still loads its data answers -LOADING."""
    password = Path(check.file).read_bytes().strip() if check.file else b""
    with socket.create_connection((HOST, check.port), timeout=check.answer_within) as connection:
        connection.settimeout(check.answer_within)
        with connection.makefile("rb") as answers:
            for words in ([b"AUTH", password], [b"PING"]):
                connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
                answer = answers.readline(LONGEST_ANSWER).strip()
                if not answer.startswith(b"+"):
                    return Health(False, f"{words[0].decode()} answers {answer.decode(errors='replace') or 'nothing'}")
    return Health(True)
