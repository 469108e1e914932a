"""The local target seen from the machine it runs on: sockets, files, certificate, TLS versions."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import testinfra
from cryptography import x509
from local_deployment import LocalDeployment

TLS_1_1 = ssl.TLSVersion.TLSv1_1


def test_listens_on_loopback_and_nowhere_else(deployed: LocalDeployment) -> None:
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for process in deployed.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == "LISTEN"
    }
    expected = {("127.0.0.1", port) for port in deployed.ports.values()}
    assert listening == expected


def test_runs_every_process_under_the_supervisor(deployed: LocalDeployment) -> None:
    processes = deployed.processes()
    supervisors = [process for process in processes if "supervisord" in " ".join(process.cmdline())]
    assert len(supervisors) == 1
    assert len(supervisors[0].children()) == 4
    assert supervisors[0].ppid() == 1 or not supervisors[0].parent().is_running()  # detached from the `up` that started it


def test_keeps_its_files_private(deployed: LocalDeployment, host: testinfra.host.Host) -> None:
    assert host.file(str(deployed.state)).mode == 0o700
    private = [
        *deployed.layout.secrets.iterdir(),
        *deployed.layout.certificate.glob("*.key"),
        *deployed.state.rglob("redis.conf"),
    ]
    assert len(private) >= 8
    assert {str(path): oct(host.file(str(path)).mode) for path in private} == {str(path): "0o600" for path in private}


def test_logs_json_in_utc(deployed: LocalDeployment, host: testinfra.host.Host) -> None:
    for name in ("gateway", "worker", "inference"):
        content = host.file(str(deployed.layout.log(name))).content_string
        assert '"timestamp"' in content
        assert 'Z"' in content


def test_serves_a_certificate_of_its_own_authority(deployed: LocalDeployment, outputs: dict[str, Any]) -> None:
    context = ssl.create_default_context(cadata=outputs["caCertificate"])
    with _connect(deployed.ports["gateway"]) as raw, context.wrap_socket(raw, server_hostname="localhost") as tls:
        certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert "127.0.0.1" in [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=30)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_speaks_tls_1_2_and_1_3(deployed: LocalDeployment, version: ssl.TLSVersion) -> None:
    assert _handshake(deployed.ports["gateway"], version) == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


def test_refuses_tls_1_1_to_a_client_that_can_speak_it(deployed: LocalDeployment) -> None:
    certificate, key = deployed.layout.certificate / "server.pem", deployed.layout.certificate / "server.key"
    with _server_of_tls_1_1(certificate, key) as control:
        assert _handshake(control, TLS_1_1) == "TLSv1.1"  # so the client can
    with pytest.raises(ssl.SSLError):
        _handshake(deployed.ports["gateway"], TLS_1_1)


def _handshake(port: int, version: ssl.TLSVersion) -> str | None:
    """The protocol agreed on with a client that speaks ``version`` alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL 3 has SHA-1 signatures, and so TLS 1.1, only there
    context.minimum_version = context.maximum_version = version
    with _connect(port) as raw, context.wrap_socket(raw) as tls:
        return tls.version()


@contextlib.contextmanager
def _server_of_tls_1_1(certificate: Path, key: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = TLS_1_1
    context.load_cert_chain(certificate, key)

    def answer() -> None:
        raw, _ = listener.accept()
        with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as tls:
            tls.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)
