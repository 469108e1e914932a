"""Certificates, disks, ports, versions, files of tenants and roles, the audit log: each broken on purpose."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from app.doctor.checks import certificate, disk, ports, versions
from app.doctor.finding import Severity
from infra.generated.authority import Issued, issue_authority, issue_server

NOW = datetime.now(UTC)
YEAR = timedelta(days=365)


def issued(
    folder: Path, hosts: tuple[str, ...] = ("localhost",), *, at: datetime = NOW, days: float = 90
) -> tuple[Issued, dict[str, str]]:
    """An authority, and the settings of a gateway with a certificate that it signed at ``at``."""
    authority = issue_authority(list(hosts), at)
    server = issue_server(authority, list(hosts), timedelta(days=days), at)
    (folder / "server.pem").write_bytes(server.certificate)
    (folder / "server.key").write_bytes(server.key)
    return authority, {"TLS_CERTIFICATE": str(folder / "server.pem"), "TLS_PRIVATE_KEY": str(folder / "server.key")}


# --- certificates -------------------------------------------------------------------------------------------------------------


def test_finds_nothing_wrong_with_a_good_certificate(doctor: Any, tmp_path: Path) -> None:
    _, given = issued(tmp_path, ("assistant.example.com",))
    assert doctor.wrong("gateway", "certificate", **given, PUBLIC_URL="https://assistant.example.com") == []


def test_tells_an_expired_certificate(doctor: Any, tmp_path: Path) -> None:
    _, given = issued(tmp_path, at=NOW - YEAR)
    assert "has expired" in doctor.only("gateway", "certificate", **given).what


@pytest.mark.parametrize(("days", "severity"), [(13.5, Severity.WARNING), (14.5, Severity.OK)])
def test_warns_two_weeks_before_the_end(tmp_path: Path, days: float, severity: Severity) -> None:
    issued(tmp_path, days=days)
    loaded = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    assert certificate.judge_validity(loaded, NOW).severity is severity


def test_tells_a_certificate_that_is_not_valid_yet(doctor: Any, tmp_path: Path) -> None:
    _, given = issued(tmp_path, at=NOW + timedelta(days=2))
    assert "not valid yet" in doctor.only("gateway", "certificate", **given).what


def test_tells_a_wrong_name(doctor: Any, tmp_path: Path) -> None:
    _, given = issued(tmp_path, ("other.example.com",))
    found = doctor.only("gateway", "certificate", **given, PUBLIC_URL="https://assistant.example.com")
    assert "not for assistant.example.com" in found.what
    assert "other.example.com" in found.evidence


def test_tells_a_key_that_does_not_fit(doctor: Any, tmp_path: Path) -> None:
    _, given = issued(tmp_path)
    other = issue_authority(["localhost"], NOW)
    (tmp_path / "server.key").write_bytes(other.key)
    assert doctor.only("gateway", "certificate", **given).what == "The private key is not the certificate's"


def test_tells_a_chain_that_is_broken(doctor: Any, tmp_path: Path) -> None:
    authority, given = issued(tmp_path)
    server = (tmp_path / "server.pem").read_bytes()
    (tmp_path / "server.pem").write_bytes(server + authority.certificate)
    assert doctor.wrong("gateway", "certificate", **given) == []
    (tmp_path / "server.pem").write_bytes(server + issue_authority(["localhost"], NOW).certificate)
    assert "chain is broken" in doctor.only("gateway", "certificate", **given).what


def test_tells_a_certificate_that_is_none(doctor: Any, tmp_path: Path) -> None:
    _, given = issued(tmp_path)
    (tmp_path / "server.pem").write_text("no certificate")
    assert doctor.only("gateway", "certificate", **given).what == "server.pem cannot be read"


def test_notes_a_renewed_certificate_that_is_not_served_yet(tmp_path: Path) -> None:
    issued(tmp_path)
    old = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    issued(tmp_path)
    new = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    from cryptography.hazmat.primitives.serialization import Encoding

    assert certificate.judge_served(new, new.public_bytes(Encoding.DER)).severity is Severity.OK
    assert certificate.judge_served(new, old.public_bytes(Encoding.DER)).severity is Severity.NOTE


@pytest.mark.parametrize(
    ("host", "name", "fits"),
    [
        ("a.example.com", "a.example.com", True),
        ("A.Example.com", "a.example.com", True),
        ("a.example.com", "*.example.com", True),
        ("a.b.example.com", "*.example.com", False),
        ("example.com", "*.example.com", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
    ],
)
def test_matches_names_as_clients_do(host: str, name: str, fits: bool) -> None:
    assert certificate.matches(host, name) is fits


# --- disks --------------------------------------------------------------------------------------------------------------------


def room(**values: Any) -> disk.Room:
    usual = {
        "total": 100 * disk.GIB,
        "free": 50 * disk.GIB,
        "inodes": 1000,
        "free_inodes": 500,
        "read_only": False,
        "writable": True,
    }
    return disk.Room(**(usual | values))


@pytest.mark.parametrize(
    ("values", "severity", "words"),
    [
        ({}, Severity.OK, "has room"),
        ({"inodes": 0, "free_inodes": 0}, Severity.OK, "has room"),
        ({"free": 2 * disk.GIB}, Severity.OK, "has room"),
        ({"free": 2 * disk.GIB - 1}, Severity.WARNING, "nearly full"),
        ({"free": 100 * disk.MIB - 1}, Severity.ERROR, "is full"),
        ({"total": 64 * disk.MIB, "free": 60 * disk.MIB}, Severity.OK, "has room"),
        ({"total": 64 * disk.MIB, "free": 0}, Severity.ERROR, "is full"),
        ({"free_inodes": 40}, Severity.WARNING, "few more files"),
        ({"free_inodes": 9}, Severity.ERROR, "no more files"),
        ({"read_only": True}, Severity.ERROR, "read-only"),
        ({"writable": False}, Severity.ERROR, "may not write"),
    ],
)
def test_judges_a_disk(values: dict[str, Any], severity: Severity, words: str) -> None:
    found = disk.judge("the audit log", Path("/audit"), room(**values), writes=True)
    assert found.severity is severity
    assert words in found.what


def test_asks_no_room_where_nothing_is_written() -> None:
    read_only = room(free=0, read_only=True, writable=False)
    assert disk.judge("the model", Path("/models"), read_only, writes=False).severity is Severity.OK


def test_tells_a_full_disk_and_a_read_only_one(doctor: Any, tmp_path: Path) -> None:
    with _mounted(tmp_path / "volume") as volume:
        given = {"AUDIT_DIRECTORY": str(volume / "audit")}
        assert doctor.wrong("gateway", "disk", **given) == []
        (volume / "filling").write_bytes(b"x" * (1024 * 1024))
        assert doctor.only("gateway", "disk", **given).what == "The disk of the audit log is full"
        (volume / "filling").unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True)
        assert doctor.only("gateway", "disk", **given).what == "The disk of the audit log is read-only"


@contextmanager
def _mounted(folder: Path) -> Iterator[Path]:
    """A volume of one MiB and some; skips where nobody may mount."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1028k", "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting a volume is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


# --- ports --------------------------------------------------------------------------------------------------------------------


def test_tells_a_port_that_another_program_has(doctor: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = doctor.only("gateway", "ports", PORT=str(port))
    assert found.what == f"Port {port} (PORT) is taken by another program"
    assert f"process {os.getpid()}" in found.evidence


def test_tells_a_port_on_which_nobody_listens(doctor: Any, closed_port: int) -> None:
    assert doctor.only("gateway", "ports", PORT=str(closed_port)).what == f"Nobody listens on port {closed_port} (PORT)"


def test_knows_the_process_by_its_module_and_shows_no_arguments(tmp_path: Path) -> None:
    holder = ports.Holder(pid=7, name="python", module="app.gateway")
    assert ports.judge("PORT", 8443, True, [holder], "app.gateway").severity is Severity.OK
    assert ports.judge("PORT", 8443, True, [holder], "app.pipeline").severity is Severity.ERROR
    assert ports.judge("PORT", 8443, True, [], "app.gateway").severity is Severity.NOTE
    code = (
        "import socket, sys\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, "--password=canary-of-an-argument"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        found = ports.holders(int(other.stdout.readline()))
        other.communicate()
    assert [one.pid for one in found] == [other.pid]
    assert "canary" not in str(found)


def test_tells_a_process_that_does_not_answer(doctor: Any, closed_port: int) -> None:
    assert doctor.only("worker", "readiness", PORT=str(closed_port)).what == "The process does not answer"


# --- versions -----------------------------------------------------------------------------------------------------------------


def test_finds_this_environment_as_it_is_locked(doctor: Any) -> None:
    assert doctor.wrong("gateway", "versions") == []


def test_tells_what_is_missing_and_what_is_another_version() -> None:
    locked, needed = versions.parse_lock('redis==7.0.0 \\\n    --hash=sha256:0\nuvloop==0.22 ; sys_platform != "win32" \\\n')
    assert needed == {"redis"}
    assert versions.judge_packages(locked, needed, {"redis": "7.0.0"}, "gateway.lock").severity is Severity.OK
    found = versions.judge_packages(locked, needed, {"redis": "6.4.0"}, "gateway.lock")
    assert (found.severity, "redis 6.4.0 (locked: 7.0.0)" in found.evidence) == (Severity.WARNING, True)
    assert versions.judge_packages(locked, needed, {"uvloop": "0.22"}, "gateway.lock").severity is Severity.ERROR


@pytest.mark.parametrize(
    ("python", "openssl", "severity"),
    [((3, 11), (3, 0), Severity.OK), ((3, 10), (3, 0), Severity.ERROR), ((3, 12), (1, 1), Severity.WARNING)],
)
def test_judges_python_and_openssl(python: tuple[int, int], openssl: tuple[int, int], severity: Severity) -> None:
    assert versions.judge_python(python, openssl, "OpenSSL").severity is severity


# --- tenants, roles, audit ----------------------------------------------------------------------------------------------------


def test_tells_a_tenants_file_that_is_wrong(doctor: Any, written: Any) -> None:
    file = written("tenants.yaml", "tenants:\n  acme:\n    team: [slack:T1]\n")
    found = doctor.wrong("worker", "access", TENANTS_FILE=str(file))
    assert found
    assert any("tenants.yaml" in finding.evidence for finding in found)


def test_tells_roles_that_name_a_tenant_which_is_not(doctor: Any, written: Any) -> None:
    file = written("roles.yaml", 'roles:\n  helper:\n    tenant: nobody\n    members: ["*"]\n    permissions: [ask]\n')
    assert doctor.wrong("gateway", "access", ROLES_FILE=str(file))


def test_is_content_with_what_is_shipped(doctor: Any) -> None:
    assert doctor.wrong("gateway", "access") == []
    assert doctor.wrong("worker", "access") == []


def test_tells_an_audit_log_that_somebody_has_edited(doctor: Any, tmp_path: Path, closed_port: int) -> None:
    given = {"AUDIT_DIRECTORY": str(tmp_path), "REDIS_URL": f"redis://127.0.0.1:{closed_port}/0"}
    _write_records(tmp_path)
    assert doctor.wrong("gateway", "audit", **given) == []
    (file,) = tmp_path.glob("*.jsonl")
    file.write_text(file.read_text().replace('"key:ada"', '"key:eve"', 1))
    found = doctor.only("gateway", "audit", **given)
    assert "not whole" in found.what
    assert "edited" in found.evidence


def test_tells_an_audit_directory_that_is_none(doctor: Any, tmp_path: Path, closed_port: int) -> None:
    (tmp_path / "file").write_text("")
    given = {"AUDIT_DIRECTORY": str(tmp_path / "file" / "audit"), "REDIS_URL": f"redis://127.0.0.1:{closed_port}/0"}
    assert "No audit record can be written" in doctor.only("gateway", "audit", **given).what


def _write_records(folder: Path) -> None:
    import asyncio

    from app.telemetry.audit.actions import EVENT_REPLAYED
    from app.telemetry.audit.log import AuditLog
    from app.telemetry.audit.metrics import AuditMetrics
    from app.telemetry.audit.sinks import FileSink
    from app.telemetry.metrics import new_registry

    async def write() -> None:
        log = AuditLog(FileSink(folder, "writer-1"), "writer-1", "gateway", AuditMetrics(new_registry()))
        await log.start()
        for number in range(3):
            await log.record(EVENT_REPLAYED, actor="key:ada", subject=f"generic:default:{number}")
        await log.aclose()

    asyncio.run(write())
    assert len([json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]) >= 3
