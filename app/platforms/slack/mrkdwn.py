"""Slack's text as people read it: what stands in angle brackets is written out, and three characters are unescaped.

Source: https://docs.slack.dev/messaging/formatting-message-text. ``&``, ``<`` and ``>`` that somebody typed arrive as
``&amp;``, ``&lt;`` and ``&gt;``; so every ``<…>`` is Slack's own: a mention, a channel, a link, a date.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_BRACKETED = re.compile(r"<([^<>]*)>")
_USER = re.compile(r"<@([A-Z0-9]+)(?:\|[^<>]*)?>")
_SCHEME = re.compile(r"^(?:[a-z][a-z0-9+.\-]*://|mailto:|tel:)", re.IGNORECASE)


def mentions(text: str) -> frozenset[str]:
    """The ids of the users whom ``text`` mentions."""
    return frozenset(_USER.findall(text))


def readable(text: str, bots: Collection[str]) -> str:
    """``text`` without the mentions of ``bots``, wherever they stand, and with everything else written out."""
    return _decoded(_BRACKETED.sub(lambda found: _written_out(found[1]), _without_mentions(text, bots))).strip()


def _without_mentions(text: str, bots: Collection[str]) -> str:
    """A mention goes with the blanks before it; at the start of the text also with the colon or comma after it."""
    kept: list[str] = []
    position = 0
    for found in _USER.finditer(text):
        if found[1] not in bots:
            continue
        before = text[position : found.start()].rstrip(" \t")
        position = found.end()
        if before:
            kept.append(before)
        elif not kept and text[position : position + 1] in (":", ","):
            position += 1
    return "".join((*kept, text[position:]))


def _written_out(inside: str) -> str:
    target, bar, label = inside.partition("|")
    kind, name = target[:1], target[1:]
    if kind in ("@", "#"):
        return kind + (label or name)
    if kind == "!":
        return _special(name, label)
    address = _SCHEME.sub("", target)
    if not bar or not label or label == target:
        return address if target.lower().startswith(("mailto:", "tel:")) else target
    # What was typed without its scheme comes back as it was typed.
    return label if label.rstrip("/") == address.rstrip("/") else f"{label} ({target})"


def _special(name: str, label: str) -> str:
    """``!here``, ``!subteam^S1|@team``, ``!date^1392734382^{date}|18 February``."""
    command, _, argument = name.partition("^")
    if command == "date":
        return label
    if command == "subteam":
        return label or f"@{argument}"
    return "@" + (label or command).removeprefix("@")


def _decoded(text: str) -> str:
    # The ampersand last: what was typed as "&lt;" came as "&amp;lt;" and stays "&lt;".
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
