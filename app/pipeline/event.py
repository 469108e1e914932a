"""The one thing that flows through the pipeline: what somebody said to the assistant, on whatever platform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from types import MappingProxyType

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A verified, parsed message.

    ``id`` is the platform's own identifier and, with ``platform`` and ``tenant``, the key of deduplication. ``reply_to`` is
    opaque to the pipeline: whatever the platform's module needs to answer in place (a channel and thread, a message id).
    """

    id: str
    platform: str
    tenant: str
    conversation: str
    sender: str
    text: str
    received_at: datetime  # aware, UTC
    reply_to: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def key(self) -> str:
        """The identity under which an event is deduplicated and traced. No separator can occur in the first two parts."""
        return f"{self.platform}:{self.tenant}:{self.id}"

    @property
    def conversation_key(self) -> str:
        """Events of one conversation are answered one after another, in the order of their arrival."""
        return f"{self.platform}:{self.tenant}:{self.conversation}"

    def to_json(self) -> str:
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values["received_at"] = self.received_at.astimezone(UTC).isoformat()
        values["reply_to"] = dict(self.reply_to)
        return _ENCODE(values)

    @classmethod
    def from_json(cls, text: str) -> Event:
        """What a newer version has added is left out: during a rolling update both read the same queue."""
        values = json.loads(text)
        values["received_at"] = datetime.fromisoformat(values["received_at"])
        return cls(**{entry.name: values[entry.name] for entry in fields(cls) if entry.name in values})
