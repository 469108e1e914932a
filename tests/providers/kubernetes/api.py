"""The few calls to an API server that a provider makes, over kept connections."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from kubernetes.kubeconfig import Access
from kubernetes.naming import Reference, reference

TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
CONNECT_SECONDS = 3.0
CONNECTIONS = 32
# Field managers whose changes the real plugin takes over rather than reporting a conflict (await.go, fixCSAFieldManagers).
_TAKEN_OVER = re.compile(
    r'conflict with "(kubectl|before-first-apply|pulumi-kubernetes|pulumi-resource-kubernetes)[^"]*"(?! with subresource)'
)


class ApiError(Exception):
    """The API server refused; ``code`` is its HTTP status, ``reason`` its own word for it (``Invalid``, ``Conflict``)."""

    def __init__(self, code: int, reason: str, message: str, causes: list[dict[str, str]]) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.causes = causes


class UnreachableError(Exception):
    """No answer at all."""


class UnknownKindError(Exception):
    """The cluster does not know this kind: a custom resource whose definition is not installed (yet)."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    plural: str
    namespaced: bool


class Api:
    """Thread-safe. ``warn`` takes what the API server says in Warning headers."""

    def __init__(self, access: Access, warn: Callable[[str], None] = lambda line: None) -> None:
        self.access = access
        self._warn = warn
        self._kinds: dict[str, dict[str, Kind]] = {}
        self._lock = threading.Lock()
        limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self._client = httpx2.Client(
            base_url=access.server, verify=access.tls, headers=access.headers, timeout=TIMEOUT, limits=limits, trust_env=False
        )

    def version(self) -> str:
        """Raises :class:`UnreachableError` within three seconds."""
        answer = self._send("GET", "/version", timeout=CONNECT_SECONDS)
        return str(answer["gitVersion"])

    def kind(self, api_version: str, kind: str) -> Kind:
        """Raises :class:`UnknownKindError`."""
        with self._lock:
            known = self._kinds.get(api_version, {}).get(kind)
        if known:
            return known
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            listed = self._send("GET", root)["resources"]
        except ApiError as error:
            if error.code != 404:
                raise
            listed = []
        kinds = {
            entry["kind"]: Kind(plural=entry["name"], namespaced=entry["namespaced"])
            for entry in listed
            if "/" not in entry["name"]
        }
        with self._lock:
            self._kinds[api_version] = kinds
        if kind not in kinds:
            raise UnknownKindError(f"the cluster knows no {kind} of {api_version}")
        return kinds[kind]

    def get(self, reference: Reference) -> dict[str, Any] | None:
        try:
            return self._send("GET", self._path(reference))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def list(self, api_version: str, kind: str, namespace: str, selector: Mapping[str, str]) -> list[dict[str, Any]]:
        path = self._path(Reference(api_version=api_version, kind=kind, namespace=namespace, name=""))
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())} if selector else {}
        items: list[dict[str, Any]] = self._send("GET", path, query=query)["items"]
        return items

    def apply(
        self, document: Mapping[str, Any], *, manager: str, force: bool = False, dry_run: bool = False, strict: bool = False
    ) -> dict[str, Any]:
        """Server-side apply. A field that somebody changed with kubectl is taken back; another's is a conflict."""
        target = reference(document)
        query = {
            "fieldManager": manager,
            "force": "true" if force else "false",
            "fieldValidation": "Strict" if strict else "Warn",
            **({"dryRun": "All"} if dry_run else {}),
        }
        headers = {"Content-Type": "application/apply-patch+yaml"}
        body = json.dumps(document).encode()
        try:
            return self._send("PATCH", self._path(target), query=query, headers=headers, body=body, quiet=dry_run)
        except ApiError as error:
            ours = error.code == 409 and error.causes and all(_TAKEN_OVER.match(cause["message"]) for cause in error.causes)
            if force or not ours:
                raise
            return self.apply(document, manager=manager, force=True, dry_run=dry_run, strict=strict)

    def delete(self, reference: Reference, propagation: str = "Foreground") -> bool:
        """False where it was gone already."""
        try:
            self._send("DELETE", self._path(reference), body=json.dumps({"propagationPolicy": propagation}).encode())
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True

    def log(self, pod: Mapping[str, Any], container: str, lines: int) -> str:
        """The last lines of a container, or nothing where they are not to be had."""
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
        try:
            answer = self._client.get(path, params={"container": container, "tailLines": str(lines)})
        except httpx2.HTTPError:
            return ""
        return answer.text if answer.is_success else ""

    def _path(self, reference: Reference) -> str:
        kind = self.kind(reference.api_version, reference.kind)
        root = f"/apis/{reference.api_version}" if "/" in reference.api_version else f"/api/{reference.api_version}"
        scope = f"/namespaces/{reference.namespace or self.access.namespace}" if kind.namespaced else ""
        return f"{root}{scope}/{kind.plural}" + (f"/{reference.name}" if reference.name else "")

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,
        quiet: bool = False,
    ) -> dict[str, Any]:
        try:
            answer = self._client.request(
                method,
                path,
                params=query,
                headers={"Content-Type": "application/json", **(headers or {})},
                content=body,
                timeout=timeout or TIMEOUT,
            )
        except httpx2.HTTPError as error:
            raise UnreachableError(f"{self.access.server} does not answer ({error or type(error).__name__})") from error
        if not quiet:
            for warning in answer.headers.get_list("warning"):
                self._warn(_warning_text(warning))
        if answer.is_error:
            raise _refusal(answer)
        document: dict[str, Any] = answer.json()
        return document


def _refusal(answer: httpx2.Response) -> ApiError:
    try:
        status = answer.json()
    except ValueError:
        status = {"message": answer.text[:500]}
    causes = [
        {"field": cause.get("field", ""), "message": cause.get("message", "")}
        for cause in (status.get("details") or {}).get("causes") or []
    ]
    message = status.get("message") or f"the API server answered {answer.status_code}"
    return ApiError(answer.status_code, status.get("reason") or "", message, causes)


def _warning_text(header: str) -> str:
    """``299 - "text"`` (RFC 7234) -> ``text``."""
    match = re.match(r'\d+ \S+ "(.*)"', header)
    return match[1].replace('\\"', '"') if match else header
