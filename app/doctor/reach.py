"""How far a connection to an address gets: name, TCP, TLS told apart, with the time that each took. Standard library alone."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
import urllib.request
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from app.doctor.finding import Finding, error, ok, warning

REACH_SECONDS: Final = 5.0  # each stage
SLOW_SECONDS: Final = 1.0
TLS_SCHEMES: Final = frozenset({"https", "rediss", "wss"})
PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443, "redis": 6379, "rediss": 6379}

Stage = Literal["name", "tcp", "tls", "reached"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """``stage``: "reached", or the one that failed, and ``reason`` why. Seconds, None where it did not come to that."""

    host: str
    port: int
    stage: Stage
    reason: str = ""
    tcp_seconds: float | None = None
    tls_seconds: float | None = None
    proxy: bool = False

    @property
    def where(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'the proxy ' if self.proxy else ''}{host}:{self.port}"


async def reach(url: str, context: ssl.SSLContext | None = None, seconds: float = REACH_SECONDS) -> Reached:
    """Connect to the host of ``url``, or to the proxy that the environment names for it, and close again.
    ``context``: None verifies against this system's authorities."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    proxy = _proxy(parts.scheme, host)
    if proxy is not None:
        host, port = proxy
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (TimeoutError, OSError, UnicodeError) as failure:
        return Reached(host=host, port=port, stage="name", reason=_words(failure, seconds), proxy=proxy is not None)
    connected, begun = None, time.perf_counter()
    reason = "no address"
    for family, kind, protocol, _, address in found[:4]:
        try:
            begun = time.perf_counter()
            connected = await _connect(family, kind, protocol, address, seconds)
            break
        except (TimeoutError, OSError) as failure:
            reason = _words(failure, seconds)
    if connected is None:
        return Reached(host=host, port=port, stage="tcp", reason=reason, proxy=proxy is not None)
    tcp_seconds = time.perf_counter() - begun
    if parts.scheme not in TLS_SCHEMES or proxy is not None:
        connected.close()
        return Reached(host=host, port=port, stage="reached", tcp_seconds=tcp_seconds, proxy=proxy is not None)
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            chosen = context or ssl.create_default_context()
            _, writer = await asyncio.open_connection(sock=connected, ssl=chosen, server_hostname=host)
    except (TimeoutError, OSError) as failure:  # ssl.SSLError is an OSError
        connected.close()
        return Reached(host=host, port=port, stage="tls", reason=_words(failure, seconds), tcp_seconds=tcp_seconds)
    tls_seconds = time.perf_counter() - begun
    writer.transport.abort()
    return Reached(host=host, port=port, stage="reached", tcp_seconds=tcp_seconds, tls_seconds=tls_seconds)


def judge(check: str, whose: str, setting: str, found: Reached) -> Finding:
    """``whose`` address it is, and the ``setting`` that names it."""
    if found.stage == "reached":
        times = [
            f"TCP {milliseconds(found.tcp_seconds)}",
            *([f"TLS {milliseconds(found.tls_seconds)}"] if found.tls_seconds else []),
        ]
        evidence = f"{found.where}, {', '.join(times)}"
        slow = (found.tcp_seconds or 0) + (found.tls_seconds or 0) > SLOW_SECONDS
        if slow:
            return warning(
                check,
                f"{whose} is far away: every call waits for the connection",
                evidence,
                "Look at the network's way there (proxy, NAT, region); each answer takes this long at least.",
            )
        return ok(check, f"{whose} is reached", evidence)
    failed, remedy = {
        "name": (
            f"The name of {whose} is not found",
            f"Correct {setting}, or the resolver here (/etc/resolv.conf, the cluster's DNS, egress to port 53).",
        ),
        "tcp": (
            f"{whose} takes no connection",
            f"Is it up, and is {setting} its address? A firewall, security group or network policy on the way may refuse it.",
        ),
        "tls": (
            f"The TLS of {whose} does not hold",
            "Is its certificate valid, of this name, and signed by an authority that is trusted here (SSL_CERT_FILE)? "
            "A proxy that opens TLS needs its authority added; a wrong clock makes valid certificates invalid.",
        ),
    }[found.stage]
    return error(check, failed, f"{found.where}: {found.reason}", remedy)


async def _connect(family: int, kind: int, protocol: int, address: object, seconds: float) -> socket.socket:
    opened = socket.socket(family, kind, protocol)
    opened.setblocking(False)
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(opened, address)  # type: ignore[arg-type]
    except BaseException:
        opened.close()
        raise
    return opened


def _proxy(scheme: str, host: str) -> tuple[str, int] | None:
    if scheme not in ("http", "https") or host in ("localhost", "::1") or host.startswith("127."):
        return None
    named = urllib.request.getproxies().get(scheme)
    if not named or urllib.request.proxy_bypass(host):
        return None
    parts = urlsplit(named if "://" in named else f"http://{named}")
    return (parts.hostname, parts.port or 80) if parts.hostname else None


def _words(failure: BaseException, seconds: float) -> str:
    if isinstance(failure, TimeoutError):
        return f"no answer within {seconds:g} s"
    if isinstance(failure, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {failure.verify_message}"
    if isinstance(failure, ssl.SSLError):
        return f"no TLS handshake ({failure.reason or type(failure).__name__})"
    if isinstance(failure, OSError):
        return os.strerror(failure.errno) if failure.errno and failure.errno > 0 else failure.strerror or type(failure).__name__
    return type(failure).__name__


def milliseconds(seconds: float | None) -> str:
    return f"{(seconds or 0) * 1000:.1f} ms"
