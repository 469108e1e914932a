"""What is wrong with a resource's inputs: names and types by the SDK; enumerations, patterns and bounds by botocore."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from plugin.changes import property_path
from plugin.values import UNKNOWN, is_secret

from aws import networks, policies, service_models
from aws.sdk import Property, Resource, Sdk, Type

Path = tuple[str | int, ...]
# Properties whose value is not what the operation's member takes: the provider translates. (Token or "*", name.)
TRANSLATED: frozenset[tuple[str, str]] = frozenset(
    {
        ("*", "namePrefix"),
        ("*", "tags"),
        ("*", "region"),
        ("iam/rolePolicyAttachment:RolePolicyAttachment", "role"),
        ("sns/topicPolicy:TopicPolicy", "arn"),
    }
)
# What the provider itself makes of an input: there is nothing that a service could say of it.
PROVIDERS_OWN = frozenset({"region", "tags", "timeouts", "forceDestroy", "skipDestroy", "forceDelete"})


@dataclass(frozen=True, kw_only=True)
class Failure:
    property: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What of a resource the service's model could say anything about."""

    token: str
    operation: str | None  # eks.CreateCluster
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = field(default=())


def failures(sdk: Sdk, resource: Resource, inputs: Mapping[str, Any]) -> list[Failure]:
    given = {key: value for key, value in inputs.items() if not key.startswith("__")}
    return [
        *_shape(sdk, resource.inputs, given, ()),
        *_model(resource, given),
        *policies.failures(resource, given),
        *networks.failures(given),
    ]


def coverage(sdk: Sdk, token: str) -> Coverage:
    """Which properties could be checked against a service model, beyond the types that the SDK gives."""
    resource = sdk.resource(token)
    operation = service_models.creating(resource.module, resource.noun)
    names = [name for name in resource.inputs if name not in PROVIDERS_OWN and not name.endswith("Prefix")]
    if operation is None:
        return Coverage(token=token, operation=None, unchecked=tuple(names))
    found = {name: service_models.member_of(operation, operation.request, name, resource.noun) for name in names}
    return Coverage(
        token=token,
        operation=f"{operation.service}.{operation.name}",
        checked=tuple(name for name, member in found.items() if member),
        unchecked=tuple(name for name, member in found.items() if not member),
    )


# --- names and types, from the SDK


def _shape(sdk: Sdk, declared: Mapping[str, Property], given: Mapping[str, Any], path: Path) -> Iterator[Failure]:
    for name, item in declared.items():
        if item.required and given.get(name) is None:
            yield Failure(property=property_path((*path, name)), reason=f'Missing required argument "{name}"')
    for name, value in given.items():
        if name not in declared:
            yield Failure(property=property_path((*path, name)), reason=_unknown(name, declared))
        elif value is not None:
            yield from _typed(sdk, declared[name].type, value, (*path, name))


def _unknown(name: str, declared: Mapping[str, Property]) -> str:
    near = difflib.get_close_matches(name, declared, n=1) or difflib.get_close_matches(
        service_models.loose(name), {service_models.loose(key): key for key in declared}, n=1
    )
    by_loose = {service_models.loose(key): key for key in declared}
    meant = f"; did you mean {by_loose.get(near[0], near[0])}?" if near else ""
    return f"An argument named {name} is not expected here{meant}"


def _typed(sdk: Sdk, kind: Type, value: Any, path: Path) -> Iterator[Failure]:
    if is_secret(value):
        yield from _typed(sdk, kind, value["value"], path)
        return
    if value is None or value == UNKNOWN or kind.kind == "any":
        return
    if kind.kind == "object":
        nested = sdk.nested(kind.reference) if kind.reference else {}
        if not isinstance(value, Mapping):
            yield _wrong(kind, value, path)
        elif nested:
            yield from _shape(sdk, nested, value, path)
    elif kind.kind == "list":
        if not isinstance(value, list):
            yield _wrong(kind, value, path)
        elif kind.item:
            for index, item in enumerate(value):
                yield from _typed(sdk, kind.item, item, (*path, index))
    elif kind.kind == "map":
        if not isinstance(value, Mapping):
            yield _wrong(kind, value, path)
        elif kind.item:
            for key, item in value.items():
                yield from _typed(sdk, kind.item, item, (*path, key))
    elif not _fits(kind, value):
        yield _wrong(kind, value, path)


def _fits(kind: Type, value: Any) -> bool:
    """The bridge turns a number or a truth into a string and back, as Terraform does."""
    if isinstance(value, Mapping | list):
        return isinstance(value, Mapping) and kind.kind == "str" and bool(value)  # an archive or an asset
    if kind.kind == "bool":
        return isinstance(value, bool) or value in ("true", "false")
    if kind.kind in ("int", "float"):
        whole = r"-?\d+" if kind.kind == "int" else r"-?\d+(\.\d+)?"
        if isinstance(value, bool):
            return False
        return bool(re.fullmatch(whole, str(int(value) if isinstance(value, float) and value.is_integer() else value)))
    return True


def _wrong(kind: Type, value: Any, path: Path) -> Failure:
    shown = "a list" if isinstance(value, list) else "a map" if isinstance(value, Mapping) else repr(value)
    return Failure(property=property_path(path), reason=f"Incorrect value type: expected {kind}, and got {shown}")


# --- enumerations, patterns and bounds, from botocore's model


def _model(resource: Resource, given: Mapping[str, Any]) -> Iterator[Failure]:
    operation = service_models.creating(resource.module, resource.noun)
    if operation is None:
        return
    key = resource.token.removeprefix("aws:")
    for name, value in given.items():
        if (key, name) in TRANSLATED or ("*", name) in TRANSLATED:
            continue
        member = service_models.member_of(operation, operation.request, name, resource.noun)
        if member is not None:
            yield from _bounded(operation, member[1], value, (name,))


def _bounded(operation: service_models.Operation, shape: str, value: Any, path: Path) -> Iterator[Failure]:
    if is_secret(value):
        value = value["value"]
    if value is None or value == UNKNOWN:
        return
    detail = operation.shapes[shape]
    kind = detail["type"]
    if kind == "list" and isinstance(value, list):
        most, least = detail.get("max"), detail.get("min")
        if (most and len(value) > most) or (least and len(value) < least):
            yield Failure(property=property_path(path), reason=f"expected {_range(least, most)} items, and got {len(value)}")
        for index, item in enumerate(value):
            yield from _bounded(operation, detail["member"]["shape"], item, (*path, index))
    elif kind == "list" and not isinstance(value, Mapping):
        return
    elif kind == "list" and isinstance(value, Mapping):  # one block, of which the API takes a list
        yield from _bounded(operation, detail["member"]["shape"], value, path)
    elif kind == "structure" and isinstance(value, Mapping):
        members = {service_models.loose(name): inner["shape"] for name, inner in detail.get("members", {}).items()}
        for name, item in value.items():
            inner_shape = members.get(service_models.loose(name)) or members.get(service_models.loose(name).removesuffix("s"))
            if inner_shape:
                yield from _bounded(operation, inner_shape, item, (*path, name))
    elif kind == "string" and isinstance(value, str):
        yield from _string(detail, value, path)
    elif kind in ("integer", "long", "float", "double") and isinstance(value, int | float) and not isinstance(value, bool):
        least, most = detail.get("min"), detail.get("max")
        if (least is not None and value < least) or (most is not None and value > most):
            yield Failure(property=property_path(path), reason=f"expected {_range(least, most)}, and got {value:g}")


def _string(detail: Mapping[str, Any], value: str, path: Path) -> Iterator[Failure]:
    where = property_path(path)
    if detail.get("enum") and value not in detail["enum"]:
        by_loose = {service_models.loose(item): item for item in detail["enum"]}
        near = [by_loose[key] for key in difflib.get_close_matches(service_models.loose(value), by_loose, n=1)]
        allowed = ", ".join(detail["enum"]) if len(detail["enum"]) <= 12 else f"{len(detail['enum'])} values"
        meant = f"; did you mean {near[0]}?" if near else ""
        yield Failure(property=where, reason=f"expected one of {allowed}, and got {value}{meant}")
        return
    least, most = detail.get("min"), detail.get("max")
    if value and ((least is not None and len(value) < least) or (most is not None and len(value) > most)):
        yield Failure(property=where, reason=f"expected length {_range(least, most)}, and got {len(value)}: {value[:80]}")
        return
    pattern = _pattern(detail.get("pattern", ""))
    if value and pattern and not pattern.search(value):
        yield Failure(property=where, reason=f"{value[:80]!r} does not match {detail['pattern']}")


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str] | None:
    """The models' patterns are Java's: what Python cannot read is not checked. AWS matches the whole string."""
    if not text:
        return None
    translated = re.sub(r"\\p\{(?:Alnum|L|IsAlphabetic)\}", r"\\w", text)
    translated = translated.replace(r"\p{N}", r"\d").replace(r"\p{Z}", r"\s").replace(r"\p{Space}", r"\s")
    try:
        return re.compile(rf"\A(?:{translated})\Z", re.DOTALL)
    except re.error:
        return None


def _range(least: int | float | None, most: int | float | None) -> str:
    if least is None:
        return f"at most {most:g}"
    return f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
