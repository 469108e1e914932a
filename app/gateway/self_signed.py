"""A certificate of this process's own, for a load balancer that ends the world's TLS and speaks TLS to its targets as well.

An Application Load Balancer encrypts to its targets and verifies none of their certificates, so what counts is that there is a
key, and that nobody else has it: it is made at the start, lies in memory alone and ends with the process.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.http.serve import ServeError, tls_context

NAME = "assistant-gateway"
# Longer than any process runs: nothing renews it.
VALIDITY = datetime.timedelta(days=3650)
CLOCKS_APART = datetime.timedelta(minutes=5)


def self_signed_context() -> ssl.SSLContext:
    """A server context with a certificate that nothing else has. Raises :class:`ServeError` where no file can be in memory."""
    pem = _issue(datetime.datetime.now(datetime.UTC))
    try:
        # OpenSSL reads a chain from a path alone; this one leads to memory, so the key is on no disk.
        descriptor = os.memfd_create(NAME)
    except (AttributeError, OSError) as error:
        raise ServeError(f"TLS_SELF_SIGNED needs Linux' memfd_create: {error}. Give TLS_CERTIFICATE instead") from None
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(pem)
        path = Path(f"/proc/self/fd/{descriptor}")
        return tls_context(path, path)
    finally:
        os.close(descriptor)


def _issue(now: datetime.datetime) -> bytes:
    """Key and certificate, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_APART)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + certificate.public_bytes(serialization.Encoding.PEM)
