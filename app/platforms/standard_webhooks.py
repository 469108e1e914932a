"""Standard Webhooks: the signature that the generic platform puts on its events, and we on the answers we send it.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (1.0.0), symmetric scheme
``v1``: base64(HMAC-SHA256(secret, id "." timestamp "." raw body)) in ``webhook-signature``, space-separated where two
secrets overlap; ``webhook-timestamp`` in Unix seconds; ``webhook-id`` equal on every retry of the same event.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.platforms.inbound import SignatureRefused

TOLERANCE_SECONDS = 300  # either way; the libraries of the specification use the same
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64  # the specification's bounds
MAX_SIGNATURES = 16  # one is usual, two during a rotation; each costs a comparison
ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"
# No full stop: it separates what is signed, and with one in an id a second reading of the same signature could exist.
_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,200}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{1,12}", re.ASCII)

RawHeaders = Sequence[tuple[bytes, bytes]]  # as in ASGI: names in lower case


class SecretError(ValueError):
    """A configured secret is unusable; the message never repeats it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of a request assert, not yet proved. ``signatures`` are those of version v1."""

    id: str
    timestamp: str  # Unix seconds, as sent: it is part of what is signed
    signatures: tuple[bytes, ...]


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """The keys in ``text``: one or more ``whsec_<base64>``, separated by white space. Raises :class:`SecretError`."""
    keys = tuple(_parse_secret(word) for word in text.split())
    if not keys:
        raise SecretError("no webhook secret is given: whsec_ and 24 to 64 random bytes in base64 are expected")
    return keys


def sign(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers for ``body``, signed with every key, so that the receiver may change over at any moment."""
    if not _ID.fullmatch(message_id):
        raise ValueError(f"webhook-id {message_id[:64]!r}: 1 to 200 visible ASCII characters without a full stop are allowed")
    signatures = " ".join(f"v1,{_signature(key, message_id, str(timestamp), body).decode()}" for key in keys)
    return {ID_HEADER: message_id, TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: signatures}


def claim(headers: RawHeaders, now: float) -> Claim:
    """What ``headers`` assert, if it can be true at ``now`` (Unix seconds): complete, well-formed, within the tolerance.

    It needs no body, so what fails here is refused before one is read. Raises :class:`SignatureRefused`.
    """
    message_id, timestamp = _single(headers, ID_HEADER), _single(headers, TIMESTAMP_HEADER)
    signatures = _single(headers, SIGNATURE_HEADER)
    if not _ID.fullmatch(message_id):
        raise SignatureRefused(
            "malformed_signature", f"{ID_HEADER} is not 1 to 200 visible ASCII characters without a full stop"
        )
    if not _TIMESTAMP.fullmatch(timestamp):
        raise SignatureRefused("malformed_signature", f"{TIMESTAMP_HEADER} is not a time in whole Unix seconds")
    age = now - int(timestamp)
    if abs(age) > TOLERANCE_SECONDS:
        where = "in the past" if age > 0 else "in the future"
        raise SignatureRefused(
            "stale_timestamp",
            f"{TIMESTAMP_HEADER} lies more than {TOLERANCE_SECONDS} s {where}: sign each attempt anew and check both clocks",
        )
    words = signatures.split(" ")
    if len(words) > MAX_SIGNATURES:
        raise SignatureRefused("malformed_signature", f"{SIGNATURE_HEADER} holds more than {MAX_SIGNATURES} signatures")
    # Other versions (v1a is Ed25519) may stand beside; they are not ours to judge.
    given = tuple(word.removeprefix("v1,").encode() for word in words if word.startswith("v1,"))
    return Claim(message_id, timestamp, given)


@dataclass(frozen=True, slots=True)
class Verified:
    """``previous``: signed with another key than the first."""

    id: str
    previous: bool


def verify(keys: Sequence[bytes], headers: RawHeaders, body: bytes, now: float) -> Verified:
    """The id of a request that one of ``keys`` signed within the tolerance of ``now`` (Unix seconds).

    Raises :class:`SignatureRefused`. Every signature is compared with every key, in constant time.
    """
    claimed = claim(headers, now)
    expected = [_signature(key, claimed.id, claimed.timestamp, body) for key in keys]
    matches = [[hmac.compare_digest(one, other) for one in claimed.signatures] for other in expected]
    if not any(map(any, matches)):
        raise SignatureRefused("invalid_signature", "no signature in the request matches: check the webhook secret")
    return Verified(claimed.id, previous=not any(matches[0]))


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> bytes:
    signed = b".".join((message_id.encode("ascii"), timestamp.encode("ascii"), body))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())


def _single(headers: RawHeaders, name: str) -> str:
    values = [value for key, value in headers if key == name.encode()]
    if not values or not values[0]:
        raise SignatureRefused("missing_signature", f"the header {name} is missing: requests are signed as Standard Webhooks")
    if len(values) > 1:
        raise SignatureRefused("malformed_signature", f"the header {name} stands more than once")
    return values[0].decode("latin-1")


def _parse_secret(word: str) -> bytes:
    encoded = word.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SecretError("a webhook secret is not base64 after its whsec_") from None
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise SecretError(
            f"a webhook secret holds {len(key)} bytes, {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} are allowed: "
            "echo whsec_$(openssl rand -base64 32) makes one"
        )
    return key
