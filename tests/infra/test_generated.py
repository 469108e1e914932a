"""Secrets and certificate of a stack that keeps them in its state alone."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from cryptography import x509

from infra.dynamic import Props
from infra.generated.authority import belong_together
from infra.generated.certificate import SECRET_OUTPUTS, CertificateProvider
from infra.generated.secrets import SecretsProvider
from infra.generated.values import NAMES, digest

secrets, certificates = SecretsProvider(), CertificateProvider()
HOSTS = ["localhost", "127.0.0.1", "gateway.assistant.svc"]


def versions(**changed: int) -> Props:
    return {"versions": {**dict.fromkeys(NAMES, 1), **changed}}


def wanted(*hosts: str, validity: int = 90) -> Props:
    return {"hosts": [*HOSTS, *hosts], "validityDays": validity, "renewBeforeDays": 30}


@pytest.fixture
def kept() -> Props:
    return secrets.create(versions()).outs or {}


@pytest.fixture
def issued() -> Props:
    return certificates.create(wanted()).outs or {}


def test_every_secret_has_a_value_of_its_own_and_a_digest_that_gives_nothing_away(kept: Props) -> None:
    assert set(kept["values"]) == set(kept["digests"]) == set(NAMES)
    assert len(set(kept["values"].values())) == len(NAMES)
    assert kept["digests"] == {name: digest(value) for name, value in kept["values"].items()}


def test_nothing_to_do_while_the_versions_stay(kept: Props) -> None:
    assert secrets.diff("x", kept, versions()).changes is False


def test_a_raised_version_replaces_that_secret_alone(kept: Props) -> None:
    assert secrets.diff("x", kept, versions(api_key=2)).changes is True
    updated = secrets.update("x", kept, versions(api_key=2)).outs or {}
    assert {name for name in NAMES if updated["values"][name] != kept["values"][name]} == {"api_key"}


def test_a_secret_that_the_stack_no_longer_needs_is_forgotten_and_a_new_one_made(kept: Props) -> None:
    fewer: Props = {"versions": {"api_key": 1, "another": 1}}
    updated = secrets.update("x", kept, fewer).outs or {}
    assert set(updated["values"]) == {"api_key", "another"}
    assert updated["values"]["api_key"] == kept["values"]["api_key"]


def test_the_certificate_belongs_to_its_key_and_names_every_host(issued: Props) -> None:
    assert belong_together(issued["certificate"].encode(), issued["key"].encode())
    assert belong_together(issued["caCertificate"].encode(), issued["authorityKey"].encode())
    certificate = x509.load_pem_x509_certificate(issued["certificate"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "gateway.assistant.svc"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(issued["caCertificate"].encode()))


def test_no_output_but_the_two_keys_is_secret(issued: Props) -> None:
    assert {name for name, value in issued.items() if "PRIVATE KEY" in str(value)} == set(SECRET_OUTPUTS)


def test_nothing_to_do_on_a_fresh_one(issued: Props) -> None:
    assert certificates.diff("x", issued, wanted()).changes is False
    assert (certificates.update("x", issued, wanted()).outs or {})["fingerprint"] == issued["fingerprint"]


def test_a_renewal_keeps_the_authority_so_that_clients_notice_nothing(issued: Props) -> None:
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    near = {**issued, "notAfter": tomorrow.isoformat()}
    assert certificates.diff("x", near, wanted()).changes is True
    renewed = certificates.update("x", near, wanted()).outs or {}
    assert (renewed["caCertificate"], renewed["authorityKey"]) == (issued["caCertificate"], issued["authorityKey"])
    assert renewed["fingerprint"] != issued["fingerprint"]
    assert belong_together(renewed["certificate"].encode(), renewed["key"].encode())


def test_another_host_means_another_authority_whose_name_constraints_follow(issued: Props) -> None:
    news = wanted("chat.example.com")
    assert certificates.diff("x", issued, news).changes is True
    reissued: dict[str, Any] = certificates.update("x", issued, news).outs or {}
    assert reissued["caCertificate"] != issued["caCertificate"]
