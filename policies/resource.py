"""A resource as the rules see it: its properties read with types, its options, and the stack it stands in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from policies.secret_scanning import scan
from policies.values import UNKNOWN, Leaf, Secret, Value, describe, join, leaves

SHORTEST_REDACTED: Final = 4  # characters; shorter ones ("no", "80") would only garble messages


class NotKnown(Exception):
    """A rule asked for a value that is not known yet."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Malformed(Exception):
    """A rule asked for a value and another type came. The message names types, never values."""

    def __init__(self, path: str, expected: str, came: str) -> None:
        super().__init__(path, expected, came)
        self.path, self.expected, self.came = path, expected, came


class View:
    """Typed reading of a mapping of properties.

    A property that is absent or null reads as None. An unknown one raises :class:`NotKnown`, one of another type
    :class:`Malformed`; :func:`policies.rule.judge` turns these into verdicts. Secret marks are looked through, because a rule
    may have to check a host in a secret URL; what it says is redacted afterwards.
    """

    def __init__(self, properties: Mapping[str, Value], keys: tuple[str, ...] = ()) -> None:
        self._properties = properties
        self._keys = keys

    def __contains__(self, name: str) -> bool:
        return self.raw(name) is not None

    def names(self) -> list[str]:
        return list(self._properties)

    def path(self, name: str) -> str:
        return join((*self._keys, name))

    def raw(self, name: str) -> Value:
        """The value as it is, its outermost secret mark removed."""
        value = self._properties.get(name)
        return value.value if isinstance(value, Secret) else value

    def known(self, name: str) -> Value:
        value = self.raw(name)
        if value is UNKNOWN:
            raise NotKnown(self.path(name))
        return value

    def text(self, name: str) -> str | None:
        value = self.known(name)
        if value is None or isinstance(value, str):
            return value
        raise Malformed(self.path(name), "a text", describe(value))

    def integer(self, name: str) -> int | None:
        """A whole number; a text of digits counts, as environment variables are texts."""
        value = self.known(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
            return int(value)
        raise Malformed(self.path(name), "a whole number", describe(value))

    def number(self, name: str) -> float | None:
        value = self.known(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise Malformed(self.path(name), "a number", describe(value))

    def boolean(self, name: str) -> bool | None:
        value = self.known(name)
        if value is None or isinstance(value, bool):
            return value
        raise Malformed(self.path(name), "a boolean", describe(value))

    def mapping(self, name: str) -> View | None:
        value = self.known(name)
        if value is None:
            return None
        if isinstance(value, dict):
            return View(value, (*self._keys, name))
        raise Malformed(self.path(name), "a mapping", describe(value))

    def mappings(self, name: str) -> list[View] | None:
        """A list of mappings, such as the rules of a security group; a null in it is malformed."""
        value = self.known(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise Malformed(self.path(name), "a list", describe(value))
        items: list[View] = []
        for position, wrapped in enumerate(value):
            item = wrapped.value if isinstance(wrapped, Secret) else wrapped
            keys = (*self._keys, name, f"[{position}]")
            if item is UNKNOWN:
                raise NotKnown(join(keys))
            if not isinstance(item, dict):
                raise Malformed(join(keys), "a mapping", describe(item))
            items.append(View(item, keys))
        return items

    def within(self, *names: str) -> View | None:
        """The mapping that ``names`` lead to one after the other; None where one of them is absent."""
        view: View | None = self
        for name in names:
            view = view.mapping(name) if view is not None else None
        return view

    def texts(self, name: str) -> list[str] | None:
        """A list of texts, such as a command line; numbers in it read as texts."""
        value = self.known(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise Malformed(self.path(name), "a list", describe(value))
        items: list[str] = []
        for position, wrapped in enumerate(value):
            item = wrapped.value if isinstance(wrapped, Secret) else wrapped
            if item is UNKNOWN:
                raise NotKnown(f"{self.path(name)}[{position}]")
            if not isinstance(item, str | int | float) or isinstance(item, bool):
                raise Malformed(f"{self.path(name)}[{position}]", "a text", describe(item))
            items.append(str(item))
        return items


@dataclass(frozen=True)
class Resource:
    """One resource. ``properties`` are inputs where a :class:`policies.rule.Check` reads them, outputs for a ``Relation``.

    ``provider`` is the reference of the provider that it is made with (URN and id), ``property_dependencies`` the URNs of the
    resources that each input was computed from.
    """

    urn: str
    type: str
    name: str
    properties: Mapping[str, Value]
    ignored_changes: tuple[str, ...] = ()
    parent: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protected: bool = False
    provider: str = ""

    @property
    def view(self) -> View:
        return View(self.properties)

    def leaves(self) -> Iterator[Leaf]:
        return leaves(dict(self.properties))


@dataclass(frozen=True)
class Stack:
    """All resources of a stack, in the engine's order. ``production``: by ``policies/enforcement.yaml``."""

    resources: Sequence[Resource]
    production: bool = True

    @property
    def name(self) -> str:
        """As the URNs say it; empty for a stack without resources."""
        return stack_of(self.resources[0].urn) if self.resources else ""

    @cached_property
    def _by_type(self) -> Mapping[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self.resources:
            found.setdefault(resource.type, []).append(resource)
        return found

    @cached_property
    def by_urn(self) -> Mapping[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    @cached_property
    def hidden(self) -> Sequence[str]:
        """What no message about the stack may repeat; looked for once, however many relations find something."""
        return hidden_in(self.resources)

    def of_type(self, *resource_types: str) -> list[Resource]:
        return [resource for resource_type in resource_types for resource in self._by_type.get(resource_type, [])]


def hidden_in(resources: Iterable[Resource]) -> list[str]:
    """Every text that no message may repeat: marked as secret, or one by its looks."""
    return [
        leaf.value
        for resource in resources
        for leaf in resource.leaves()
        if isinstance(leaf.value, str) and (leaf.marked or scan(leaf.keys, leaf.value))
    ]


def stack_of(urn: str) -> str:
    """``urn:pulumi:prod::assistant::…`` -> ``prod``; empty for what is no URN."""
    head = urn.split("::", 1)[0].split(":")
    return head[2] if len(head) > 2 and head[:2] == ["urn", "pulumi"] else ""


def project_of(urn: str) -> str:
    parts = urn.split("::")
    return parts[1] if len(parts) > 1 else ""


def redact(message: str, secrets: Iterable[str]) -> str:
    """``message`` with every occurrence of a secret replaced; the longest first, as one may hold another."""
    for secret in sorted((secret for secret in secrets if len(secret) >= SHORTEST_REDACTED), key=len, reverse=True):
        message = message.replace(secret, "[secret]")
    return message
