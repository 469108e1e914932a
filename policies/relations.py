"""Which resource does a property of another one mean? By its value where that is known, by the engine's edges where it is not.

On a first preview no resource has an identifier yet: a bucket's versioning says ``bucket: unknown``. The engine knows all the
same which resources that value was computed from (``propertyDependencies``), and that settles nearly every relation before
anything exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from policies.resource import Resource, Stack
from policies.values import UNKNOWN, Secret, Value

# Outputs by which other resources name one.
IDENTITIES: Final = ("id", "arn", "name", "bucket", "url", "keyId", "keyArn", "targetKeyId")


def means(child: Resource, name: str, target: Resource) -> bool | None:
    """Does the property ``name`` of ``child`` mean ``target``? None: neither value nor edge tells.

    A list, or a mapping, means every resource that stands in it.
    """
    value = child.view.raw(name)
    if value is None:
        return False
    texts, all_known = _texts(value)
    if texts & identities(target):
        return True
    if target.urn in child.property_dependencies.get(name, ()):
        return True
    if all_known:
        # An own identifier of the target's that is unknown yet cannot be the one that stands here in plain.
        return False
    return False if child.property_dependencies.get(name) else None


def identities(target: Resource) -> set[str]:
    """Every text by which another resource may name ``target``: an ARN ends with the identifier, which not every provider
    repeats among its outputs."""
    texts = {text for identity in IDENTITIES if isinstance(text := target.view.raw(identity), str)}
    arn = target.view.raw("arn")
    return texts | ({arn.rpartition("/")[2]} if isinstance(arn, str) and "/" in arn else set())


def meaning(stack: Stack, resource_types: Iterable[str], name: str, target: Resource) -> list[Resource]:
    """The resources of ``resource_types`` whose property ``name`` means ``target``, or cannot be told not to."""
    return [child for child in stack.of_type(*resource_types) if means(child, name, target) is not False]


def meant(stack: Stack, child: Resource, name: str, resource_types: Iterable[str]) -> list[Resource]:
    """The resources of ``resource_types`` that the property ``name`` of ``child`` means."""
    return [target for target in stack.of_type(*resource_types) if means(child, name, target)]


def texts_of(value: Value) -> set[str]:
    """Every text in ``value`` that is known."""
    return _texts(value)[0]


def _texts(value: Value) -> tuple[set[str], bool]:
    """Every text in ``value``, and whether all of it is known."""
    if isinstance(value, Secret):
        return _texts(value.value)
    if value is UNKNOWN:
        return set(), False
    if isinstance(value, str):
        return {value}, True
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    texts: set[str] = set()
    known = True
    for item in items:
        found, whole = _texts(item)
        texts |= found
        known = known and whole
    return texts, known
