"""The signature that Feishu puts on an event: hex SHA-256 of time stamp, nonce, encrypt key and raw body, one after another.

Source: https://open.feishu.cn/document/ukTMukTMukTM/uYDNxYjL2QTM24iN0EjN/event-subscription-configure-/encrypt-key-encryption-configuration-case
A plain hash, not an HMAC; the key stands in the middle, so a body cannot be lengthened under a signature that is known. The
documentation names no tolerance for the time stamp; this is the usual one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.platforms.inbound import SignatureRefused
from app.platforms.secret_set import SecretSet

TOLERANCE_SECONDS = 300  # either way
TIMESTAMP_HEADER, NONCE_HEADER = "x-lark-request-timestamp", "x-lark-request-nonce"
SIGNATURE_HEADER = "x-lark-signature"
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_NONCE = re.compile(r"[\x21-\x7e]{1,128}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")

RawHeaders = Sequence[tuple[bytes, bytes]]  # as in ASGI: names in lower case


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of a request assert, not yet proved."""

    timestamp: str  # Unix seconds, as sent: it is part of what is signed
    nonce: str
    signature: str


def claim(headers: RawHeaders, now: float) -> Claim | None:
    """What ``headers`` assert, if it can be true at ``now`` (Unix seconds); None where they assert nothing, as those of a
    challenge. Raises :class:`SignatureRefused`."""
    timestamp, nonce = _single(headers, TIMESTAMP_HEADER), _single(headers, NONCE_HEADER)
    signature = _single(headers, SIGNATURE_HEADER)
    if not signature:
        return None
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureRefused("malformed_signature", f"{TIMESTAMP_HEADER} is not a time in whole Unix seconds")
    if not _NONCE.fullmatch(nonce) or not _SIGNATURE.fullmatch(signature):
        raise SignatureRefused("malformed_signature", f"{NONCE_HEADER} or {SIGNATURE_HEADER} is not what Feishu sends")
    age = now - int(timestamp)
    if abs(age) > TOLERANCE_SECONDS:
        where = "in the past" if age > 0 else "in the future"
        raise SignatureRefused(
            "stale_timestamp", f"{TIMESTAMP_HEADER} lies more than {TOLERANCE_SECONDS} s {where}: check this machine's clock"
        )
    return Claim(timestamp, nonce, signature)


def sign(key: str, timestamp: str, nonce: str, body: bytes) -> str:
    return hashlib.sha256((timestamp + nonce + key).encode() + body).hexdigest()


def signing_key(keys: SecretSet[str], claimed: Claim, body: bytes) -> str:
    """The key that ``body`` was signed with. Raises :class:`SignatureRefused`. Each key is tried, in constant time."""
    matches = [
        key for key in keys.all if hmac.compare_digest(sign(key, claimed.timestamp, claimed.nonce, body), claimed.signature)
    ]
    if not matches:
        raise SignatureRefused("invalid_signature", "the signature does not match: compare FEISHU_ENCRYPT_KEY with the console")
    return matches[0]


def _single(headers: RawHeaders, name: str) -> str:
    values = [value for key, value in headers if key == name.encode()]
    if len(values) > 1:
        raise SignatureRefused("malformed_signature", f"the header {name} stands more than once")
    return values[0].decode("latin-1") if values else ""
