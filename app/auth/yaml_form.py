"""YAML files of settings, read field by field: every mistake is kept with its place, what came and what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from app.strict_yaml import StrictLoader

LARGEST_FILE: Final = 256 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Form:
    """One mapping of a file. What is wrong goes into ``mistakes``, which a whole file shares; a reader gets an empty value
    for it and goes on."""

    values: Mapping[Any, Any]
    place: str
    mistakes: list[str]

    def wrong(self, field: str, message: str) -> None:
        self.mistakes.append(f"{self.place}: {field}: {message}")

    def has(self, field: str) -> bool:
        return field in self.values

    def text(self, field: str, *, pattern: re.Pattern[str] | None = None, expected: str = "a text is expected") -> str:
        """A text that is not blank and matches ``pattern``; empty where it is wrong."""
        value = self.values.get(field)
        if not isinstance(value, str) or not value.strip():
            self.wrong(field, f"is {kind_of(value)}; {expected}")
        elif pattern is not None and not pattern.fullmatch(value):
            self.wrong(field, f'"{value[:80]}" is not allowed; {expected}')
        else:
            return value
        return ""

    def texts(self, field: str) -> list[str]:
        """A list of texts with one at least; empty where it is wrong."""
        value = self.values.get(field)
        if isinstance(value, list) and value and all(isinstance(item, str) and item.strip() for item in value):
            return value
        self.wrong(field, f"is {kind_of(value)}; a list of texts is expected, with one at least")
        return []

    def choices(self, field: str, allowed: Sequence[str], what: str) -> list[str]:
        """A list of words out of ``allowed``; ``what`` names one of them."""
        found = self.texts(field)
        for word in found:
            if word not in allowed:
                self.wrong(field, f'unknown {what} "{word[:80]}"; {nearest(word, allowed)}')
        return found

    def mapping(self, field: str) -> Mapping[Any, Any]:
        """A mapping, empty where it is absent or wrong."""
        value = self.values.get(field, {})
        if isinstance(value, dict):
            return value
        self.wrong(field, f"is {kind_of(value)}; a mapping is expected")
        return {}


def entries(file: Path, fields: Sequence[str], what: str, mistakes: list[str]) -> Iterator[Form]:
    """Each mapping of a file that is a list of them; ``what`` names one ("role"). Unknown fields are mistakes."""
    for number, value in enumerate(_list(file, what, mistakes), start=1):
        yield form(value, fields, f"{file.name}: {what} {number}", mistakes)


def form(value: Any, fields: Sequence[str], place: str, mistakes: list[str]) -> Form:
    if not isinstance(value, dict):
        mistakes.append(f"{place}: is {kind_of(value)}; a mapping with {', '.join(fields)} is expected")
        return Form({}, place, [])  # one mistake, not one a field
    mistakes.extend(
        f'{place}: unknown field "{str(field)[:80]}"; {nearest(str(field), fields)}' for field in value if field not in fields
    )
    return Form(value, place, mistakes)


def nearest(word: str, allowed: Collection[str]) -> str:
    near = difflib.get_close_matches(word[:80], allowed, n=1, cutoff=0.5)
    return (f'did you mean "{near[0]}"? ' if near else "") + f"allowed: {', '.join(allowed)}"


def kind_of(value: object) -> str:
    kinds = {str: "a text", dict: "a mapping", list: "a list", bool: "a truth value", int: "a number", float: "a number"}
    return "empty" if value in (None, "", [], {}) else kinds.get(type(value), f"a {type(value).__name__}")


def _list(file: Path, what: str, mistakes: list[str]) -> list[Any]:
    try:
        if file.stat().st_size > LARGEST_FILE:
            mistakes.append(f"{file.name}: is larger than {LARGEST_FILE} bytes")
            return []
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=StrictLoader)  # noqa: S506 (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{file.name}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # The parser's own words quote the file, which may hold a secret in the wrong place: its problem and the line alone.
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        mistakes.append(f"{file.name}:{where} not valid YAML: {getattr(error, 'problem', None) or 'see the file'}")
    else:
        if isinstance(content, list):
            return content
        mistakes.append(f"{file.name}: is {kind_of(content)}; a list of {what}s is expected")
    return []
