"""At which level a stack's findings stand: ``enforcement.yaml``, read once when the pack starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

import yaml

FILE: Final = Path(__file__).parent / "enforcement.yaml"
KEYS: Final = ("level", "production")


class Level(Enum):
    """The levels of Pulumi's policy SDK that a stack may have; a single rule's may be ``remediate`` too, by configuration."""

    ADVISORY = "advisory"
    MANDATORY = "mandatory"


class EnforcementMistake(Exception):
    """The file is not as it should be; the message is for the person who wrote it."""


@dataclass(frozen=True)
class Environment:
    """How a stack is held to the rules. ``production``: whether rules apply that are for what others depend on."""

    level: Level = Level.MANDATORY
    production: bool = True


@dataclass(frozen=True)
class Enforcement:
    default: Environment = field(default_factory=Environment)
    stacks: Mapping[str, Environment] = field(default_factory=dict)

    def of(self, stack: str, profile: str = "") -> Environment:
        """By the stack's name, else by the profile that its settings name. One that the file does not know by either is held to
        the default: forgetting one must not loosen anything."""
        return self.stacks.get(stack) or self.stacks.get(profile) or self.default


def read(file: Path = FILE) -> Enforcement:
    """Raises :class:`EnforcementMistake`."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise EnforcementMistake(
            f"{file.name} cannot be read ({type(error).__name__}); it is YAML with default and stacks"
        ) from None
    return parse(document)


def parse(document: Any) -> Enforcement:
    if not isinstance(document, dict) or set(document) - {"default", "stacks"}:
        raise EnforcementMistake("enforcement.yaml has the keys default and stacks, and no other")
    stacks = document.get("stacks") or {}
    if not isinstance(stacks, dict):
        raise EnforcementMistake("enforcement.yaml: stacks is a mapping of a stack's name to its level")
    default = _environment("default", document.get("default") or {}, Environment())
    return Enforcement(default, {str(name): _environment(f"stacks.{name}", given, default) for name, given in stacks.items()})


def _environment(where: str, given: Any, default: Environment) -> Environment:
    if not isinstance(given, dict) or set(given) - set(KEYS):
        raise EnforcementMistake(f"enforcement.yaml: {where} is a mapping with {' and '.join(KEYS)}")
    level, production = given.get("level", default.level.value), given.get("production", default.production)
    if level not in [each.value for each in Level]:
        raise EnforcementMistake(f"enforcement.yaml: {where}.level is advisory or mandatory, not {str(level)[:40]!r}")
    if not isinstance(production, bool):
        raise EnforcementMistake(f"enforcement.yaml: {where}.production is true or false")
    return Environment(Level(level), production)
