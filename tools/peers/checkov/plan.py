"""A record's AWS resources as the JSON of a Terraform plan, with the references by which Checkov joins siblings.

What is not known in the preview stays unknown (``after_unknown``) and is given by reference, from the engine's own
dependencies, as Terraform gives a resource's attribute before it exists. A secret's value is nowhere: it is unknown as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies.record import Seen
from policies.values import UNKNOWN, Asset, Secret, Strange, Value
from tools.peers.checkov.names import MAPS, SINGULAR_LISTS, block_name, snake, terraform_type

# The form of `terraform show -json`, as of the release that wrote this version of it.
FORMAT_VERSION: Final = "1.2"
TERRAFORM_VERSION: Final = "1.9.0"
PROVIDER: Final = "registry.terraform.io/hashicorp/aws"


@dataclass(frozen=True)
class Plan:
    """``urns``: of each address in ``document``, the resource that stands behind it."""

    document: Mapping[str, Any]
    urns: Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """A resource that a property was computed from. ``outputs``: its texts, by which a part of the property is traced to it."""

    address: str
    outputs: frozenset[str]


@dataclass(frozen=True)
class Block:
    """One resource, or one block in it: what is known, what is not, and where what is not known comes from."""

    values: dict[str, Any]
    unknown: dict[str, Any]
    expressions: dict[str, Any]


def plan_of(resources: Sequence[Seen]) -> Plan:
    addresses = _addresses(resources)
    converted = [seen for seen in resources if seen.resource.urn in addresses]
    sources = {seen.resource.urn: Source(addresses[seen.resource.urn], _outputs(seen)) for seen in converted}
    planned, changes, configured = [], [], []
    for seen in converted:
        address = addresses[seen.resource.urn]
        kind, _, name = address.partition(".")
        block = _resource(seen, sources)
        head = {"address": address, "mode": "managed", "type": kind, "name": name, "provider_name": PROVIDER}
        planned.append({**head, "schema_version": 0, "values": block.values})
        change = {"actions": ["create"], "before": None, "after": block.values, "after_unknown": block.unknown}
        changes.append({**head, "change": change})
        configured.append({"address": address, "mode": "managed", "type": kind, "name": name, "expressions": block.expressions})
    document = {
        "format_version": FORMAT_VERSION,
        "terraform_version": TERRAFORM_VERSION,
        "planned_values": {"root_module": {"resources": planned}},
        "resource_changes": changes,
        "configuration": {"root_module": {"resources": configured}},
    }
    return Plan(document, {address: urn for urn, address in addresses.items()})


def _addresses(resources: Iterable[Seen]) -> dict[str, str]:
    """By URN; two resources of one type and name, under different parents, get names of their own."""
    addresses: dict[str, str] = {}
    taken: set[str] = set()
    for seen in resources:
        kind = terraform_type(seen.resource.type)
        if kind is None:
            continue
        wanted = f"{kind}.{re.sub(r'[^A-Za-z0-9_]', '_', seen.resource.name)}"
        address, number = wanted, 2
        while address in taken:
            address, number = f"{wanted}_{number}", number + 1
        taken.add(address)
        addresses[seen.resource.urn] = address
    return addresses


def _outputs(seen: Seen) -> frozenset[str]:
    """What others may have got from it. Its id is no output of its own in a record, but ends the ARN."""
    texts = {value for value in seen.resource.properties.values() if isinstance(value, str) and value}
    arn = seen.resource.properties.get("arn")
    return frozenset(texts | {re.split(r"[:/]", arn)[-1]} if isinstance(arn, str) else texts)


def _resource(seen: Seen, sources: Mapping[str, Source]) -> Block:
    block = Block({}, {}, {})
    for name, value in seen.inputs.items():
        urns = seen.resource.property_dependencies.get(name, ())
        _put(block, snake(name), value, [sources[urn] for urn in urns if urn in sources])
    return block


def _put(block: Block, name: str, value: Value, sources: Sequence[Source]) -> None:
    """Write one attribute or block into ``block``; ``sources``: what it was computed from."""
    if _is_unknown(value):
        block.unknown[name] = True
    elif isinstance(value, dict) and name not in MAPS:
        return _put_blocks(block, name, [value], sources)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return _put_blocks(block, block_name(name), [item for item in value if isinstance(item, dict)], sources)
    else:
        name = SINGULAR_LISTS.get(name, name)
        block.values[name] = _plain(value)
        if _holds_unknown(value):
            block.unknown[name] = True
    if sources:
        block.expressions[name] = {"references": _references(name, sources)}
    return None


def _put_blocks(block: Block, name: str, items: Sequence[Mapping[str, Value]], sources: Sequence[Source]) -> None:
    inner = [_block(item, sources) for item in items]
    block.values[name] = [each.values for each in inner]
    block.unknown[name] = [each.unknown for each in inner]
    block.expressions[name] = [each.expressions for each in inner]


def _block(properties: Mapping[str, Value], sources: Sequence[Source]) -> Block:
    """The engine says what a property was computed from, not which part of it: a part that is known is traced by its text."""
    block = Block({}, {}, {})
    for name, value in properties.items():
        texts = set(_texts(value))
        traced = sources if _holds_unknown(value) else [source for source in sources if texts & source.outputs]
        _put(block, snake(name), value, traced)
    return block


def _references(name: str, sources: Sequence[Source]) -> list[str]:
    """Most likely first, for Checkov takes the first: a ``kms_key_id`` means a key among several sources."""
    best = sorted((source.address for source in sources), key=lambda address: -_likeness(name, address))
    attribute = "arn" if name.endswith(("arn", "arns")) else "id"
    return [each for address in best for each in (f"{address}.{attribute}", address)]


def _likeness(name: str, address: str) -> int:
    words = set(name.rstrip("s").split("_"))
    kind = address.partition(".")[0].removeprefix("aws_").split("_")
    return sum(word in words for word in kind)


def _is_unknown(value: Value) -> bool:
    return value is UNKNOWN or isinstance(value, Secret | Strange)


def _holds_unknown(value: Value) -> bool:
    if isinstance(value, dict):
        return any(_holds_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_unknown(item) for item in value)
    return _is_unknown(value)


def _texts(value: Value) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(item)


def _plain(value: Value) -> Any:
    """As it stands in a plan: null for a part that is not known."""
    if _is_unknown(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.source if isinstance(value, Asset) else value
