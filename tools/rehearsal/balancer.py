"""``python -m tools.rehearsal.balancer``: the load balancer's listeners, played on loopback.

443 ends TLS with the given certificate and speaks TLS to the target anew, whose certificate it does not look at, as an
Application Load Balancer does not either. 80 sends people to 443. There is no firewall and no rule by path: those are looked at
where they are configured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ssl
import sys
from collections.abc import Awaitable, Callable

BLOCK = 64 * 1024
LINGER_SECONDS = 2.0
HEAD_LIMIT = 16 * 1024
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def forwarding(target: tuple[str, int]) -> Handler:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, ahead = await asyncio.open_connection(*target, ssl=context)
        except OSError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            await _close(writer)
            return
        there = asyncio.create_task(_pump(reader, ahead))
        back = asyncio.create_task(_pump(behind, writer))
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        if back.done() and not there.done():
            # A target that answers before it has read all: whoever still sends is to see the answer first.
            await asyncio.wait({there}, timeout=LINGER_SECONDS)
        elif not back.done():
            await asyncio.wait({back}, timeout=LINGER_SECONDS)
        for task in (there, back):
            task.cancel()
        await _close(ahead)
        await _close(writer)

    return forward


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(BLOCK):
            writer.write(block)
            await writer.drain()


async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        host = next((line.partition(":")[2].strip() for line in head if line.lower().startswith("host:")), "")
        place = f"https://{host.partition(':')[0]}:443{head[0].split(' ')[1]}"
        answer = f"HTTP/1.1 301 Moved Permanently\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        writer.write(answer.encode("latin-1"))
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), LINGER_SECONDS)


async def serve(address: str, certificate: str, key: str, target: tuple[str, int]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    plain = await asyncio.start_server(redirect, address, 80, limit=HEAD_LIMIT)
    secure = await asyncio.start_server(forwarding(target), address, 443, ssl=context)
    async with plain, secure:
        await asyncio.gather(plain.serve_forever(), secure.serve_forever())


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.rehearsal.balancer", description="the load balancer of a rehearsal")
    parser.add_argument("--address", required=True, help="listens there on 80 and 443")
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--target", required=True, metavar="HOST:PORT")
    options = parser.parse_args(arguments)
    host, _, port = options.target.rpartition(":")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.address, options.certificate, options.key, (host, int(port))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
