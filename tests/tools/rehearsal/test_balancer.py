"""The played load balancer hands on what it is given, and an answer before all of it was sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tools.rehearsal import authority, balancer
from tools.rehearsal.authority import Certificates

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return authority.issue(tmp_path, ("127.0.0.1", "assistant.example.com"))


async def listening(handler: Handler, made: Certificates | None = None) -> tuple[asyncio.Server, int]:
    context = None
    if made:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.certificate, made.key)
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
    return server, server.sockets[0].getsockname()[1]


async def connected(port: int, made: Certificates) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context(cafile=str(made.authority))
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="assistant.example.com")


async def test_an_answer_comes_through_though_the_target_has_not_read_all(certificates: Certificates, tmp_path: Path) -> None:
    other = authority.issue(tmp_path / "other", ("127.0.0.1",))  # a certificate that nobody trusts: as pods have theirs

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.write(b"HTTP/1.1 413 too much\r\n\r\n")
        await writer.drain()
        await asyncio.wait_for(reader.read(500_000), 5)  # of what is still sent it takes a part, as the gateway does

    target, port = await listening(refuse, other)
    front, entrance = await listening(balancer.forwarding(("127.0.0.1", port)), certificates)
    async with target, front:
        reader, writer = await connected(entrance, certificates)
        writer.write(b"POST" + bytes(1_000_000))
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 413")
        writer.close()
        await asyncio.sleep(0.1)


async def test_a_target_that_is_not_there_is_a_bad_gateway(certificates: Certificates) -> None:
    gone, port = await listening(balancer.redirect)
    gone.close()
    await gone.wait_closed()
    front, entrance = await listening(balancer.forwarding(("127.0.0.1", port)), certificates)
    async with front:
        reader, writer = await connected(entrance, certificates)
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 502")
        writer.close()


async def test_plain_http_is_sent_on_to_https() -> None:
    front, entrance = await listening(balancer.redirect)
    async with front:
        reader, writer = await asyncio.open_connection("127.0.0.1", entrance)
        writer.write(b"GET /console?a=b HTTP/1.1\r\nHost: assistant.example.com:80\r\n\r\n")
        head = (await asyncio.wait_for(reader.read(), 10)).decode()
        writer.close()
    assert head.startswith("HTTP/1.1 301")
    assert "location: https://assistant.example.com:443/console?a=b\r\n" in head
