"""How Feishu encrypts an event's body: AES-256-CBC, the key SHA-256 of the encrypt key, the first 16 bytes the IV, PKCS#7.

CBC proves nothing about who encrypted: a body is decrypted after its signature was checked, and a challenge, which has none,
is answered only if the verification token stands in it. Whatever goes wrong is one and the same error, so that no answer
tells the padding from the text (a padding oracle).
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

BLOCK_BYTES = 16


class DecryptionFailed(Exception):
    """Not encrypted with this key, or damaged: which, is not told."""


def decrypt(key: str, encrypted: str) -> bytes:
    """The plain text of ``encrypted`` (base64). Raises :class:`DecryptionFailed`."""
    try:
        raw = base64.b64decode(encrypted, validate=True)
        if len(raw) < 2 * BLOCK_BYTES:
            raise ValueError
        decryptor = Cipher(AES256(hashlib.sha256(key.encode()).digest()), CBC(raw[:BLOCK_BYTES])).decryptor()
        padded = decryptor.update(raw[BLOCK_BYTES:]) + decryptor.finalize()
        unpadder = PKCS7(8 * BLOCK_BYTES).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except (binascii.Error, ValueError):
        raise DecryptionFailed("the body cannot be decrypted") from None
