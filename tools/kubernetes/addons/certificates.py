"""Certificates for the addons' own servers: self-signed, each pinned as its own authority where it is checked."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.kubernetes.address import CLUSTER_DOMAIN
from tools.kubernetes.pki import write_private

VALID = datetime.timedelta(days=365)
RENEW = datetime.timedelta(days=30)
CLOCK_TOLERANCE = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM. Nobody but this pair is trusted through it, so it is its own authority."""

    certificate: bytes
    key: bytes

    def bundle(self) -> str:
        """For `caBundle` of an APIService or a webhook."""
        return base64.b64encode(self.certificate).decode()

    def secret(self, name: str, namespace: str) -> dict[str, object]:
        content = {"ca.crt": self.certificate, "tls.crt": self.certificate, "tls.key": self.key}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": "kubernetes.io/tls",
            "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
        }


def service_names(namespace: str, services: Sequence[str]) -> list[str]:
    """The names under which a cluster's own clients call a Service."""
    return [f"{service}.{namespace}.svc{suffix}" for service in services for suffix in ("", f".{CLUSTER_DOMAIN}")]


def ensure(folder: Path, name: str, hosts: Sequence[str], now: datetime.datetime) -> Pair:
    """The pair that lies in `folder`, made anew where it is missing or expires within a month."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    if certificate.exists() and key.exists():
        expires = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
        if expires - now > RENEW:
            return Pair(certificate.read_bytes(), key.read_bytes())
    pair = self_signed(name, hosts, now)
    write_private(key, pair.key)
    write_private(certificate, pair.certificate)  # last: with it the pair counts as made
    return pair


def self_signed(name: str, hosts: Sequence[str], now: datetime.datetime) -> Pair:
    """For servers, and for clients as well: KEDA's two programs show each other the same one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), private)
