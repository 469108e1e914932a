"""Dates in tasks: ISO 8601 calendar dates, and today, which is a day in UTC whatever the machine's time zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def today(now: datetime) -> date:
    """The day of ``now`` (aware) in UTC."""
    if now.tzinfo is None:
        raise ValueError("an aware time is needed: without a zone nobody knows which day it is")
    return now.astimezone(UTC).date()


def parse_date(text: str) -> date | None:
    """``YYYY-MM-DD`` as a day that exists, else None (2026-02-30, 2026-13-01, 20261201)."""
    if not _ISO.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
