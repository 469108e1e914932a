"""The provider's own settings, and the cluster that they lead to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from plugin.values import has_unknowns, plain

from kubernetes.api import Api, UnreachableError
from kubernetes.difference import Mutable
from kubernetes.kubeconfig import Access, KubeconfigError, load

# The path of a kubeconfig that goes before whatever the program says: the cluster of a test in place of a cloud's, into which
# one logs in through a program.
OVERRIDE = "ASSISTANT_TEST_KUBECONFIG"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """``api`` is None where there is none to be had; ``problem`` then says why."""

    api: Api | None
    problem: str
    namespace: str
    mutable: Mutable
    force: bool
    delete_unreachable: bool  # give up what cannot be reached: its cluster is gone for good


def connect(arguments: Mapping[str, Any], warn: Callable[[str], None]) -> Cluster:
    """Whatever comes of it: a preview can do without a cluster, and only what cannot says so."""
    settings = {key: _setting(value) for key, value in arguments.items()}
    mutable = Mutable(config_map=_switch(settings, "enableConfigMapMutable"), secret=_switch(settings, "enableSecretMutable"))
    force = _switch(settings, "PULUMI_K8S_ENABLE_PATCH_FORCE")
    give_up = _switch(settings, "deleteUnreachable") or _switch(settings, "PULUMI_K8S_DELETE_UNREACHABLE")
    namespace = settings.get("namespace") or ""

    def without(problem: str) -> Cluster:
        return Cluster(
            api=None,
            problem=problem,
            namespace=namespace or "default",
            mutable=mutable,
            force=force,
            delete_unreachable=give_up,
        )

    if has_unknowns(settings):
        return without("the cluster's address is not known before an up")
    if path := os.environ.get(OVERRIDE):
        warn(f"{OVERRIDE} is set: in place of the cluster that the program names, this run takes that of {path}")
    try:
        access = _access(settings)
        api = Api(access, warn)
        api.version()
    except (KubeconfigError, UnreachableError) as error:
        return without(str(error))
    return Cluster(
        api=api,
        problem="",
        namespace=namespace or access.namespace,
        mutable=mutable,
        force=force,
        delete_unreachable=give_up,
    )


def server(arguments: Mapping[str, Any]) -> str | None:
    """The API server's address that these settings lead to, or None."""
    settings = {key: _setting(value) for key, value in arguments.items()}
    if has_unknowns(settings):
        return None
    try:
        return _access(settings).server
    except KubeconfigError:
        return None


def _access(settings: Mapping[str, Any]) -> Access:
    """Raises :class:`KubeconfigError`."""
    if path := os.environ.get(OVERRIDE):
        return load(path, None, os.environ)
    return load(settings.get("kubeconfig"), settings.get("context"), os.environ)


def _setting(value: Any) -> Any:
    """Settings travel as text or as JSON in text, and may be secret."""
    text = plain(value)
    if isinstance(text, str) and text[:1] == '"':
        return json.loads(text)
    return text


def _switch(settings: Mapping[str, Any], name: str) -> bool:
    return str(settings.get(name) or os.environ.get(name) or "").lower() == "true"
