"""A calendar entry as a file, for platforms that have no calendar: what a person opens in the calendar of their own.

iCalendar (RFC 5545) with the method PUBLISH (RFC 5546 §3.2.1): an entry to keep, not an invitation, so it names no attendees.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from app.pipeline.responses import Attachment
from app.platforms.platform import CalendarEntry

PRODUCT = "-//assistant-stack//assistant//EN"
# PUBLISH must name an organiser, and a message's sender need not have an address. This one cannot exist (RFC 2606 §2).
ORGANISER = "ORGANIZER;CN=Assistant:mailto:assistant@assistant.invalid"
LENGTH = timedelta(hours=1)  # of an entry that begins at a time of day
LINE_BYTES = 75  # without the line's end (RFC 5545 §3.1)
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # not allowed in a text, escaped or not


def calendar_file(entry: CalendarEntry, uid: str, now: datetime) -> Attachment:
    """``uid``: of this entry, in all the world and on every attempt; opened twice, it is one entry. ``now``: aware."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{PRODUCT}",
        "METHOD:PUBLISH",
        "BEGIN:VEVENT",
        f"UID:{_escaped(uid)}",
        f"DTSTAMP:{_moment(now)}",
        *_span(entry.start),
        f"SUMMARY:{_escaped(entry.summary)}",
        ORGANISER,
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    content = "".join(f"{_folded(line)}\r\n" for line in lines)
    return Attachment("event.ics", "text/calendar; charset=utf-8; method=PUBLISH", content)


def _span(start: date | datetime) -> tuple[str, str]:
    """The end is exclusive: a whole day ends with the next day's date."""
    if isinstance(start, datetime):
        return f"DTSTART:{_moment(start)}", f"DTEND:{_moment(start + LENGTH)}"
    return f"DTSTART;VALUE=DATE:{start:%Y%m%d}", f"DTEND;VALUE=DATE:{start + timedelta(days=1):%Y%m%d}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _escaped(text: str) -> str:
    """A value of type TEXT (RFC 5545 §3.3.11)."""
    text = re.sub(r"[\\;,]", r"\\\g<0>", CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    """Long lines go on after a line end and a space, which counts; no character is torn."""
    folded: list[str] = []
    part, size = "", 0
    for character in line:
        length = len(character.encode())
        if size + length > LINE_BYTES:
            folded.append(part)
            part, size = " ", 1
        part += character
        size += length
    return "\r\n".join([*folded, part])
