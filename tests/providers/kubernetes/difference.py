"""What changed between two versions of an object's inputs, and which changes Kubernetes takes only in a new object."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kubernetes.naming import is_autonamed

Key = str | int
Path = tuple[Key, ...]

# The fields for which the real plugin replaces an object (provider/pkg/provider/diff.go), by API version and kind.
_SELECTOR = (("spec", "selector"),)
_JOB = tuple(("spec", name) for name in ("completions", "parallelism", "selector", "template"))
_STATEFUL_SET = tuple(
    ("spec", name)
    for name in ("podManagementPolicy", "revisionHistoryLimit", "selector", "serviceName", "volumeClaimTemplates")
)
_REPLACED: Mapping[tuple[str, str], tuple[Path, ...]] = {
    ("apps/v1", "DaemonSet"): _SELECTOR,
    ("apps/v1", "Deployment"): _SELECTOR,
    ("apps/v1", "StatefulSet"): _STATEFUL_SET,
    ("batch/v1", "Job"): _JOB,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): (("roleRef",),),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): (("roleRef",),),
    ("storage.k8s.io/v1", "StorageClass"): (("parameters",), ("provisioner",)),
    ("v1", "ConfigMap"): (("data",), ("binaryData",)),
    ("v1", "PersistentVolumeClaim"): tuple(
        ("spec", name) for name in ("accessModes", "selector", "storageClassName", "volumeName")
    ),
    ("v1", "Pod"): (("spec",),),
    ("v1", "Secret"): (("type",), ("stringData",), ("data",)),
    ("v1", "Service"): (("spec", "clusterIP"),),
}
_ALWAYS: tuple[Path, ...] = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"))


@dataclass(frozen=True, kw_only=True)
class Mutable:
    """The provider's settings ``enableConfigMapMutable`` and ``enableSecretMutable``; off unless set, as in the real one."""

    config_map: bool = False
    secret: bool = False

    def covers(self, kind: str) -> bool:
        return (kind == "ConfigMap" and self.config_map) or (kind == "Secret" and self.secret)


@dataclass(frozen=True)
class Change:
    path: Path
    operation: Literal["add", "delete", "update"]

    def __str__(self) -> str:
        return property_path(self.path)


def changes(old: Any, new: Any, path: Path = ()) -> Iterator[Change]:
    """Every leaf that differs between two plain values."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            if key not in new:
                yield Change((*path, key), "delete")
            elif key not in old:
                yield Change((*path, key), "add")
            else:
                yield from changes(old[key], new[key], (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            if index >= len(new):
                yield Change((*path, index), "delete")
            elif index >= len(old):
                yield Change((*path, index), "add")
            else:
                yield from changes(old[index], new[index], (*path, index))
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield Change(path, "update")


def replaces(change: Change, api_version: str, kind: str, mutable: Mutable) -> bool:
    """Whether ``change`` needs a new object."""
    fields = _ALWAYS if mutable.covers(kind) else _ALWAYS + _REPLACED.get((api_version, kind), ())
    names = tuple(key for key in change.path if isinstance(key, str))
    return any(names[: len(field)] == field or field[: len(names)] == names for field in fields)


def same_object(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the new object cannot stand beside the old one: it has its name, and not by accident."""
    if is_autonamed(new):
        return False
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    return all(before.get(key) == after.get(key) for key in ("name", "namespace"))


def property_path(path: Path) -> str:
    """Pulumi's notation: ``spec.containers[0].image``, ``metadata.annotations["example.com/key"]``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        elif re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", key):
            text += f".{key}" if text else key
        else:
            text += f'["{key}"]'
    return text


def ignored(change: Change, ignore_changes: tuple[str, ...]) -> bool:
    """Whether ``change`` lies at or below one of the paths of the option ``ignoreChanges``."""
    text = str(change)
    return any(text == path or text.startswith((f"{path}.", f"{path}[")) for path in ignore_changes)
