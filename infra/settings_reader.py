"""Reads a stack's configuration into :class:`infra.settings.Settings`, or says everything that is wrong with it at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from infra.profiles import PROFILES, Profile, completed
from infra.section import Allowed
from infra.settings import TARGET_OF_STACK, Settings

PROJECT = "assistant"
NEAREST_CUTOFF = 0.5
LONGEST_VALUE = 80  # characters of a wrong value that are repeated


class SettingsMistakes(Exception):
    """The configuration is not valid; the message lists every mistake, each with what came and what is allowed."""


def settings_from(config: Mapping[str, str], stack: str, secret_keys: Set[str] = frozenset()) -> Settings:
    """The settings of ``stack``.

    ``config`` is Pulumi's own form: full keys (``assistant:ports``), values as text, objects as JSON. Keys of other
    namespaces belong to providers and are left alone. The values of ``secret_keys`` are never repeated in a message.
    Raises :class:`SettingsMistakes`.
    """
    values = {key.removeprefix(f"{PROJECT}:"): _parsed(text) for key, text in config.items() if key.startswith(f"{PROJECT}:")}
    mistakes: list[str] = []
    profile = _profile(values, stack)
    values = completed(values, profile)
    if "target" not in values:
        if stack in TARGET_OF_STACK:
            values["target"] = TARGET_OF_STACK[stack]
        else:
            values["target"] = "local"  # so that the other mistakes are found as well
            mistakes.append(
                f"{PROJECT}:target is required for a stack named {stack!r}: {_allowed_at(('target',))}. Known without it are "
                f"the stacks {', '.join(TARGET_OF_STACK)}. Set it: make set STACK={stack} KEY=target VALUE=local"
            )
    values.setdefault("stateDirectory", f".state/{stack}")
    secret = {key.removeprefix(f"{PROJECT}:") for key in secret_keys}
    settings, errors = _validated(values)
    mistakes.extend(dict.fromkeys(line for detail in errors for line in _described(detail, secret).splitlines()))
    mistakes = _without_consequences(mistakes)
    if mistakes or settings is None:
        count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        lines = "\n".join(f"  - {mistake}" for mistake in mistakes)
        raise SettingsMistakes(
            f"The configuration of stack {stack} has {count}:\n{lines}\n"
            f"It stands in stacks/Pulumi.{stack}.yaml; docs/configuration.md explains every setting."
        )
    return settings


def _profile(values: Mapping[str, Any], stack: str) -> Profile | None:
    """The one that is set, else the one that is named as the stack; a wrong one is found with the other mistakes."""
    wanted = values.get("profile", stack)
    if values.get("target") in ("local", "cluster"):
        return None
    return next((name for name in PROFILES if name == wanted), None)


def setting_keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every setting's key, dotted, without the project's name: ``ports.gateway``, ``logLevel``, …"""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        if section := _section(field.annotation):
            yield from setting_keys(section, f"{key}.")
        else:
            yield key


def allowed(key: str) -> str:
    """What the setting ``key`` (dotted, as :func:`setting_keys` gives it) may be, in words."""
    return _allowed_at(tuple(key.split(".")))


def _parsed(text: str) -> Any:
    """Objects and lists arrive as JSON; anything else is text, which pydantic turns into numbers."""
    if text[:1] in {"{", "["}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _validated(values: dict[str, Any]) -> tuple[Settings | None, list[ErrorDetails]]:
    """The settings, or every error: pydantic checks the rules between settings only where each is valid by itself, so the
    wrong ones are taken out and the rest is looked at again."""
    errors: list[ErrorDetails] = []
    remaining = values
    while True:
        try:
            settings = Settings.model_validate(remaining)
        except ValidationError as error:
            errors.extend(_innermost(error.errors()))
            smaller = remaining
            for detail in error.errors():
                smaller = _without(smaller, detail["loc"])
            if smaller == remaining:
                return None, errors
            remaining = smaller
        else:
            return (None if errors else settings), errors


def _without_consequences(mistakes: list[str]) -> list[str]:
    """A wrong value is taken out before the rules between settings are looked at, which must not call it missing then."""
    keys = [line.split(" ", 1)[0].rstrip(":") for line in mistakes if " is missing: " not in line]
    return [
        line
        for line in mistakes
        if " is missing: " not in line or not any(f"{key}.".startswith(f"{line.split(' ', 1)[0]}.") for key in keys)
    ]


def _innermost(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """A list whose one item is wrong counts as too short besides: only the item is worth a line."""
    places = [detail["loc"] for detail in errors]
    return [
        detail
        for detail in errors
        if not any(len(place) > len(detail["loc"]) > 0 and place[: len(detail["loc"])] == detail["loc"] for place in places)
    ]


def _without(values: Any, path: tuple[int | str, ...]) -> Any:
    """``values`` less what stands at ``path``; a list that holds a wrong item goes as a whole."""
    if not isinstance(values, dict) or not path or path[0] not in values:
        return values
    if len(path) > 1 and isinstance(values[path[0]], dict):
        return {**values, path[0]: _without(values[path[0]], path[1:])}
    return {key: value for key, value in values.items() if key != path[0]}


def _described(detail: ErrorDetails, secret: Set[str]) -> str:
    path = tuple(str(part) for part in detail["loc"])
    if not path:  # rules between settings of several sections; each line of the message names them
        return str(detail["ctx"]["error"])
    key = ".".join(path)
    full = f"{PROJECT}:{key}"
    hidden = path[0] in secret if path else False
    if detail["type"] == "extra_forbidden":
        return f"{full} is not a setting. {_nearest(key)}"
    if detail["type"] == "missing":
        return f"{full} is missing. Allowed: {_allowed_at(path)}."
    if detail["type"] == "value_error" and _is_section(path):  # a rule between the settings of one section
        return f"{full}: {detail['ctx']['error']}"
    came = "(a secret, not shown)" if hidden else _shown(detail["input"])
    reason = f"{detail['ctx']['error']}. " if detail["type"] == "value_error" else ""
    if _is_section(path):
        reason, expected = "", "a group of settings: " + ", ".join(k for k in setting_keys() if k.startswith(f"{key}."))
    else:
        expected = _allowed_at(path)
    return f"{full} is {came}. {reason[:1].upper()}{reason[1:]}Allowed: {expected}."


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _nearest(key: str) -> str:
    known = list(setting_keys())
    top = list(dict.fromkeys(k.split(".")[0] for k in known))
    candidates = known + top
    # The case is forgiven first ("loglevel"), then a whole key, then its last part in another group ("port", "device").
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    near = difflib.get_close_matches(key.lower(), by_lower, n=1, cutoff=0.75)
    if not near:
        by_leaf = {candidate.rsplit(".")[-1].lower(): candidate for candidate in known}
        leaf = difflib.get_close_matches(key.rsplit(".")[-1].lower(), by_leaf, n=1, cutoff=0.75)
        if leaf:
            return f"Did you mean {PROJECT}:{by_leaf[leaf[0]]}?"
        near = difflib.get_close_matches(key.lower(), by_lower, n=1, cutoff=NEAREST_CUTOFF)
    if near:
        return f"Did you mean {PROJECT}:{by_lower[near[0]]}?"
    return "Known are: " + ", ".join(top) + "."


def _section(annotation: Any) -> type[BaseModel] | None:
    """The group of settings that a field is, also one that may be left out."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    only = kinds[0] if len(kinds) == 1 else None
    return only if isinstance(only, type) and issubclass(only, BaseModel) else None


def _is_section(path: tuple[str, ...]) -> bool:
    return any(key.startswith(".".join(path) + ".") for key in setting_keys())


def _words(metadata: Iterable[Any], annotation: Any) -> Iterator[str]:
    """Of a field itself, then of the types that it may be: `Port | None` says what a port is."""
    yield from (item.words for item in metadata if isinstance(item, Allowed))
    for member in get_args(annotation):
        yield from _words(getattr(member, "__metadata__", ()), member)


def _allowed_at(path: tuple[str, ...]) -> str:
    model: type[BaseModel] = Settings
    for part in path:
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == part), None)
        if field is None:
            break
        if section := _section(field.annotation):
            model = section
            continue
        return next(_words(field.metadata, field.annotation), str(get_args(field.annotation)))
    return "see docs/configuration.md"
