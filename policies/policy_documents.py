"""AWS' policy documents as the rules read them, from JSON, from the mapping that it comes from, or from what is declared.

On a first preview a document is one unknown text, because ARNs in it are not known. So the components that make one register
what it says as an output, ``statements``: by the name of the policy's resource, a list of statements in which the single
identifiers are unknown. :func:`document` reads the text where it is known and else these; an identifier that is not known yet
stands there as :data:`OWN` where the engine's edges say that it comes from a resource of this stack, and is no wildcard.

Names follow IAM's grammar (docs.aws.amazon.com/IAM: reference_policies_grammar). The names of elements are read as they are
written there and in no other case: what is spelt otherwise is malformed and never overlooked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policies.resource import Malformed, NotKnown, Resource, Stack, View
from policies.values import UNKNOWN, Secret, Value, describe

STATEMENTS: Final = "statements"  # the components' output
OWN: Final = "(an identifier of this stack)"
EVERYBODY: Final = "*"
ALLOW: Final = "Allow"
DENY: Final = "Deny"
_DOCUMENT: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_KINDS: Final = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_OPERATOR: Final = re.compile(
    r"(?:(?P<quantifier>ForAllValues|ForAnyValue):)?(?P<test>[A-Za-z]+?)(?P<if_exists>IfExists)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Principal:
    """``kind``: ``AWS``, ``Service``, ``Federated``, ``CanonicalUser``; ``*`` for what is written as ``"*"`` alone."""

    kind: str
    name: str

    @property
    def is_everybody(self) -> bool:
        """``*``, and what AWS would read so or not at all: a name with a wildcard in it."""
        return "*" in self.name or "?" in self.name


@dataclass(frozen=True, kw_only=True)
class Condition:
    """``test``: the operator in lower case, without its quantifier (``forallvalues``, ``foranyvalue``) and without
    ``IfExists``; ``key`` in lower case as well, as AWS compares both so."""

    test: str
    key: str
    values: tuple[str, ...]
    quantifier: str = ""
    if_exists: bool = False

    @property
    def demands(self) -> bool:
        """Whether the key must be there with one of ``values``: ``IfExists`` and ``ForAllValues`` also hold without it."""
        positive = self.test in ("stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress")
        return positive and not self.if_exists and self.quantifier != "forallvalues"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """``path`` says where it stands, for messages. Empty tuples: the element is absent."""

    path: str
    effect: str
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    not_resources: tuple[str, ...] = ()
    principals: tuple[Principal, ...] = ()
    not_principals: tuple[Principal, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def allows(self) -> bool:
        return self.effect == ALLOW

    @property
    def denies(self) -> bool:
        return self.effect == DENY

    @property
    def names_everybody(self) -> bool:
        """Also with ``NotPrincipal``, which names everybody but some."""
        return bool(self.not_principals) or any(principal.is_everybody for principal in self.principals)

    def covers(self, action: str) -> bool:
        """Does the statement speak of ``action``, a whole one such as ``s3:GetObject``?"""
        if self.not_actions:
            return not any(matches(pattern, action, ignore_case=True) for pattern in self.not_actions)
        return any(matches(pattern, action, ignore_case=True) for pattern in self.actions)

    def under(self, key: str) -> list[Condition]:
        """The conditions on ``key``."""
        return [condition for condition in self.conditions if condition.key == key.lower()]


def document(stack: Stack, resource: Resource, name: str) -> tuple[Statement, ...]:
    """The document in the property ``name``, or what is declared of it; none where the resource has no such property.

    Raises :class:`policies.resource.NotKnown`, also where identifiers in the declared statements come from nowhere in
    particular, or :class:`policies.resource.Malformed`.
    """
    view = resource.view
    value, own = view.raw(name), bool(resource.property_dependencies.get(name))
    if value is None:
        return ()
    try:
        return parse(value, view.path(name), own=own)
    except NotKnown:
        stated = declared(stack, resource)
        if stated is None:
            raise
        return _statements(stated, f"{name}.Statement", own=own)


def is_unknown(resource: Resource, name: str) -> bool:
    """Whether the document in the property ``name`` is not known yet, or not all of it."""
    try:
        read(resource.view, name)
    except NotKnown:
        return True
    except Malformed:
        return False
    return False


def declared(stack: Stack, resource: Resource) -> Value:
    """The statements that the component around ``resource`` registers of it; None where it registers none."""
    parent = stack.by_urn.get(resource.parent)
    by_name = parent.view.raw(STATEMENTS) if parent else None
    return by_name.get(resource.name) if isinstance(by_name, dict) else None


def read(view: View, name: str) -> tuple[Statement, ...]:
    """The statements of the document in the property ``name``, a text of JSON or a mapping; none where there is no document.

    Raises :class:`policies.resource.NotKnown` or :class:`policies.resource.Malformed`.
    """
    value = view.known(name)
    if value is None:
        return ()
    return parse(value, view.path(name))


def parse(value: Value, path: str, *, own: bool = False) -> tuple[Statement, ...]:
    """Like :func:`read`, of a value that stands under ``path``. ``own``: what is unknown in it comes from this stack."""
    value = _plain(value, path)
    if isinstance(value, str):
        try:
            value = json.loads(value, object_pairs_hook=_once, parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise Malformed(path, "a policy document in JSON", "a text that is none") from None
    document = _mapping(value, path, _DOCUMENT)
    return _statements(document.get("Statement"), f"{path}.Statement", own=own)


def _once(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    """Of a name that comes twice, readers take one or the other: nobody could say which document this is."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name comes twice")
    return made


def _refuse(_constant: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


def _statements(value: Value, path: str, *, own: bool) -> tuple[Statement, ...]:
    value = _plain(value, path)
    items = value if isinstance(value, list) else [value]
    return tuple(_statement(item, f"{path}[{number}]", own=own) for number, item in enumerate(items))


def _statement(value: Value, path: str, *, own: bool) -> Statement:
    elements = _mapping(value, path, _STATEMENT)
    effect = _plain(elements.get("Effect"), f"{path}.Effect")
    if not isinstance(effect, str) or effect not in (ALLOW, DENY):
        raise Malformed(f"{path}.Effect", "Allow or Deny", "another text" if isinstance(effect, str) else describe(effect))
    return Statement(
        path=path,
        effect=effect,
        actions=_texts(elements.get("Action"), f"{path}.Action"),
        not_actions=_texts(elements.get("NotAction"), f"{path}.NotAction"),
        resources=_texts(elements.get("Resource"), f"{path}.Resource", own=own),
        not_resources=_texts(elements.get("NotResource"), f"{path}.NotResource", own=own),
        principals=_principals(elements.get("Principal"), f"{path}.Principal", own=own),
        not_principals=_principals(elements.get("NotPrincipal"), f"{path}.NotPrincipal", own=own),
        conditions=tuple(_conditions(elements.get("Condition"), f"{path}.Condition", own=own)),
    )


def _principals(value: Value, path: str, *, own: bool) -> tuple[Principal, ...]:
    value = _plain(value, path)
    if value is None:
        return ()
    if value == EVERYBODY:
        return (Principal(EVERYBODY, EVERYBODY),)
    by_kind = _mapping(value, path, _KINDS)
    return tuple(Principal(kind, name) for kind, names in by_kind.items() for name in _texts(names, f"{path}.{kind}", own=own))


def _conditions(value: Value, path: str, *, own: bool) -> Sequence[Condition]:
    value = _plain(value, path)
    if value is None:
        return ()
    found = []
    for operator, keys in _mapping(value, path).items():
        match = _OPERATOR.fullmatch(operator)
        if match is None:
            raise Malformed(path, "an operator of IAM", "another word")
        for key, values in _mapping(keys, f"{path}.{operator}").items():
            found.append(
                Condition(
                    test=match["test"].lower(),
                    key=key.lower(),
                    values=_texts(values, f"{path}.{operator}", own=own),
                    quantifier=(match["quantifier"] or "").lower(),
                    if_exists=bool(match["if_exists"]),
                )
            )
    return found


def _texts(value: Value, path: str, *, own: bool = False) -> tuple[str, ...]:
    """One text or a list of them; numbers and booleans, which conditions have, as JSON writes them."""
    if _is_own(value, own):
        return (OWN,)
    value = _plain(value, path)
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    return tuple(OWN if _is_own(item, own) else _text(item, f"{path}[{number}]") for number, item in enumerate(items))


def _is_own(value: Value, own: bool) -> bool:
    return own and (value.value if isinstance(value, Secret) else value) is UNKNOWN


def _text(value: Value, path: str) -> str:
    value = _plain(value, path)
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise Malformed(path, "a text", describe(value))


def _mapping(value: Value, path: str, known: frozenset[str] | None = None) -> dict[str, Value]:
    value = _plain(value, path)
    if not isinstance(value, dict):
        raise Malformed(path, "a mapping", describe(value))
    if known is not None and (strange := [name for name in value if name not in known]):
        raise Malformed(path, f"one of {', '.join(sorted(known))}", f"{len(strange)} element of another name")
    return value


def _plain(value: Value, path: str) -> Value:
    value = value.value if isinstance(value, Secret) else value
    if value is UNKNOWN:
        raise NotKnown(path)
    return value


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """IAM's wildcards: ``*`` for any text, ``?`` for one character, wherever they stand. Its time is bounded by the product of
    the lengths, whatever the pattern, as a regular expression's would not be."""
    if ignore_case:
        pattern, text = pattern.lower(), text.lower()
    place = position = resume = 0
    star = -1
    while position < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, resume = place, position
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[position]):
            place += 1
            position += 1
        elif star >= 0:
            resume += 1
            place, position = star + 1, resume
        else:
            return False
    return not pattern[place:].strip("*")
