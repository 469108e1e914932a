"""An exported state (`pulumi stack export`) as the rules see it: the pack judges what stands, without engine or account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from policies.record import Seen
from policies.resource import Resource
from policies.values import decode


class StateMistake(Exception):
    """A file that is no exported state; the message is for the person who named it."""


def read(file: Path) -> list[Seen]:
    """Every resource of the state that is not about to be deleted. Raises :class:`StateMistake`."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        resources = document["deployment"]["resources"]
        return [_seen(resource) for resource in resources if not resource.get("delete")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StateMistake(
            f"{file} is no exported state ({type(error).__name__}); write one with `pulumi stack export --file {file.name}`"
        ) from None


def _seen(resource: Mapping[str, Any]) -> Seen:
    inputs = _decoded(resource.get("inputs") or {})
    outputs = _decoded(resource.get("outputs") or {})
    if resource.get("id"):
        outputs.setdefault("id", resource["id"])
    return Seen(
        Resource(
            urn=resource["urn"],
            type=resource["type"],
            name=str(resource["urn"]).rpartition("::")[2],
            properties=outputs,
            ignored_changes=tuple(resource.get("ignoreChanges") or ()),
            parent=resource.get("parent") or "",
            dependencies=tuple(resource.get("dependencies") or ()),
            property_dependencies={
                name: tuple(urns or ()) for name, urns in (resource.get("propertyDependencies") or {}).items()
            },
            protected=bool(resource.get("protect")),
            provider=resource.get("provider") or "",
        ),
        inputs,
    )


def _decoded(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The signatures of a state are those of the protocol, less that a secret's ciphertext stands for its value."""
    return decode(json_format.ParseDict(dict(properties), Struct()))
