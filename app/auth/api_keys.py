"""API keys, inbound: what a caller presents in ``Authorization: Bearer <key>`` (RFC 6750 §2.1).

A key is held as its SHA-256 digest, in memory and, if the operator likes, in the configuration (``sha256:<hex>``). A slow
hash (bcrypt, Argon2) protects what people choose and so can be guessed; a key is random, at least 128 bits: nobody can walk
that space at any speed, and a slow hash on every request would only hand an attacker a way to keep the gateway busy.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.auth.secret_reference import SecretReference

DIGEST_PREFIX = "sha256:"
# Shorter than this it cannot hold the entropy that a fast hash relies on (16 characters of base64 are 96 bits).
MIN_KEY_CHARACTERS = 16
# RFC 6750's b64token, and a cap: nothing is hashed for a caller who sends a megabyte.
_BEARER = re.compile(r"bearer +([A-Za-z0-9\-._~+/]{1,512}=*) *", re.IGNORECASE | re.ASCII)
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*", re.ASCII)


class ApiKeyError(ValueError):
    """A configured key is unusable; the message says why and never repeats the key."""


class ApiKeys:
    """The keys that are accepted; several while a new one replaces an old one."""

    def __init__(self, digests: Iterable[bytes]) -> None:
        self._digests = tuple(digests)
        if not self._digests:
            raise ApiKeyError("no API key is configured: nobody could be let in")

    @classmethod
    def parse(cls, text: str) -> ApiKeys:
        """``text``: keys separated by white space, each plain or as ``sha256:<64 hex digits>``. Raises :class:`ApiKeyError`."""
        return cls(parse_digests(text))

    def accepts(self, authorization: Sequence[str]) -> bool:
        """Whether the request's ``Authorization`` headers (all of them: two are ambiguous and refused) hold an accepted key."""
        if len(authorization) != 1:
            return False
        match = _BEARER.fullmatch(authorization[0])
        return match is not None and self.holds(match[1])

    def holds(self, presented: str) -> bool:
        return _is_among(hashlib.sha256(presented.encode()).digest(), self._digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantKey:
    """A key of a tenant's. ``scopes``: the permissions that it is limited to, None: not limited; ``expires``: from this moment
    on it is refused (aware). Several digests while one key replaces another. ``source``: where they were read, if not in the
    file of the tenants itself."""

    name: str
    tenant: str
    digests: tuple[bytes, ...] = field(repr=False)
    scopes: frozenset[str] | None = None
    groups: frozenset[str] = frozenset()
    expires: datetime | None = None
    source: SecretReference | None = None


def holder(keys: Iterable[TenantKey], presented: str) -> TenantKey | None:
    """The key that ``presented`` is. Every one is compared, whether one was found or not."""
    digest = hashlib.sha256(presented.encode()).digest()
    found = [key for key in keys if _is_among(digest, key.digests)]
    return found[0] if found else None


def parse_digests(text: str) -> tuple[bytes, ...]:
    """As :meth:`ApiKeys.parse`."""
    return tuple(_digest(word) for word in text.split())


def _is_among(presented: bytes, digests: Iterable[bytes]) -> bool:
    # Each digest is compared, in constant time: how long it takes tells nothing about which one came near.
    matches = [hmac.compare_digest(presented, digest) for digest in digests]
    return any(matches)


def _digest(word: str) -> bytes:
    if word.startswith(DIGEST_PREFIX):
        try:
            digest = bytes.fromhex(word.removeprefix(DIGEST_PREFIX))
        except ValueError:
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise ApiKeyError(f"an API key that begins with {DIGEST_PREFIX} must go on with 64 hexadecimal digits")
        return digest
    if len(word) < MIN_KEY_CHARACTERS:
        raise ApiKeyError(
            f"an API key has {len(word)} characters, at least {MIN_KEY_CHARACTERS} random ones are needed: "
            "python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"
        )
    if not _B64TOKEN.fullmatch(word):
        raise ApiKeyError("an API key may hold letters, digits and -._~+/ (with = at its end) only: it travels in a header")
    return hashlib.sha256(word.encode()).digest()
