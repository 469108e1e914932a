"""Values in messages: shown where they are short, plain and surely no secret."""

from __future__ import annotations

import re
from typing import Final

from policies.secret_scanning import scan

PLAIN: Final = re.compile(r"[A-Za-z0-9.:_/*@+ -]{1,64}")


def show(value: str | float) -> str:
    """``value`` for a person to read, or what kind of thing it is."""
    text = str(value)
    if not isinstance(value, str) or (PLAIN.fullmatch(text) and scan((), text) is None):
        return text
    return f"a text of {len(text)} characters"
