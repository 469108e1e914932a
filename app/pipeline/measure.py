"""The units in which platforms limit a text."""

from __future__ import annotations

import json


def utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def characters(text: str) -> int:
    """Code points, not what a reader takes for one character."""
    return len(text)


def utf16_units(text: str) -> int:
    """As JavaScript, Java and Windows count: two for a character beyond the basic plane, such as most emoji."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def json_bytes(text: str) -> int:
    """Of the JSON string with its quotes, as :func:`json.dumps` writes it: every character beyond ASCII escaped, which is never
    shorter than what a writer of UTF-8 sends."""
    return len(json.dumps(text))
