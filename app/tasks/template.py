"""The task library: YAML files of templates, each a pattern that a message must match and the action it then triggers.

.. code-block:: yaml

    - name: 创建日程
      pattern: 创建(?:一个)?(?P<title>.*?)的日程(?:在(?P<date>\\d{4}-\\d{2}-\\d{2}))?
      action:
        api: calendar.create            # one of app.tasks.actions
        params:
          summary: "{title}"            # expressions over the pattern's named groups and `today` (app.tasks.expression)
          start: "{date or today}"

Patterns run on RE2: time linear in the message, whatever the pattern. A pattern must match the *whole* message, less
surrounding white space and closing punctuation: found anywhere, it would carry a task out for "如何创建一个会议的日程?", which
asks how. What ends in a question mark is never a command: "创建周会的日程？" is a question too, and is answered as one.

A library with a mistake is refused as a whole, with every mistake listed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import re2
import yaml

from app.strict_yaml import StrictLoader
from app.tasks.actions import Action
from app.tasks.expression import Expression, ExpressionError, parse

CLOSING = " \t\r\n\u3000。．.！!～~…，,；;、"  # what may follow a command without changing it
QUESTION = ("?", "？")
BUILT_IN = frozenset({"today"})  # names that expressions may use beside the pattern's groups
LARGEST_FILE = 256 * 1024  # bytes
PATTERN_MEMORY = 1024 * 1024  # bytes RE2 may spend on one compiled pattern
TEMPLATE_FIELDS = ("name", "pattern", "action")
ACTION_FIELDS = ("api", "params")


class LibraryError(Exception):
    """The library cannot be used; the message has a line for each mistake: file, template, field, what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    name: str
    pattern: Any  # a compiled RE2 pattern; the library has no types
    action: Action
    params: Mapping[str, Expression]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A message that asks for a task; ``groups`` are the pattern's named groups, stripped, empty where absent."""

    template: Template
    groups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Library:
    """Templates in order: the first that matches wins (files by name, then as they stand in their file)."""

    templates: tuple[Template, ...]

    def match(self, text: str) -> Match | None:
        command = text.strip().rstrip(CLOSING)
        if command.endswith(QUESTION):
            return None
        for template in self.templates:
            if found := template.pattern.fullmatch(command):
                groups = {name: (value or "").strip() for name, value in found.groupdict().items()}
                return Match(template=template, groups=MappingProxyType(groups))
        return None


def load_library(directory: Path | None, actions: Mapping[str, Action]) -> Library:
    """Read every ``*.yaml`` in ``directory`` (None: the library that comes with the package). Raises :class:`LibraryError`."""
    folder = directory or Path(__file__).parent / "library"
    if not folder.is_dir():
        raise LibraryError(f"{folder}: no such directory; TASKS_DIRECTORY names a folder of *.yaml files")
    mistakes: list[str] = []
    templates: list[Template] = []
    names: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        for number, entry in enumerate(_entries(path, mistakes), start=1):
            place = f"{path.name}: template {number}"
            if template := _template(entry, place, actions, mistakes):
                if template.name in names:
                    mistakes.append(f'{place}: name: "{template.name}" is taken by {names[template.name]}; names are unique')
                names.setdefault(template.name, place)
                templates.append(template)
    if mistakes:
        raise LibraryError("\n".join(mistakes))
    return Library(tuple(templates))


def _entries(path: Path, mistakes: list[str]) -> Sequence[Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            mistakes.append(f"{path.name}: is larger than {LARGEST_FILE} bytes")
            return []
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)  # noqa: S506 (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(f"{path.name}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        mistakes.append(f"{path.name}:{where} not valid YAML: {getattr(error, 'problem', None) or 'see the file'}")
    except ValueError as error:  # 2026-02-30 without quotes is a date to YAML, and no date
        mistakes.append(f"{path.name}: not valid YAML: {error}")
    except RecursionError:
        mistakes.append(f"{path.name}: nests too deep")
    else:
        if isinstance(content, list):
            return content
        mistakes.append(f"{path.name}: is {_kind(content)}; a list of templates is expected")
    return []


def _template(entry: Any, place: str, actions: Mapping[str, Action], mistakes: list[str]) -> Template | None:
    """None where there is a mistake, which then stands in ``mistakes``."""
    before = len(mistakes)
    if not isinstance(entry, dict):
        mistakes.append(f"{place}: is {_kind(entry)}; a mapping with {', '.join(TEMPLATE_FIELDS)} is expected")
        return None
    if isinstance(entry.get("name"), str) and entry["name"].strip():
        place = f'{place} "{entry["name"]}"'
    _check_fields(entry, TEMPLATE_FIELDS, place, mistakes)
    name = _text(entry, "name", place, mistakes)
    pattern = _pattern(entry, place, mistakes)
    action, params = _action(entry, place, actions, mistakes)
    known = BUILT_IN | set(pattern.groupindex if pattern is not None else ())
    expressions: dict[str, Expression] = {}
    for parameter, text in params.items():
        where = f"{place}: action.params.{parameter}"
        try:
            expressions[parameter] = expression = parse(text)
        except ExpressionError as error:
            mistakes.append(f"{where}: {error}")
            continue
        if pattern is not None:
            unknown = sorted(expression.names - known)
            mistakes.extend(f'{where}: unknown name "{name}"; {_nearest(name, known)}' for name in unknown)
    if len(mistakes) > before or action is None or pattern is None:
        return None
    return Template(name=name, pattern=pattern, action=action, params=MappingProxyType(expressions))


def _pattern(entry: Mapping[str, Any], place: str, mistakes: list[str]) -> Any:
    source = _text(entry, "pattern", place, mistakes)
    if not source:
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    try:
        pattern = re2.compile(source, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        mistakes.append(f"{place}: pattern: {reason}; RE2 syntax is allowed (no back references, no look-around)")
        return None
    taken = sorted(BUILT_IN & set(pattern.groupindex))
    mistakes.extend(f'{place}: pattern: the group name "{group}" is taken by the built-in of that name' for group in taken)
    if pattern.fullmatch(""):
        mistakes.append(f"{place}: pattern: matches the empty message, so it would match what nobody said")
    return pattern


def _action(
    entry: Mapping[str, Any], place: str, actions: Mapping[str, Action], mistakes: list[str]
) -> tuple[Action | None, Mapping[str, str]]:
    value = entry.get("action")
    if not isinstance(value, dict):
        if "action" in entry:
            mistakes.append(f"{place}: action: is {_kind(value)}; a mapping with {' and '.join(ACTION_FIELDS)} is expected")
        return None, {}
    place = f"{place}: action"
    _check_fields(value, ACTION_FIELDS, place, mistakes)
    api = _text(value, "api", place, mistakes)
    action = actions.get(api)
    if api and action is None:
        mistakes.append(f'{place}.api: unknown action "{api}"; {_nearest(api, actions)}')
    params = value.get("params", {})
    if not isinstance(params, dict):
        mistakes.append(f"{place}.params: is {_kind(params)}; a mapping of parameters is expected")
        return action, {}
    texts: dict[str, str] = {}
    for parameter, text in params.items():
        if action is not None and parameter not in action.parameters:
            mistakes.append(f'{place}.params: unknown parameter "{parameter}"; {_nearest(str(parameter), action.parameters)}')
        elif not isinstance(text, str):
            mistakes.append(f"{place}.params.{parameter}: is {_kind(text)}; text is expected: put it in quotes")
        else:
            texts[str(parameter)] = text
    if action is not None:
        for parameter, schema in action.parameters.items():
            if schema.required and parameter not in params:
                mistakes.append(f"{place}.params: {parameter} is missing; {action.name} needs it")
    return action, texts


def _check_fields(entry: Mapping[Any, Any], allowed: Sequence[str], place: str, mistakes: list[str]) -> None:
    unknown = [str(field) for field in entry if field not in allowed]
    mistakes.extend(f'{place}: unknown field "{field}"; {_nearest(field, allowed)}' for field in unknown)
    mistakes.extend(f"{place}: {field} is missing" for field in allowed if field not in entry)


def _text(entry: Mapping[str, Any], field: str, place: str, mistakes: list[str]) -> str:
    value = entry.get(field)
    if isinstance(value, str) and value.strip():
        return value
    if field in entry:
        mistakes.append(f"{place}: {field}: is {_kind(value)}; text is expected")
    return ""


def _nearest(word: str, allowed: Any) -> str:
    choices = sorted(str(choice) for choice in allowed)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    return (f'did you mean "{near[0]}"? ' if near else "") + f"allowed: {', '.join(choices)}"


def _kind(value: object) -> str:
    kinds = {str: "text", dict: "a mapping", list: "a list", bool: "a truth value", int: "a number", float: "a number"}
    return "empty" if value is None or value == "" else kinds.get(type(value), f"a {type(value).__name__}")
