"""Is what encrypts a resource a KMS key of the customer's, or one that AWS manages and nobody else can close?

A key's identifier is unknown before the key exists; the engine's edges say all the same that it is a key of the stack's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from policies.relations import IDENTITIES, meant
from policies.resource import Resource, Stack, View
from policies.rule import PASS, Verdict, fail, undetermined
from policies.show import show
from policies.values import UNKNOWN

KEY: Final = "aws:kms/key:Key"
KEYS: Final = (
    KEY,
    "aws:kms/replicaKey:ReplicaKey",
    "aws:kms/externalKey:ExternalKey",
    "aws:kms/replicaExternalKey:ReplicaExternalKey",
)
ALIAS: Final = "aws:kms/alias:Alias"
# docs.aws.amazon.com/kms: key identifiers. `mrk-`: a key of several regions.
IDENTIFIER: Final = re.compile(
    r"(?:arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:)?(?:key/[A-Za-z0-9-]+|alias/(?P<alias>[A-Za-z0-9/_-]+))"
    r"|mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
MANAGED: Final = "aws/"  # the aliases that AWS keeps for itself


def customer_key(stack: Stack, child: Resource, holder: View, name: str) -> Verdict:
    """Does ``name`` in ``holder``, a mapping within ``child``'s properties, name a customer's key?"""
    path = holder.path(name)
    if holder.raw(name) is UNKNOWN:
        return PASS if own_keys(stack, child, holder, name) else undetermined(f"{path} is not known before the update")
    text = holder.text(name)
    if not text:
        return fail(f"{path} is not set: a key that AWS manages encrypts it, whose policy nobody can narrow")
    if own_keys(stack, child, holder, name):
        return PASS
    identifier = IDENTIFIER.fullmatch(text)
    if not identifier:
        return fail(f"{path} is {show(text)}, which names no key of KMS")
    if (identifier["alias"] or "").startswith(MANAGED):
        return fail(f"{path} is {show(text)}, a key that AWS manages: its policy cannot be narrowed")
    return PASS


def own_keys(stack: Stack, child: Resource, holder: View, name: str) -> list[Resource]:
    """The stack's keys that ``name`` in ``holder`` may mean: one, unless an unknown was computed from several."""
    value = holder.raw(name)
    if value is UNKNOWN:
        top = re.split(r"[.\[]", holder.path(name))[0]
        named = [stack.by_urn[urn] for urn in child.property_dependencies.get(top, ()) if urn in stack.by_urn]
    else:
        named = [target for target in stack.of_type(*KEYS, ALIAS) if value in _identities(target)]
    return list({key.urn: key for key in _followed(stack, named)}.values())


def _followed(stack: Stack, named: Iterable[Resource]) -> Iterable[Resource]:
    for resource in named:
        if resource.type in KEYS:
            yield resource
        elif resource.type == ALIAS:
            yield from meant(stack, resource, "targetKeyId", KEYS)


def _identities(target: Resource) -> set[str]:
    return {text for identity in IDENTITIES if identity != "targetKeyId" and isinstance(text := target.view.raw(identity), str)}
