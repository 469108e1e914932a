"""What the provider does with one object: make, change, look at, remove; each waits until it is so."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.api import Api, ApiError, UnknownKindError
from kubernetes.awaiting import NotReadyError, Say, look, until_gone, until_ready
from kubernetes.naming import Reference, reference
from kubernetes.readiness import seconds, skips_await

MANAGER_FIELD = "__fieldManager"
FORCE = "pulumi.com/patchForce"
PROPAGATION = "pulumi.com/deletionPropagationPolicy"
ATTEMPTS = 5  # for what is not there yet: a namespace, a custom resource's definition
FIRST_PAUSE = 0.5  # seconds, doubled each time


class Objects:
    """``say`` shows a passing line beside the resource."""

    def __init__(self, api: Api, namespace: str, force: bool, cancelled: threading.Event, say: Say) -> None:
        self._api = api
        self._namespace = namespace
        self._force = force
        self._cancelled = cancelled
        self._say = say

    @staticmethod
    def id(live: Mapping[str, Any]) -> str:
        return reference(live).id

    def in_namespace(self, document: dict[str, Any]) -> dict[str, Any]:
        """``document`` with the provider's namespace, if its kind has one and it names none itself."""
        metadata = document.get("metadata") or {}
        if metadata.get("namespace") or not self._namespaced(document):
            return document
        return {**document, "metadata": {**metadata, "namespace": self._namespace}}

    def mistakes(self, document: dict[str, Any]) -> list[tuple[str, str]]:
        """What the API server finds wrong with the fields of ``document``: (property path, reason). Nothing is changed.

        The object is tried under another name in a namespace that is there: a name that is taken is no mistake.
        """
        metadata = {**document["metadata"], "name": f"check-{secrets.token_hex(4)}"}
        if "namespace" in metadata:
            metadata["namespace"] = "default"
        try:
            self._api.apply({**document, "metadata": metadata}, manager="pulumi-check", dry_run=True, strict=True)
        except ApiError as error:
            if error.code == 400 or "field not declared in schema" in str(error):  # the latter comes as a 500
                return [("", str(error))]
            if error.reason == "Invalid":
                return [
                    (cause["field"], cause["message"])
                    for cause in error.causes
                    if not cause["field"].startswith("metadata.name")
                    # A port or an address that is given away in the whole cluster: to this very object, as a rule.
                    and "already allocated" not in cause["message"]
                ]
        except UnknownKindError:
            pass
        return []

    def rehearse(self, document: dict[str, Any]) -> None:
        """A dry run. What is not there yet (its namespace, its kind) may come with the same update."""
        try:
            self._api.apply(document, manager=_new_manager(), dry_run=True, force=True)
        except UnknownKindError:
            return
        except ApiError as error:
            if error.code != 404 and "immutable" not in str(error):
                raise

    def create(self, document: dict[str, Any], timeout: float) -> dict[str, Any]:
        manager = _new_manager()
        live = self._patiently(lambda: self._api.apply(document, manager=manager, force=self._forced(document)))
        return self._ready(live, manager, timeout)

    def update(self, document: dict[str, Any], manager: str, timeout: float, *, dry_run: bool) -> dict[str, Any]:
        manager = manager or _new_manager()
        live = self._api.apply(document, manager=manager, force=self._forced(document), dry_run=dry_run)
        return {**live, MANAGER_FIELD: manager} if dry_run else self._ready(live, manager, timeout)

    def read(self, known: Mapping[str, Any], number: str) -> dict[str, Any] | None:
        try:
            return self._api.get(_target(known, number))
        except UnknownKindError:
            return None

    def require_ready(self, live: Mapping[str, Any]) -> None:
        """Raises :class:`NotReadyError` where it is not, at this moment."""
        decision = look(self._api, live)
        if not decision.ready:
            raise NotReadyError(live, decision.failed or decision.waiting)

    def delete(self, known: Mapping[str, Any], number: str, timeout: float) -> None:
        target = _target(known, number)
        try:
            live = self._api.get(target)
        except UnknownKindError:  # its definition went before it, and took it along
            return
        if live is None:
            return
        self._api.delete(target, _annotation(known, PROPAGATION) or "Foreground")
        if not skips_await(known):
            limit = seconds(known, timeout)
            until_gone(self._api, target, uid=live["metadata"]["uid"], limit=limit, cancelled=self._cancelled, say=self._say)

    def less_ignored(self, document: dict[str, Any], ignore_changes: tuple[str, ...]) -> dict[str, Any]:
        """``document`` with the fields of ``ignoreChanges`` (dotted, without lists) as the cluster has them now, so that what
        another manager has set, an autoscaler's replicas for one, neither changes nor conflicts."""
        live = self._api.get(reference(document)) if ignore_changes else None
        for path in ignore_changes if live else ():
            document = _with_live_value(document, live or {}, path.split("."))
        return document

    def _ready(self, live: dict[str, Any], manager: str, timeout: float) -> dict[str, Any]:
        try:
            ready = until_ready(self._api, live, timeout=timeout, cancelled=self._cancelled, say=self._say)
        except NotReadyError as error:
            raise NotReadyError({**error.document, MANAGER_FIELD: manager}, error.reasons) from None
        self._say("")
        return {**ready, MANAGER_FIELD: manager}

    def _patiently(self, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        for attempt in range(ATTEMPTS):
            try:
                return act()
            except (ApiError, UnknownKindError) as error:
                missing = isinstance(error, UnknownKindError) or error.code == 404
                if not missing or attempt == ATTEMPTS - 1:
                    raise
                self._say(f"try {attempt + 1} of {ATTEMPTS}: {error}")
            time.sleep(FIRST_PAUSE * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _namespaced(self, document: Mapping[str, Any]) -> bool:
        try:
            return self._api.kind(document["apiVersion"], document["kind"]).namespaced
        except UnknownKindError:
            return True

    def _forced(self, document: Mapping[str, Any]) -> bool:
        return self._force or _annotation(document, FORCE) == "true"


def _target(known: Mapping[str, Any], number: str) -> Reference:
    namespace, _, name = number.rpartition("/")
    return Reference(api_version=known["apiVersion"], kind=known["kind"], namespace=namespace, name=name)


def _annotation(document: Mapping[str, Any], key: str) -> str:
    return str(((document.get("metadata") or {}).get("annotations") or {}).get(key) or "")


def _with_live_value(document: dict[str, Any], live: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    first, *rest = path
    if first not in document:
        return document
    if not rest:
        return {key: value for key, value in document.items() if key != first} | ({first: live[first]} if first in live else {})
    inner, there = document[first], live.get(first)
    if not isinstance(inner, dict) or not isinstance(there, Mapping):
        return document
    return {**document, first: _with_live_value(inner, there, rest)}


def _new_manager() -> str:
    """One a resource, as the real plugin has it."""
    return f"pulumi-kubernetes-{secrets.token_hex(4)}"
