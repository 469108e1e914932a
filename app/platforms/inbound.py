"""What the gateway asks of a platform: is this request yours, and what does it say?

The gateway hands over the raw request; the platform's module verifies the raw bytes first, and only then decrypts and parses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.pipeline.event import Event


@dataclass(frozen=True, slots=True)
class RawRequest:
    """``headers`` as in ASGI: names in lower case, repeated ones repeated."""

    headers: Sequence[tuple[bytes, bytes]]
    query: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Ignored:
    """Genuine, and nothing that the assistant acts on (an edit, a reaction): acknowledged, so that it is not sent again."""

    key: str  # as Event.key


Received = Event | Ignored


class PlatformEvents(Protocol):
    @property
    def name(self) -> str: ...

    def admit(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Raises :class:`app.platforms.standard_webhooks.SignatureRefused` where the headers alone show that the request
        cannot be genuine, so that no body is read for it. Proves nothing."""

    def receive(self, request: RawRequest) -> Received:
        """Raises :class:`app.platforms.standard_webhooks.SignatureRefused` (401) before anything is parsed, and
        :class:`app.http.errors.ApiError` (400) for what is genuine and malformed."""
