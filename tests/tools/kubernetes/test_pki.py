"""Certificates: who signs whom, who may read the keys, and when they are made anew."""

from __future__ import annotations

import datetime
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.kubernetes import pki
from tools.kubernetes.address import API_SERVICE_ADDRESS, HOST_ADDRESS

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pki")
    pki.ensure(path, NOW)
    return path


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


@pytest.mark.parametrize("name", pki.LEAVES)
def test_each_certificate_is_issued_by_its_own_authority(folder: Path, name: str) -> None:
    leaf = certificate(folder, name)
    for authority in pki.AUTHORITIES:
        issuer = certificate(folder, authority)
        if authority == pki.LEAVES[name].authority:
            leaf.verify_directly_issued_by(issuer)
        else:
            with pytest.raises(ValueError, match=r".*"):
                leaf.verify_directly_issued_by(issuer)


def test_only_the_owner_reads_what_lies_there(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_the_api_server_is_trusted_at_every_address_it_has_and_is_no_client(folder: Path) -> None:
    served = certificate(folder, "apiserver")
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {HOST_ADDRESS, API_SERVICE_ADDRESS, "127.0.0.1"} <= addresses
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)
    purposes = served.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_the_kubelet_is_a_node_and_only_two_certificates_are_masters(folder: Path) -> None:
    groups = {
        name: [part.value for part in certificate(folder, name).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        for name in pki.LEAVES
    }
    assert groups["kubelet"] == ["system:nodes"]
    assert {name for name, member in groups.items() if "system:masters" in member} == {"admin", "apiserver-kubelet-client"}


def test_a_second_time_changes_nothing_until_a_certificate_is_about_to_expire(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NOW)
    first = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    pki.ensure(tmp_path, NOW + datetime.timedelta(days=300))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == first

    pki.ensure(tmp_path, NOW + datetime.timedelta(days=350))
    changed = {file.name for file in tmp_path.iterdir() if file.read_bytes() != first[file.name]}
    assert {f"{name}.crt" for name in pki.LEAVES} <= changed
    assert not changed & {"ca.crt", "ca.key", "service-account.key"}, "what others rely on stays"
    assert pki.expiry(tmp_path / "admin.crt") > NOW + datetime.timedelta(days=700)
