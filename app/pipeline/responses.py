"""What the assistant says, before a platform renders it.

Plain text for now. Platforms take a :class:`Response`, not a string, so that richer ones (paragraphs, links, buttons) become
further fields, each with this text as its fallback.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Response:
    text: str
