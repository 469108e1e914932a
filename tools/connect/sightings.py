"""What the stack's processes say of a platform's events while somebody tries it: their log, line by line. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from infra.platform_settings import Platform

Kind = Literal["refused", "taken", "stored", "not stored", "ended"]
STORED = ("event_stored", "received")  # Slack's transport, Feishu's


@dataclass(frozen=True, slots=True)
class Sighting:
    """``taken``: the gateway answered 200, to an event or to what needs no answer. ``key``: the event's, where the line has it.
    ``detail``: a status, or why. ``outcome``: of an attempt, ``done``, ``dead``, ``unknown`` or ``retrying``."""

    kind: Kind
    key: str = ""
    detail: str = ""
    outcome: str = ""


def sighting(line: str, platform: Platform) -> Sighting | None:
    """``line`` may have the name of its pod in front. None for what is about something else."""
    record = _record(line)
    match record.get("event"):
        case "request" if record.get("route") == f"/events/{platform}" and isinstance(record.get("status"), int):
            status = record["status"]
            return Sighting("taken" if 200 <= status < 300 else "refused", detail=str(status))
        case "attempt ended" if _text(record, "event_key").startswith(f"{platform}:"):
            return Sighting(
                "ended", _text(record, "event_key"), detail=_text(record, "reason"), outcome=_text(record, "outcome")
            )
        case name if name in STORED and _text(record, "key").startswith(f"{platform}:"):
            return Sighting("stored", _text(record, "key"))
        case "event_not_stored" if _text(record, "key").startswith(f"{platform}:"):
            return Sighting("not stored", _text(record, "key"), detail=_text(record, "reason"))
    return None


def _record(line: str) -> dict[str, Any]:
    _, brace, rest = line.partition("{")
    try:
        value = json.loads(brace + rest)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""
