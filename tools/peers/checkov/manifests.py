"""A record's Kubernetes resources as manifests, one a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from policies.record import Seen
from policies.values import UNKNOWN, Asset, Secret, Strange, Value

PREFIX: Final = "kubernetes:"
NAMESPACE: Final = "kubernetes:core/v1:Namespace"
# Stands where a manifest must say something and the preview does not know what: an image without tag or digest, for one.
NOT_KNOWN: Final = "not-known-before-the-update"
# What may be any mapping is left out instead.
FREE_MAPPINGS: Final = frozenset({"data", "stringData"})


@dataclass(frozen=True)
class Manifests:
    """``texts`` and ``urns`` by the file's name."""

    texts: Mapping[str, str]
    urns: Mapping[str, str]


def manifests_of(resources: Sequence[Seen]) -> Manifests:
    namespaces = {seen.resource.urn: _name(seen) for seen in resources if seen.resource.type == NAMESPACE}
    texts: dict[str, str] = {}
    urns: dict[str, str] = {}
    for seen in resources:
        if not seen.resource.type.startswith(PREFIX):
            continue
        kind = seen.resource.type.rpartition(":")[2].lower()
        file = f"{len(texts):03}-{kind}-{seen.resource.name}.yaml"
        manifest = _plain(dict(seen.inputs))
        _settle_namespace(manifest, seen, namespaces)
        texts[file] = yaml.safe_dump(manifest, allow_unicode=True, sort_keys=True)
        urns[file] = seen.resource.urn
    return Manifests(texts, urns)


def _name(seen: Seen) -> str:
    metadata = seen.inputs.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else NOT_KNOWN


def _settle_namespace(manifest: dict[str, Any], seen: Seen, namespaces: Mapping[str, str]) -> None:
    """The namespace's own output is not known before it exists; by the edge it is, for it has one name."""
    metadata = manifest.get("metadata")
    if isinstance(metadata, dict) and metadata.get("namespace") == NOT_KNOWN:
        edges = seen.resource.property_dependencies.get("metadata", ())
        metadata["namespace"] = next((namespaces[urn] for urn in edges if urn in namespaces), NOT_KNOWN)


def _plain(value: Value) -> Any:
    if value is UNKNOWN or isinstance(value, Secret | Strange):
        return NOT_KNOWN
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not (key in FREE_MAPPINGS and _is_hidden(item))}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return (value.text or value.source) if isinstance(value, Asset) else value


def _is_hidden(value: Value) -> bool:
    return value is UNKNOWN or isinstance(value, Secret)
