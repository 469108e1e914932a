"""The certificate: what decides its renewal, and what clients make of it."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from infra.generated.authority import Issued, issue_authority, issue_server, with_loopback
from infra.generated.renewal import Action
from infra.local.certificate import CertificateProvider, decide

provider = CertificateProvider()
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def inputs(root: Path, *hosts: str, validity: int = 90, renew_before: int = 30) -> dict[str, Any]:
    return {
        "stateDirectory": str(root),
        "hosts": list(with_loopback(hosts)),
        "validityDays": validity,
        "renewBeforeDays": renew_before,
    }


def handshake(certificate: Path, key: Path, authority: Path, name: str) -> None:
    """A TLS handshake between a server with the files and a client that expects ``name``. Raises what the client does."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=str(authority))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    server.wrap_socket(connection, server_side=True).close()
                except OSError:
                    return

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with socket.create_connection(listener.getsockname()) as plain, client.wrap_socket(plain, server_hostname=name):
                pass
        finally:
            thread.join()


@pytest.fixture
def created(tmp_path: Path) -> dict[str, Any]:
    outs = provider.create(inputs(tmp_path / "state", "assistant.example", "192.0.2.7")).outs
    assert outs is not None
    return outs


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "certificate"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "assistant.example", "192.0.2.7"])
def test_a_client_that_trusts_the_authority_accepts_every_configured_host(
    created: dict[str, Any], directory: Path, name: str
) -> None:
    handshake(directory / "server.pem", directory / "server.key", directory / "ca.pem", name)


def test_a_client_refuses_any_other_host(created: dict[str, Any], directory: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(directory / "server.pem", directory / "server.key", directory / "ca.pem", "bank.example")


@pytest.mark.parametrize("stolen_for", ["bank.example", "198.51.100.1"])
def test_the_authoritys_signature_is_worth_nothing_for_a_host_that_was_not_configured(
    created: dict[str, Any], directory: Path, tmp_path: Path, stolen_for: str
) -> None:
    authority = Issued((directory / "ca.pem").read_bytes(), (directory / "ca.key").read_bytes())
    forged = issue_server(authority, [stolen_for], DAY, datetime.datetime.now(datetime.UTC))
    (tmp_path / "forged.pem").write_bytes(forged.certificate)
    (tmp_path / "forged.key").write_bytes(forged.key)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(tmp_path / "forged.pem", tmp_path / "forged.key", directory / "ca.pem", stolen_for)


def test_keys_are_private_and_are_in_no_output(created: dict[str, Any], directory: Path) -> None:
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == dict.fromkeys(
        ("ca.pem", "ca.key", "server.pem", "server.key"), 0o600
    )
    shown = json.dumps(created)
    assert "PRIVATE KEY" not in shown
    assert created["caCertificate"] == (directory / "ca.pem").read_text()


def test_nothing_to_do_on_a_fresh_one(created: dict[str, Any], tmp_path: Path) -> None:
    read = provider.read("x", created).outs or {}
    assert read == created
    assert provider.diff("x", read, inputs(tmp_path / "state", "assistant.example", "192.0.2.7")).changes is False


def state(**changed: Any) -> dict[str, Any]:
    return {
        **inputs(Path("/state")),
        "notAfter": (NOW + 90 * DAY).isoformat(),
        "authorityNotAfter": (NOW + 3650 * DAY).isoformat(),
        "files": dict.fromkeys(("ca.pem", "ca.key", "server.pem", "server.key"), "ok"),
        **changed,
    }


@pytest.mark.parametrize(
    ("olds", "news", "days_later", "action"),
    [
        (state(), inputs(Path("/state")), 0, Action.KEEP),
        (state(), inputs(Path("/state")), 59, Action.KEEP),
        (state(), inputs(Path("/state")), 61, Action.RENEW),
        (state(), inputs(Path("/state")), 500, Action.RENEW),
        (state(), inputs(Path("/state"), renew_before=10), 61, Action.KEEP),
        (state(), inputs(Path("/state"), validity=30, renew_before=10), 0, Action.RENEW),
        (state(), inputs(Path("/state"), "new.example"), 0, Action.REISSUE),
        (state(), inputs(Path("/state")), 3600, Action.REISSUE),
        (state(files={"server.pem": "missing"}), inputs(Path("/state")), 0, Action.RENEW),
        (state(files={"server.key": "mode 0644"}), inputs(Path("/state")), 0, Action.RENEW),
        (state(files={"ca.key": "missing"}), inputs(Path("/state")), 0, Action.REISSUE),
        (state(files={"ca.pem": "changed"}), inputs(Path("/state")), 0, Action.REISSUE),
    ],
)
def test_what_is_done_when(olds: dict[str, Any], news: dict[str, Any], days_later: int, action: Action) -> None:
    assert decide(olds, news, NOW + days_later * DAY) is action


def test_a_renewal_keeps_the_authority_so_that_clients_notice_nothing(created: dict[str, Any], tmp_path: Path) -> None:
    near = {**created, "notAfter": (datetime.datetime.now(datetime.UTC) + DAY).isoformat()}
    news = inputs(tmp_path / "state", "assistant.example", "192.0.2.7")
    assert provider.diff("x", near, news).changes is True
    renewed = provider.update("x", near, news).outs or {}
    assert renewed["caCertificate"] == created["caCertificate"]
    assert renewed["fingerprint"] != created["fingerprint"]


@pytest.mark.parametrize(
    ("name", "harm", "reported"),
    [("server.key", "remove", "missing"), ("server.pem", "swap", "changed"), ("ca.key", "open", "mode 0644")],
)
def test_refresh_sees_a_harmed_file_and_an_update_mends_it(
    created: dict[str, Any], directory: Path, tmp_path: Path, name: str, harm: str, reported: str
) -> None:
    file = directory / name
    if harm == "remove":
        file.unlink()
    elif harm == "swap":
        file.write_bytes(issue_authority(["localhost"], datetime.datetime.now(datetime.UTC)).certificate)
    else:
        file.chmod(0o644)
    read = provider.read("x", created).outs or {}
    assert read["files"][name] == reported
    news = inputs(tmp_path / "state", "assistant.example", "192.0.2.7")
    assert provider.diff("x", read, news).changes is True
    mended = provider.update("x", read, news).outs or {}
    assert set(mended["files"].values()) == {"ok"}
    handshake(directory / "server.pem", directory / "server.key", directory / "ca.pem", "assistant.example")


def test_delete_leaves_nothing_and_touches_nothing_else(created: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "state" / "other").write_text("somebody else's")
    provider.delete("x", created)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["other"]
    provider.delete("x", created)


def test_the_certificate_meets_what_clients_ask_of_one(created: dict[str, Any], directory: Path) -> None:
    certificate = x509.load_pem_x509_certificate((directory / "server.pem").read_bytes())
    extensions = certificate.extensions
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= 398 * DAY
    authority = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
