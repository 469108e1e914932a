"""Idempotency keys: the same on every attempt at one step of one event, and on none other."""

from __future__ import annotations

import hashlib


def idempotency_key(event_key: str, step: str) -> str:
    """37 characters of ``[a-z0-9_]``. Derived, not stored: a worker that knows the event knows the key. An event's own id is
    not put into headers and query strings, because a platform's ids may hold any character."""
    digest = hashlib.sha256(f"{len(event_key)}:{event_key}:{step}".encode()).hexdigest()
    return f"evt_{digest[:33]}"
