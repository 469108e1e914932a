"""Certificates and keys of a cluster of our own: three authorities, one certificate for each who speaks."""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.generated.authority import key_usage
from tools.kubernetes.address import API_SERVICE_ADDRESS, CLUSTER_DOMAIN, HOST_ADDRESS, LOOPBACK, NODE_NAME

AUTHORITY_DAYS = 3650
LEAF_DAYS = 365  # as kubeadm's
RENEW_DAYS = 30
AUTHORITIES = {"ca": "kubernetes-ca", "etcd-ca": "etcd-ca", "front-proxy-ca": "front-proxy-ca"}
API_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{CLUSTER_DOMAIN}",
    "localhost",
)


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A certificate: who it names, which groups it puts them in, and where it may serve. Without places: a client's."""

    authority: str
    common_name: str
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    client: bool = True


LEAVES: dict[str, Leaf] = {
    "etcd": Leaf(authority="etcd-ca", common_name="etcd", names=("localhost",), addresses=(LOOPBACK,)),
    "apiserver-etcd-client": Leaf(authority="etcd-ca", common_name="kube-apiserver"),
    "apiserver": Leaf(
        authority="ca",
        common_name="kube-apiserver",
        names=API_NAMES,
        addresses=(API_SERVICE_ADDRESS, HOST_ADDRESS, LOOPBACK),
        client=False,
    ),
    # Members of system:masters pass every check of authorisation; less would do for the kubelet's client, but kubeadm does so.
    "apiserver-kubelet-client": Leaf(authority="ca", common_name="kube-apiserver-kubelet-client", groups=("system:masters",)),
    "front-proxy-client": Leaf(authority="front-proxy-ca", common_name="front-proxy-client"),
    "admin": Leaf(authority="ca", common_name="kubernetes-admin", groups=("system:masters",)),
    "controller-manager": Leaf(
        authority="ca", common_name="system:kube-controller-manager", names=("localhost",), addresses=(LOOPBACK,)
    ),
    "scheduler": Leaf(authority="ca", common_name="system:kube-scheduler", names=("localhost",), addresses=(LOOPBACK,)),
    # The same serves: the API server and metrics-server check it against `ca`.
    "kubelet": Leaf(
        authority="ca",
        common_name=f"system:node:{NODE_NAME}",
        groups=("system:nodes",),
        names=(NODE_NAME,),
        addresses=(HOST_ADDRESS,),
    ),
    "volumes": Leaf(authority="ca", common_name="assistant:volumes"),
    "proxy": Leaf(authority="ca", common_name="system:kube-proxy", groups=("system:node-proxier",)),
}
SERVICE_ACCOUNT_KEYS = ("service-account.key", "service-account.pub")


def ensure(folder: Path, now: datetime.datetime) -> None:
    """Make what is missing in `folder` and what expires within a month. Private keys are readable by their owner alone."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name, common_name in AUTHORITIES.items():
        if not (folder / f"{name}.crt").exists():
            _make_authority(folder, name, common_name, now)
    for name, leaf in LEAVES.items():
        if not _still_good(folder / f"{name}.crt", now):
            _make_leaf(folder, name, leaf, now)
    if not (folder / SERVICE_ACCOUNT_KEYS[1]).exists():
        _make_service_account_keys(folder)


def expiry(certificate: Path) -> datetime.datetime:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


def _still_good(certificate: Path, now: datetime.datetime) -> bool:
    return certificate.exists() and expiry(certificate) - now > datetime.timedelta(days=RENEW_DAYS)


def write_private(path: Path, content: bytes) -> None:
    """Mode 0600 from the first byte, in one step."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    partial.replace(path)


def _key_bytes(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _name(common_name: str, groups: tuple[str, ...] = ()) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))  # clocks of pods are this machine's, but a resumed VM may lag
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _make_authority(folder: Path, name: str, common_name: str, now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(common_name)
    certificate = (
        _builder(subject, key.public_key(), now, AUTHORITY_DAYS)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage(sign=True, certify=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(folder / f"{name}.key", _key_bytes(key))
    write_private(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _make_leaf(folder: Path, name: str, leaf: Leaf, now: datetime.datetime) -> None:
    issuer = x509.load_pem_x509_certificate((folder / f"{leaf.authority}.crt").read_bytes())
    issuer_key = serialization.load_pem_private_key((folder / f"{leaf.authority}.key").read_bytes(), password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{leaf.authority}.key holds no elliptic curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    places = [
        *(x509.DNSName(host) for host in leaf.names),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in leaf.addresses),
    ]
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] * leaf.client + [ExtendedKeyUsageOID.SERVER_AUTH] * bool(places)
    builder = (
        _builder(_name(leaf.common_name, leaf.groups), key.public_key(), now, LEAF_DAYS)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(sign=True, certify=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if places:
        builder = builder.add_extension(x509.SubjectAlternativeName(places), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    write_private(folder / f"{name}.key", _key_bytes(key))
    write_private(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _make_service_account_keys(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)  # RS256: every verifier of these tokens knows it
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_private(folder / SERVICE_ACCOUNT_KEYS[0], _key_bytes(key))
    write_private(folder / SERVICE_ACCOUNT_KEYS[1], public)
