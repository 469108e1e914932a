"""A resource's properties with what is wrapped in them laid open, so that one reading of names and texts finds all of it.

Three things hide a text from whoever looks at properties by their names: lists of ``{name, value}``, as the environments of
containers are; JSON in a text, as ECS' container definitions are; base64, as the user data of machines is.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Final

from policies.values import Secret, Value

NAMES: Final = ("name", "Name", "key", "Key")
VALUES: Final = ("value", "Value")
# Properties whose text is base64, if it is not plain.
IN_BASE64: Final = frozenset({"userData", "userDataBase64", "binaryData"})
DEEPEST: Final = 4  # JSON in JSON, each in a text
LONGEST: Final = 1 << 20  # bytes that are laid open; AWS takes 16 KiB of user data and 64 KiB of a task definition
GZIP: Final = b"\x1f\x8b"
WITH_GZIP_HEADER: Final = 31  # zlib's wbits


def expanded(value: Value, key: str = "", depth: int = 0) -> Value:
    """``value`` with pairs of name and value under their names, and texts that hold JSON or base64 as what they hold.

    ``key``: the name that ``value`` stands under.
    """
    if isinstance(value, Secret):
        return Secret(expanded(value.value, key, depth))
    if isinstance(value, list):
        return [expanded(item, key, depth) for item in value]
    if isinstance(value, dict):
        under = key if key in IN_BASE64 else None
        return {name: expanded(item, under or name, depth) for name, item in _named(value).items()}
    if isinstance(value, str) and len(value) <= LONGEST and depth < DEEPEST:
        return _opened(value, key, depth)
    return value


def _named(value: dict[str, Value]) -> dict[str, Value]:
    """``{"name": "API_KEY", "value": …}`` -> ``{"name": "API_KEY", "API_KEY": …}``."""
    name = next((value[word] for word in NAMES if isinstance(value.get(word), str)), None)
    held = next((word for word in VALUES if word in value), None)
    if not isinstance(name, str) or not name or held is None or name in value:
        return value
    return {name if word == held else word: item for word, item in value.items()}


def _opened(text: str, key: str, depth: int) -> Value:
    if key in IN_BASE64 and (inner := from_base64(text)) is not None:
        return expanded(inner, "", depth + 1)
    if text.lstrip()[:1] in ("{", "["):
        try:
            structure = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if isinstance(structure, dict | list):
            return expanded(structure, key, depth + 1)
    return text


def from_base64(text: str) -> str | None:
    """The text that ``text`` is the base64 of, packed with gzip or not; None where it is of no text."""
    try:
        inner = base64.b64decode("".join(text.split()), validate=True)
        if inner.startswith(GZIP):
            inner = zlib.decompressobj(WITH_GZIP_HEADER).decompress(inner, LONGEST)
        read = inner.decode("utf-8")
    except (ValueError, binascii.Error, zlib.error):
        return None
    return read if all(char.isprintable() or char in "\t\r\n" for char in read) else None
