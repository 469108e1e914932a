"""Which changes of an object's inputs Kubernetes takes only in a new object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plugin.changes import Change, Path

from kubernetes.naming import is_autonamed

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
