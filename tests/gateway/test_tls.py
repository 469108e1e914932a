"""TLS from outside, and a certificate that is renewed while the gateway runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from app.auth.api_keys import ApiKeyError
from app.gateway.__main__ import main
from app.gateway.certificate import follow
from app.http.serve import ServeError, tls_context
from app.platforms.standard_webhooks import SecretError
from app.settings import GatewaySettings, SettingsError, load


def lenient_client(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that would speak anything, so that a refusal is the server's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


def negotiated(port: int, version: ssl.TLSVersion) -> str | None:
    with socket.create_connection(("127.0.0.1", port), 10) as plain, lenient_client(version).wrap_socket(plain) as connection:
        return connection.version()


@pytest.mark.parametrize(("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_tls_1_2_and_1_3_are_spoken(gateway: Any, version: ssl.TLSVersion, name: str) -> None:
    assert negotiated(gateway.port, version) == name


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_1_1_is_refused_though_the_client_can_speak_it(gateway: Any, certificate: tuple[Path, Path]) -> None:
    # The control: the same client against a server that accepts TLS 1.1.
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1_1
    old.load_cert_chain(*certificate)
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=old) as control:
        port = control.sockets[0].getsockname()[1]
        try:
            assert await asyncio.to_thread(negotiated, port, ssl.TLSVersion.TLSv1_1) == "TLSv1.1"
        except ssl.SSLError as error:
            pytest.skip(f"this OpenSSL speaks no TLS 1.1 at all: {error}")
    with pytest.raises(ssl.SSLError):
        await asyncio.to_thread(negotiated, gateway.port, ssl.TLSVersion.TLSv1_1)


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


async def served_serial(port: int) -> int:
    context = lenient_client(ssl.TLSVersion.TLSv1_3)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    served = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return x509.load_der_x509_certificate(served).serial_number


async def becomes(port: int, expected: int) -> bool:
    deadline = asyncio.get_running_loop().time() + 10
    while asyncio.get_running_loop().time() < deadline:
        if await served_serial(port) == expected:
            return True
    return False


async def test_a_renewed_certificate_is_served_without_a_restart_and_a_broken_one_never(
    tmp_path: Path, new_certificate: Callable[[Path, str], tuple[Path, Path]]
) -> None:
    certificate, key = new_certificate(tmp_path, "server")
    renewed, renewed_key = new_certificate(tmp_path, "renewed")
    first, second = serial(certificate), serial(renewed)
    context = tls_context(certificate, key)
    following = asyncio.create_task(follow(context, certificate, key, every_seconds=0.01))
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        assert await served_serial(port) == first
        certificate.write_bytes(renewed.read_bytes())  # half of a renewal: the key does not fit yet
        await asyncio.sleep(0.1)
        assert await served_serial(port) == first
        key.write_text("not a key")
        await asyncio.sleep(0.1)
        assert await served_serial(port) == first
        key.write_bytes(renewed_key.read_bytes())
        assert await becomes(port, second)
        key.unlink()
        await asyncio.sleep(0.1)
        assert await served_serial(port) == second
    following.cancel()


GOOD = {"API_KEY": "k" * 32, "INFERENCE_API_KEY": "x", "GENERIC_WEBHOOK_SECRET": "whsec_" + "A" * 43 + "="}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"API_KEY": ""}, "API_KEY is empty"),
        ({"API_KEY": "short-canary"}, "at least 16"),
        ({"GENERIC_WEBHOOK_SECRET": "whsec_canary"}, "webhook secret"),
        ({"TLS_CERTIFICATE": "/nowhere.pem"}, "TLS_PRIVATE_KEY"),
        ({"TLS_CERTIFICATE": "/nowhere.pem", "TLS_PRIVATE_KEY": "/nowhere.key"}, "/nowhere.pem"),
        ({"PORT": "0"}, "PORT=0"),
        ({"INFERENCE_URL": "file:///etc/passwd"}, "INFERENCE_URL"),
    ],
)
async def test_wrong_settings_are_named_and_no_secret_is(changes: dict[str, str], named: str) -> None:
    with pytest.raises((SettingsError, ApiKeyError, SecretError, ServeError), match=re.escape(named)) as refused:
        await main(load(GatewaySettings, {**GOOD, **changes}))
    assert "canary" not in str(refused.value)


def test_a_wrong_setting_ends_the_process_with_one_sentence() -> None:
    environment = {"PATH": os.environ["PATH"], **GOOD, "API_KEY": "short-canary"}
    ended = subprocess.run([sys.executable, "-m", "app.gateway"], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith("gateway: an API key has 12 characters, at least 16")
    assert "Traceback" not in ended.stderr and "canary" not in ended.stderr
