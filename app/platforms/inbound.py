"""What the gateway asks of a platform: is this request yours, and what does it say?

The gateway hands over the raw request; the platform's module verifies the raw bytes first, and only then decrypts and parses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.pipeline.event import Event


class SignatureRefused(Exception):
    """The request is not proved to come from the platform. ``code`` is a stable word, the message fit for the caller."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


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


@dataclass(frozen=True, slots=True)
class Challenge:
    """The platform asks whether this address is ours; ``body`` is the answer that it wants, at once."""

    body: Mapping[str, str]


Received = Event | Ignored | Challenge


class PlatformEvents(Protocol):
    @property
    def name(self) -> str: ...

    def admit(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Raises :class:`SignatureRefused` where the headers alone show that the request
        cannot be genuine, so that no body is read for it. Proves nothing."""

    def receive(self, request: RawRequest) -> Received:
        """Raises :class:`SignatureRefused` (401) before anything is parsed, and
        :class:`app.http.errors.ApiError` (400) for what is genuine and malformed."""
