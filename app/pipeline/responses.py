"""What the assistant says, before a platform renders it.

``text`` is CommonMark, as models write it; a platform renders its tree (:mod:`app.pipeline.document`) in its own format and
splits what is too long for one message (:mod:`app.pipeline.splitting`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attachment:
    """A text file that goes along, such as a calendar entry."""

    name: str
    media_type: str
    content: str


@dataclass(frozen=True, slots=True)
class Response:
    text: str
    attachments: tuple[Attachment, ...] = ()
