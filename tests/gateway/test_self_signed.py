"""TLS with a certificate that the gateway makes for itself, over real handshakes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from app.gateway.__main__ import main
from app.gateway.self_signed import self_signed_context
from app.http.serve import ServeError
from app.settings import GatewaySettings, SettingsError, load

KEYS = {"API_KEY": "a" * 20, "INFERENCE_API_KEY": "b" * 20}


def unverified() -> ssl.SSLContext:
    """As a load balancer looks at its targets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextlib.asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[int]:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def presented(port: int, context: ssl.SSLContext, name: str | None = None) -> x509.Certificate:
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        connection: Any = writer.get_extra_info("ssl_object")
        assert connection.version() == "TLSv1.3"
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))
    finally:
        writer.close()


async def test_two_processes_have_two_keys() -> None:
    async with serving(self_signed_context()) as one, serving(self_signed_context()) as other:
        certificates = [await presented(port, unverified()) for port in (one, other)]
    assert certificates[0].public_key() != certificates[1].public_key()


async def test_the_gateway_s_own_process_serves_with_it_and_its_key_stands_in_no_file(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "PORT": str(port), "TLS_SELF_SIGNED": "true", "TMPDIR": str(tmp_path), **KEYS}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "app.gateway", env=environment)
    try:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(ConnectionError):
                    certificate = await presented(port, unverified())
                    break
                await asyncio.sleep(0.1)
    finally:
        process.terminate()
        await process.wait()
    assert certificate.issuer == certificate.subject
    assert os.listdir(tmp_path) == []  # noqa: PTH208 (a test that waits for nobody)


async def test_a_client_that_was_given_the_certificate_can_verify_it(tmp_path: Path) -> None:
    async with serving(self_signed_context()) as port:
        certificate = await presented(port, unverified())
        trusted = tmp_path / "trusted.pem"
        trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        verified = await presented(port, ssl.create_default_context(cafile=str(trusted)), "localhost")
        assert verified == certificate
        # And one that was not can not.
        with pytest.raises(ssl.SSLCertVerificationError):
            await presented(port, ssl.create_default_context(), "localhost")


def test_the_key_is_left_neither_on_a_disk_nor_in_an_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = set(Path("/proc/self/fd").iterdir())
    self_signed_context()
    assert list(tmp_path.iterdir()) == []
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_where_nothing_can_be_kept_in_memory_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(ServeError, match="Give TLS_CERTIFICATE instead"):
        self_signed_context()


async def test_a_certificate_of_ones_own_and_a_made_one_exclude_each_other(tmp_path: Path) -> None:
    given = {"TLS_CERTIFICATE": str(tmp_path / "tls.crt"), "TLS_PRIVATE_KEY": str(tmp_path / "tls.key")}
    settings = load(GatewaySettings, {**KEYS, **given, "TLS_SELF_SIGNED": "true"})
    with pytest.raises(SettingsError, match="keep one"):
        await main(settings)
