"""What the provider resource of the program says, and what the tests ask of the stand-in by its environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plugin.values import UNKNOWN, has_unknowns, plain

from aws.failing import Rule, rules
from aws.partitions import ACCOUNT, Region
from aws.world import World, named_by

OVERRIDES = "ASSISTANT_AWS_OVERRIDES"


class SettingsError(Exception):
    """A setting that AWS or the stand-in does not take."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    region: Region | None  # None while it is not known yet, in a preview
    default_tags: Mapping[str, str] = field(default_factory=dict)
    tags_known: bool = True

    @property
    def known_region(self) -> Region:
        if self.region is None:
            raise SettingsError("Invalid provider configuration: the region is not known yet")
        return self.region


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """From the environment."""

    world: World
    failures: tuple[Rule, ...]
    overrides: Mapping[str, Mapping[str, Any] | None]


def settings(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    given = plain(arguments)
    name = given.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not name:
        raise SettingsError("Missing region configuration: set it with pulumi config set aws:region <region>")
    allowed = _decoded(given.get("allowedAccountIds")) or []
    forbidden = _decoded(given.get("forbiddenAccountIds")) or []
    if (allowed and not has_unknowns(allowed) and ACCOUNT not in allowed) or ACCOUNT in forbidden:
        raise SettingsError(f"AWS account ID not allowed: {ACCOUNT} (the account of the stand-in)")
    tags = _decoded(given.get("defaultTags")) or {}
    known = not has_unknowns(tags)
    return Settings(
        region=None if name == UNKNOWN else Region(name=name),
        default_tags=dict(tags.get("tags") or {}) if known and isinstance(tags, Mapping) else {},
        tags_known=known,
    )


def _decoded(value: Any) -> Any:
    """The SDK sends what is no scalar as JSON."""
    if isinstance(value, str) and value != UNKNOWN:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def circumstances(environ: Mapping[str, str]) -> Circumstances:
    try:
        overrides = json.loads(environ.get(OVERRIDES) or "{}")
    except ValueError as error:
        raise SettingsError(f"{OVERRIDES} must be JSON, an object of types and their properties: {error}") from None
    return Circumstances(world=named_by(environ), failures=rules(environ), overrides=overrides)
