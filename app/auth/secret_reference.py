"""Where a secret stands: a file of settings names the place, never the secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

EXPECTED: Final = "file:/absolute/path or env:NAME is expected; a secret itself has no place in this file"
LARGEST_SECRET: Final = 64 * 1024  # bytes
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


class SecretUnreadable(Exception):
    """The message names the place."""


@dataclass(frozen=True, slots=True)
class SecretReference:
    kind: Literal["file", "env"]
    place: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"

    def read(self, environment: Mapping[str, str]) -> str:
        """The secret, without white space round it. Raises :class:`SecretUnreadable`."""
        if self.kind == "env":
            secret = environment.get(self.place, "").strip()
            reason = "is not in the environment, or empty"
        else:
            try:
                with Path(self.place).open("rb") as file:
                    secret = file.read(LARGEST_SECRET).decode("utf-8").strip()
                reason = "is empty"
            except (OSError, UnicodeDecodeError) as error:
                secret, reason = "", f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})"
        if not secret:
            raise SecretUnreadable(f"{self} {reason}")
        return secret


def parse_reference(text: str) -> SecretReference | None:
    """None where ``text`` is no reference: it may be a secret then, so nobody repeats it."""
    kind, _, place = text.partition(":")
    if kind == "file" and Path(place).is_absolute() and "\x00" not in place:
        return SecretReference("file", place)
    return SecretReference("env", place) if kind == "env" and _NAME.fullmatch(place) else None
