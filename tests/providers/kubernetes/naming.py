"""What an object is: its API version, kind, namespace and name."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AUTONAMED = "pulumi.com/autonamed"
SUFFIX_LENGTH = 8


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One object of the API. ``namespace`` is empty for kinds that belong to the cluster."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def id(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


def reference(document: Mapping[str, Any]) -> Reference:
    metadata = document.get("metadata") or {}
    return Reference(
        api_version=document["apiVersion"],
        kind=document["kind"],
        namespace=metadata.get("namespace", ""),
        name=metadata.get("name", ""),
    )


def from_token(token: str) -> tuple[str, str]:
    """``kubernetes:apps/v1:Deployment`` -> (``apps/v1``, ``Deployment``); ``core/v1`` is the API's plain ``v1``."""
    _, api_version, kind = token.split(":")
    return api_version.removeprefix("core/"), kind


def named(document: dict[str, Any], resource_name: str, previous: Mapping[str, Any]) -> dict[str, Any]:
    """``document`` with a name: its own, the one it has got before, or the resource's with a random suffix."""
    metadata = dict(document.get("metadata") or {})
    if metadata.get("name") or metadata.get("generateName"):
        return document
    before = previous.get("metadata") or {}
    if (before.get("annotations") or {}).get(AUTONAMED) == "true":
        metadata["name"] = before["name"]
    else:
        suffix = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(SUFFIX_LENGTH))
        metadata["name"] = f"{resource_name}-{suffix}".lower()
    metadata["annotations"] = {**(metadata.get("annotations") or {}), AUTONAMED: "true"}
    return {**document, "metadata": metadata}


def is_autonamed(document: Mapping[str, Any]) -> bool:
    return bool(((document.get("metadata") or {}).get("annotations") or {}).get(AUTONAMED) == "true")


def resource_name(urn: str) -> str:
    return urn.rpartition("::")[2]
