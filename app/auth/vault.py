"""Secrets at rest: sealed with AES-256-GCM, under a key of each tenant's own.

The tenant's key is HKDF-SHA256 (RFC 5869) of ``TOKEN_KEY`` with the tenant's name as ``info``, so what belongs to one tenant
opens for no other. Tenant and name are authenticated along with the value (the associated data of NIST SP 800-38D), so a value
that is copied to another name in the database does not open there. Nonces are random, 96 bits: SP 800-38D §8.3 allows 2^32 of
them under one key, and a key of ours seals some tokens a day.

Several keys: the first seals, all open. Put the new one first, leave the old until everything has been sealed anew.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.platforms.secret_set import SecretSet

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
VERSION: Final = "v1."  # AES-256-GCM, HKDF-SHA256; base64url of nonce, ciphertext and tag


class SealBroken(Exception):
    """The value does not open here. The message names what it is, never what stands in it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """``previous``: a key sealed it that is being replaced, so it should be sealed anew."""

    plaintext: bytes = field(repr=False)
    previous: bool


class Vault:
    def __init__(self, keys: SecretSet[bytes]) -> None:
        if any(len(key) != KEY_BYTES for key in keys.all):
            raise ValueError(f"a key of the vault has {KEY_BYTES} bytes")
        self._keys = keys

    def seal(self, tenant: str, name: str, plaintext: bytes) -> str:
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + _cipher(self._keys.current, tenant).encrypt(nonce, plaintext, _associated(tenant, name))
        return VERSION + base64.urlsafe_b64encode(sealed).decode("ascii")

    def open(self, tenant: str, name: str, sealed: str) -> Opened:
        """Raises :class:`SealBroken` for what was changed, sealed for another tenant or name, or with a key that is gone."""
        raw = _decoded(sealed)
        if raw is None:
            raise SealBroken(f"what is stored as {name} of {tenant} is no sealed value")
        for number, key in enumerate(self._keys.all):
            try:
                plaintext = _cipher(key, tenant).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _associated(tenant, name))
            except InvalidTag:
                continue
            return Opened(plaintext, previous=number > 0)
        raise SealBroken(
            f"{name} of {tenant} does not open: it was changed, or the TOKEN_KEY that sealed it is not given any more"
        )


def parse_key(text: str) -> bytes:
    """One key of TOKEN_KEY. Raises :class:`ValueError`, without the key."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"TOKEN_KEY: base64 of {KEY_BYTES} bytes is expected; openssl rand -base64 {KEY_BYTES} makes one")
    return key


def _cipher(key: bytes, tenant: str) -> AESGCM:
    info = b"assistant tokens\x00" + tenant.encode()
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key))


def _associated(tenant: str, name: str) -> bytes:
    """Unambiguous: the length of the first part says where the second begins."""
    first = tenant.encode()
    return len(first).to_bytes(4, "big") + first + name.encode()


def _decoded(sealed: str) -> bytes | None:
    if not sealed.startswith(VERSION):
        return None
    try:
        raw = base64.b64decode(sealed.removeprefix(VERSION), altchars=b"-_", validate=True)
    except ValueError:
        return None
    return raw if len(raw) >= NONCE_BYTES + TAG_BYTES else None
