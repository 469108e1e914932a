"""The gateway's certificate: valid, for the right names, with its key, its chain in order, and the one that is served."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization

from app.doctor.checks.readiness import own_url, unverified
from app.doctor.finding import Finding, error, note, ok, warning
from app.doctor.place import Place

CHECK: Final = "certificate"
WARN_DAYS: Final = 14
CONNECT_SECONDS: Final = 5.0
RENEW: Final = "Renew it: make up, or whoever issues it; the gateway takes new files up by itself."


async def look(place: Place) -> list[Finding]:
    settings: Any = place.settings
    if settings.tls_self_signed:
        return [
            ok(CHECK, "The process's own, made at its start and kept in memory", "TLS_SELF_SIGNED: for a load balancer alone")
        ]
    certificate, key = settings.tls_certificate, settings.tls_private_key
    if certificate is None or key is None:
        return [
            note(CHECK, "The gateway serves no TLS", "TLS_CERTIFICATE is not set", "Right where a proxy ends TLS before it.")
        ]
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except (OSError, ValueError) as failure:
        return [unreadable(certificate, failure)]
    host = urlsplit(settings.public_url or "").hostname
    now = datetime.datetime.now(datetime.UTC)
    found = [judge_validity(chain[0], now), *judge_names(chain[0], host), *judge_chain(chain, now)]
    found.append(judge_key(chain[0], key))
    served = await _served(place)
    return [*found, judge_served(chain[0], served)] if served is not None else found


def judge_validity(certificate: x509.Certificate, now: datetime.datetime) -> Finding:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    left = (ends - now).total_seconds() / 86_400
    if now >= ends:
        return error(CHECK, "The certificate has expired: nobody connects any more", f"valid until {ends.isoformat()}", RENEW)
    if now < begins:
        return error(
            CHECK,
            "The certificate is not valid yet",
            f"valid from {begins.isoformat()}, and it is {now.isoformat(timespec='seconds')} here",
            "This clock is behind, or that of whoever issued it is ahead: see the findings of clock.",
        )
    if left < WARN_DAYS:
        return warning(CHECK, f"The certificate expires in {left:.0f} days", f"valid until {ends.isoformat()}", RENEW)
    return ok(CHECK, "The certificate is valid", f"for {left:.0f} days more, until {ends.isoformat()}")


def judge_names(certificate: x509.Certificate, host: str | None) -> list[Finding]:
    """``host``: of PUBLIC_URL, None where there is none: then any name may be right."""
    names = names_of(certificate)
    listed = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    if not names:
        return [error(CHECK, "The certificate names no host", "it has no subjectAltName", RENEW)]
    if host is None or any(matches(host, name) for name in names):
        return [ok(CHECK, "The certificate's names", listed)]
    return [
        error(
            CHECK,
            f"The certificate is not for {host}, the host of PUBLIC_URL",
            f"it is for {listed}",
            "Add the name: make set KEY=certificate.hosts (docs/configuration.md), and make up; or correct PUBLIC_URL.",
        )
    ]


def judge_key(certificate: x509.Certificate, key: Path) -> Finding:
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as failure:
        return unreadable(key, failure)
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        return error(
            CHECK,
            "The private key is not the certificate's",
            f"{key} holds another key",
            "Put both files there that were issued together; until then a running gateway serves the old pair.",
        )
    return ok(CHECK, "The private key is the certificate's")


def judge_chain(chain: Sequence[x509.Certificate], now: datetime.datetime) -> list[Finding]:
    """Each certificate of the file signed by the next, none of them expired. The last one's issuer is whom clients trust."""
    for number, (one, issuer) in enumerate(itertools.pairwise(chain), start=1):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            other = _common_name(issuer.subject)
            seen = f"certificate {number} of the file is issued by {_common_name(one.issuer)}, {number + 1} is {other}"
            return [
                error(
                    CHECK,
                    "The chain is broken: clients will not trust it",
                    seen,
                    "Order the file: server first, each issuer next.",
                )
            ]
        if now >= issuer.not_valid_after_utc:
            seen = f"{_common_name(issuer.subject)}, until {issuer.not_valid_after_utc.isoformat()}"
            return [error(CHECK, "An authority of the chain has expired", seen, RENEW)]
    return [ok(CHECK, "The chain is in order", f"{len(chain)} in the file, signed by {_common_name(chain[-1].issuer)}")]


def judge_served(certificate: x509.Certificate, served: bytes) -> Finding:
    """``served``: DER, as a client gets it."""
    other = x509.load_der_x509_certificate(served)
    if other.fingerprint(hashes.SHA256()) == certificate.fingerprint(hashes.SHA256()):
        return ok(CHECK, "It is the one that is served")
    return note(
        CHECK,
        "Another certificate is served than lies in the file",
        f"served: valid until {other.not_valid_after_utc.isoformat()}",
        "A renewed one is taken up within 30 s. Later, the gateway's log says why not (certificate_not_reloaded).",
    )


def unreadable(file: Path, failure: Exception) -> Finding:
    reason = failure.strerror if isinstance(failure, OSError) else "no PEM of that kind"
    return error(
        CHECK, f"{file.name} cannot be read", f"{file}: {reason}", "Put a PEM file there that the process's user may read."
    )


def names_of(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def matches(host: str, name: str) -> bool:
    """RFC 6125: a star stands for one label, the first."""
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(name)
    except ValueError:
        host, name = host.lower().rstrip("."), name.lower().rstrip(".")
        return host == name or (name.startswith("*.") and host.partition(".")[2] == name[2:])


async def _served(place: Place) -> bytes | None:
    parts = urlsplit(own_url(place))
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=unverified())
    except (TimeoutError, OSError):
        return None  # the checks of ports and readiness say why
    certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return certificate


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string() or "somebody without a name"
