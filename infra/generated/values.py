"""The stack's secrets as values: how each is made, when it is made anew, and what may be shown of it. Pure but for chance."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

WEBHOOK_SECRET_BYTES = 32  # Standard Webhooks: 24 to 64 bytes; the upper end of SHA-256's own strength
TOKEN_BYTES = 32
WEBHOOK_SECRETS = frozenset({"generic_webhook_secret"})
KEYS = frozenset({"token_key"})  # of AES-256: 32 bytes in base64
NAMES = ("api_key", "inference_api_key", "redis_password", "generic_webhook_secret", "generic_client_secret", "token_key")


def generate(name: str) -> str:
    """A fresh value for the secret ``name``: 256 random bits, in the form that its users expect."""
    if name in WEBHOOK_SECRETS:
        return "whsec_" + base64.b64encode(secrets.token_bytes(WEBHOOK_SECRET_BYTES)).decode()
    if name in KEYS:
        return base64.b64encode(secrets.token_bytes(TOKEN_BYTES)).decode()
    return secrets.token_urlsafe(TOKEN_BYTES)


def digest(value: str) -> str:
    """SHA-256 in hexadecimal. The secrets are 256 random bits, so this gives nothing away."""
    return hashlib.sha256(value.encode()).hexdigest()


def successor(name: str, before: str | None) -> str:
    """What comes after ``before``. A key keeps the one before it behind itself: what that sealed can still be opened."""
    fresh = generate(name)
    return f"{fresh} {before.split()[0]}" if before and name in KEYS else fresh


def renewed(values: Mapping[str, str], old_versions: Mapping[str, Any], versions: Mapping[str, Any]) -> dict[str, str]:
    """The values after an update: a secret whose version is another one, or that is new, is generated afresh."""
    return {
        name: values[name] if name in values and old_versions.get(name) == version else successor(name, values.get(name))
        for name, version in sorted(versions.items())
    }
