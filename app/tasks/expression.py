"""The expressions of a template's parameters: text with placeholders, such as ``"{title}"`` or ``"{date or today}"``.

Inside braces stand names, string literals, ``or`` and parentheses: nothing else. There are no attributes, calls, indexes or
operators, so a template cannot reach anything but the names it is given. ``{{`` and ``}}`` are literal braces. ``or`` takes the
first that is not empty. Parsed once, when the library is loaded, with Python's own parser and a white list of its nodes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LONGEST = 1024  # characters of a parameter's text: Python's parser is never given more


class ExpressionError(ValueError):
    """What is wrong, where (the column, counted from 1, in the parameter's text) and what is allowed."""


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Or:
    choices: tuple[Name | Or | str, ...]


Part = str | Name | Or  # a string stands for itself


@dataclass(frozen=True, slots=True)
class Expression:
    """``names``: every name it uses, so that unknown ones can be refused before it is ever evaluated."""

    text: str
    parts: tuple[Part, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for part in self.parts for name in _names(part))

    def evaluate(self, values: Mapping[str, str]) -> str:
        """The text with each placeholder's value; ``values`` has every one of ``names``."""
        return "".join(_evaluate(part, values) for part in self.parts)


def parse(text: str) -> Expression:
    """Raises :class:`ExpressionError`."""
    if len(text) > LONGEST:
        raise ExpressionError(f"is {len(text)} characters long; at most {LONGEST} are allowed")
    parts: list[Part] = []
    literal, position = "", 0
    while position < len(text):
        if text.startswith(("{{", "}}"), position):
            literal += text[position]
            position += 2
        elif text[position] == "}":
            raise ExpressionError(f'column {position + 1}: "}}" without "{{"; write "}}}}" for a literal brace')
        elif text[position] == "{":
            end = _end(text, position)
            if literal:
                parts.append(literal)
            parts.append(_placeholder(text[position + 1 : end], position + 2))
            literal, position = "", end + 1
        else:
            literal += text[position]
            position += 1
    if literal:
        parts.append(literal)
    return Expression(text, tuple(parts))


def _end(text: str, start: int) -> int:
    """Where the placeholder that opens at ``start`` closes; braces inside its string literals do not count."""
    quote = ""
    for position in range(start + 1, len(text)):
        character = text[position]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "}":
            return position
    raise ExpressionError(f'column {start + 1}: "{{" is never closed; write "{{{{" for a literal brace')


def _placeholder(source: str, column: int) -> Part:
    # Python would skip leading blanks itself only with an IndentationError.
    stripped = source.lstrip()
    column += len(source) - len(stripped)
    if not stripped:
        raise ExpressionError(f"column {column - 1}: the placeholder is empty; a name is expected")
    try:
        tree = ast.parse(stripped.rstrip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError(f'column {column}: "{stripped.rstrip()}" is not an expression; {_ALLOWED}') from None
    return _convert(tree.body, stripped, column)


_ALLOWED = 'allowed are names, string literals and "or"'


def _convert(node: ast.expr, source: str, column: int) -> Part:
    match node:
        case ast.Name(id=name):
            return Name(name)
        case ast.Constant(value=str(value)):
            return value
        case ast.BoolOp(op=ast.Or(), values=values):
            return Or(tuple(_convert(value, source, column) for value in values))
        case _:
            # Python counts columns in UTF-8 bytes.
            offset = len(source.encode()[: node.col_offset].decode(errors="ignore"))
            found = ast.get_source_segment(source, node) or source
            raise ExpressionError(f'column {column + offset}: "{found}" is not allowed here; {_ALLOWED}')


def _names(part: Part) -> Iterator[str]:
    match part:
        case Name(name):
            yield name
        case Or(choices):
            for choice in choices:
                yield from _names(choice)


def _evaluate(part: Part, values: Mapping[str, str]) -> str:
    match part:
        case Name(name):
            return values[name]
        case Or(choices):
            return next((found for choice in choices if (found := _evaluate(choice, values))), "")
        case str():
            return part
