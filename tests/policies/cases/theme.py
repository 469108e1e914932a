"""What a theme's module of cases is made of: one good stack, and for every rule the mutations that it must find.

A module ``tests/policies/cases/<theme>.py`` holds ``THEME = Theme(good={…}, cases={…})``; ``tests/policies/test_every_rule.py``
collects the modules and holds every rule to its cases. What these cannot say is a test of its own in
``tests/policies/rules/test_<theme>.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.resource import Resource, Stack

STACK = "prod"


@dataclass(frozen=True, kw_only=True)
class Good:
    """A resource as the targets register it. ``refers``: which property was computed from which of the theme's resources
    (by their names here), as the engine's ``propertyDependencies`` say it. ``options``: further fields of ``Resource``."""

    type: str
    properties: Mapping[str, Any]
    refers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bad:
    """A mutation of the good stack, and words that the finding must have.

    ``changes``: by path with slashes (``spec/template/spec/hostNetwork``, list positions as numbers); None removes.
    ``without``: resources that are missing. ``unlinked``: the engine's edges of this resource are missing as well.
    ``options``: fields of the Resource, such as ``ignored_changes`` or ``protected``.
    """

    resource: str
    changes: Mapping[str, Any]
    words: str
    without: tuple[str, ...] = ()
    unlinked: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cases:
    """``unknown``: a resource and a path whose value is not known, which must be *undetermined* (edges removed);
    ``malformed``: one that holds a list in a list, which must be a finding that says what was expected. None where nothing
    that the rule reads can be unknown, or malformed."""

    failing: tuple[Bad, ...]
    unknown: tuple[str, str] | None
    malformed: tuple[str, str] | None


@dataclass(frozen=True, kw_only=True)
class Theme:
    good: Mapping[str, Good]
    cases: Mapping[str, Cases]

    def resource(self, name: str, changes: Mapping[str, Any] | None = None, *, linked: bool = True, **options: Any) -> Resource:
        good = self.good[name]
        edges = {key: tuple(self.urn(each) for each in names) for key, names in good.refers.items()} if linked else {}
        fields: dict[str, Any] = {"property_dependencies": edges, **good.options, **options}
        return Resource(
            urn=self.urn(name), type=good.type, name=name, properties=changed(good.properties, changes or {}), **fields
        )

    def urn(self, name: str) -> str:
        return f"urn:pulumi:{STACK}::assistant::{self.good[name].type}::{name}"

    def stack(self, *replaced: Resource, without: tuple[str, ...] = (), production: bool = True) -> Stack:
        """The good stack with some of its resources replaced, by name, and others missing."""
        by_name = {resource.name: resource for resource in replaced}
        names = [name for name in self.good if name not in without]
        return Stack(tuple(by_name.get(name) or self.resource(name) for name in names), production=production)


def changed(properties: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(dict(properties))
    for path, value in changes.items():
        *outer, last = path.split("/")
        place: Any = made
        for key in outer:
            place = place[int(key)] if isinstance(place, list) else place[key]
        if value is None:
            del place[int(last) if isinstance(place, list) else last]
        elif isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    return made
