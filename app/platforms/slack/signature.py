"""Slack's signature on what it sends: version ``v0``, over the raw body.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack: ``X-Slack-Signature`` is ``v0=`` and the hex of
HMAC-SHA256(signing secret, ``v0:`` timestamp ``:`` raw body); ``X-Slack-Request-Timestamp`` is the attempt's, in Unix seconds.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.platforms.inbound import SignatureRefused
from app.platforms.secret_set import SecretSet

TOLERANCE_SECONDS = 300  # either way; Slack's documentation asks for five minutes
TIMESTAMP_HEADER, SIGNATURE_HEADER = "x-slack-request-timestamp", "x-slack-signature"
_TIMESTAMP = re.compile(r"\d{1,12}", re.ASCII)
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)
_SECRET = re.compile(r"[\x21-\x7e]{16,128}", re.ASCII)

RawHeaders = Sequence[tuple[bytes, bytes]]  # as in ASGI: names in lower case


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of a request assert, not yet proved."""

    timestamp: str  # Unix seconds, as sent: it is part of what is signed
    signature: bytes


def parse_secret(word: str) -> bytes:
    """The key of a signing secret, which is used as it is written. Raises :class:`ValueError`."""
    if not _SECRET.fullmatch(word):
        raise ValueError(
            'a signing secret has 16 to 128 visible ASCII characters: copy it from "Basic Information", "Signing Secret"'
        )
    return word.encode("ascii")


def sign(secret: bytes, timestamp: int | str, body: bytes) -> str:
    """The value of ``X-Slack-Signature``."""
    signed = b":".join((b"v0", str(timestamp).encode("ascii"), body))
    return "v0=" + hmac.digest(secret, signed, "sha256").hex()


def claim(headers: RawHeaders, now: float) -> Claim:
    """What ``headers`` assert, if it can be true at ``now`` (Unix seconds): complete, well-formed, within the tolerance.

    It needs no body, so what fails here is refused before one is read. Raises :class:`SignatureRefused`.
    """
    timestamp, signature = _single(headers, TIMESTAMP_HEADER), _single(headers, SIGNATURE_HEADER)
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureRefused("malformed_signature", f"{TIMESTAMP_HEADER} is not a time in whole Unix seconds")
    if not _SIGNATURE.fullmatch(signature):
        raise SignatureRefused("malformed_signature", f"{SIGNATURE_HEADER} is not v0= and 64 hexadecimal digits in lower case")
    age = now - int(timestamp)
    if abs(age) > TOLERANCE_SECONDS:
        where = "in the past" if age > 0 else "in the future"
        raise SignatureRefused(
            "stale_timestamp", f"{TIMESTAMP_HEADER} lies more than {TOLERANCE_SECONDS} s {where}: check both clocks"
        )
    return Claim(timestamp, signature.encode("ascii"))


def verify(secrets: SecretSet[bytes], headers: RawHeaders, body: bytes, now: float) -> bool:
    """Whether a previous secret signed the request; False for the current one. Raises :class:`SignatureRefused` for neither.

    The signature is compared with every secret's, in constant time.
    """
    claimed = claim(headers, now)
    matches = [
        hmac.compare_digest(sign(secret, claimed.timestamp, body).encode("ascii"), claimed.signature) for secret in secrets.all
    ]
    if not any(matches):
        raise SignatureRefused("invalid_signature", "the signature does not match: check SLACK_SIGNING_SECRET")
    return not matches[0]


def _single(headers: RawHeaders, name: str) -> str:
    wanted = name.encode()
    values = [value for key, value in headers if key == wanted]
    if not values or not values[0]:
        raise SignatureRefused("missing_signature", f"the header {name} is missing: Slack signs every request")
    if len(values) > 1:
        raise SignatureRefused("malformed_signature", f"the header {name} stands more than once")
    return values[0].decode("latin-1")
