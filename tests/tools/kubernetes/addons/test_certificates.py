"""The addons' certificates, as Python's own TLS takes them: both ends show the same one, as KEDA's two programs do."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest

from tools.kubernetes.addons.certificates import RENEW, VALID, ensure, service_names

HOSTS = service_names("keda", ["keda-operator"])


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def context(folder: Path, purpose: ssl.Purpose) -> ssl.SSLContext:
    made = ssl.create_default_context(purpose, cafile=folder / "keda.crt")
    made.load_cert_chain(folder / "keda.crt", folder / "keda.key")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def handshake(folder: Path, name: str) -> None:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        # Where the client turns away, the server hears of it; the client's own error is what the test looks at.
        with (
            contextlib.suppress(ssl.SSLError),
            ours,
            context(folder, ssl.Purpose.CLIENT_AUTH).wrap_socket(ours, server_side=True) as connection,
        ):
            connection.sendall(b"hello")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with context(folder, ssl.Purpose.SERVER_AUTH).wrap_socket(theirs, server_hostname=name) as connection:
        assert connection.recv(5) == b"hello"
    thread.join()


def test_client_and_server_know_each_other_by_it(tmp_path: Path) -> None:
    ensure(tmp_path, "keda", HOSTS, now())
    handshake(tmp_path, "keda-operator.keda.svc.cluster.local")


def test_it_serves_under_no_other_name(tmp_path: Path) -> None:
    ensure(tmp_path, "keda", HOSTS, now())
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, "keda-operator.other.svc")


def test_it_stays_until_a_month_before_its_end(tmp_path: Path) -> None:
    first = ensure(tmp_path, "keda", HOSTS, now())
    assert ensure(tmp_path, "keda", HOSTS, now() + VALID - RENEW - datetime.timedelta(days=1)) == first
    assert ensure(tmp_path, "keda", HOSTS, now() + VALID - RENEW + datetime.timedelta(days=1)) != first


def test_only_its_owner_reads_the_key(tmp_path: Path) -> None:
    ensure(tmp_path / "pki", "keda", HOSTS, now())
    assert (tmp_path / "pki").stat().st_mode & 0o777 == 0o700
    assert os.stat(tmp_path / "pki" / "keda.key").st_mode & 0o777 == 0o600  # noqa: PTH116
