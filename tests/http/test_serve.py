from __future__ import annotations

import datetime
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def ask(url: str, answers: list[object]) -> threading.Thread:
    """Ask in the background and keep the response, or what happened instead."""

    def run() -> None:
        try:
            answers.append(httpx2.get(url, timeout=30))
        except httpx2.HTTPError as error:
            answers.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def await_status(url: str, status: int) -> None:
    deadline = time.monotonic() + 5
    while httpx2.get(url).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def begin_slow(server, seconds: float) -> tuple[list, threading.Thread]:
    answers: list = []
    thread = ask(f"{server.url}/slow/{seconds}", answers)
    time.sleep(0.3)  # nothing outside shows that a request has begun
    return answers, thread


def test_sigterm_finishes_what_runs_refuses_the_rest_and_exits_0(start) -> None:
    server = start()
    answers, thread = begin_slow(server, 1.5)
    server.process.send_signal(signal.SIGTERM)
    await_status(server.url + "/readyz", 503)
    assert httpx2.get(server.url + "/healthz").status_code == 200
    refused = httpx2.get(server.url + "/slow/0")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "draining"
    assert refused.headers["Retry-After"]
    thread.join()
    assert answers[0].json() == {"slept": 1.5}
    assert server.process.wait(5) == 0


def test_an_idle_process_stops_at_once_though_connections_are_kept(start) -> None:
    server = start()
    with httpx2.Client() as client:
        client.get(server.url + "/readyz")
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 0
    assert time.monotonic() - begin < 2


def test_work_is_still_taken_while_the_notice_runs(start) -> None:
    server = start(notice_seconds=1.5)
    server.process.send_signal(signal.SIGTERM)
    await_status(server.url + "/readyz", 503)
    assert httpx2.get(server.url + "/slow/0.1").status_code == 200
    assert server.process.wait(5) == 0


def test_the_end_of_the_drain_time_forces_the_exit_with_1(start) -> None:
    server = start(drain_seconds=0.5)
    _, thread = begin_slow(server, 20)
    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 1
    assert 0.4 < time.monotonic() - begin < 5
    thread.join()


def test_a_second_sigterm_forces_the_exit(start) -> None:
    server = start(drain_seconds=60)
    _, thread = begin_slow(server, 30)
    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    await_status(server.url + "/readyz", 503)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(10) == 1
    assert time.monotonic() - begin < 5
    thread.join()


def test_what_the_application_finishes_is_awaited(start) -> None:
    server = start(finish_seconds=0.8)
    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(5) == 0
    assert time.monotonic() - begin > 0.7


def test_a_taken_port_is_one_line_and_exit_2(start) -> None:
    server = start()
    command = [sys.executable, str(Path(__file__).parent / "sample_server.py"), str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{server.port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return folder / "certificate.pem", folder / "key.pem"


def test_tls_is_1_2_or_newer(start, certificate: tuple[Path, Path]) -> None:
    server = start(str(certificate[0]), str(certificate[1]))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=str(certificate[0]))
        context.minimum_version = context.maximum_version = version
        assert httpx2.get(f"https://localhost:{server.port}/readyz", verify=context).status_code == 200
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(certificate[0])
    assert handshake(old, accepting_old_tls(certificate)) == "TLSv1.1"  # the client can, so the refusal is the server's
    with pytest.raises(ssl.SSLError):
        handshake(old, server.port)
    assert server.process.poll() is None


def handshake(context: ssl.SSLContext, port: int) -> str | None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return wrapped.version()


def accepting_old_tls(certificate: tuple[Path, Path]) -> int:
    """A control server that accepts TLS 1.1, for one connection; returns its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with listening, context.wrap_socket(listening.accept()[0], server_side=True) as wrapped:
            wrapped.recv(1)

    threading.Thread(target=accept, daemon=True).start()
    port: int = listening.getsockname()[1]
    return port


def test_who_never_finishes_the_handshake_is_cut_off(start, certificate: tuple[Path, Path]) -> None:
    server = start(str(certificate[0]), str(certificate[1]), limits={"handshake_seconds": 0.5})
    received, seconds = server.send(b"\x16\x03\x01")
    assert received == b""
    assert seconds < 3


def test_a_certificate_that_cannot_be_used_is_one_line_and_exit_2(start, certificate: tuple[Path, Path]) -> None:
    server = start(str(certificate[0]), str(certificate[0]), await_listening=False)
    assert server.process.wait(20) == 2
    assert "cannot be used" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()
