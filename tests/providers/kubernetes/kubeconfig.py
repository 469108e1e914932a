"""Where the cluster is and who we are to it: one context of a kubeconfig."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


class KubeconfigError(Exception):
    """There is no usable context; the message says what was looked for and where."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """An API server's address and what a client needs to be let in. ``repr`` shows none of it."""

    server: str
    namespace: str
    tls: ssl.SSLContext = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def load(given: str | None, context: str | None, environ: Mapping[str, str]) -> Access:
    """``given``: a path, or a kubeconfig's own text; None: KUBECONFIG, then ~/.kube/config. Raises :class:`KubeconfigError`."""
    document, folder, place = _document(given, environ)
    name = context or document.get("current-context")
    if not name:
        raise KubeconfigError(f"{place} names no current context")
    chosen = _entry(document, "contexts", name, place)["context"]
    cluster = _entry(document, "clusters", chosen["cluster"], place)["cluster"]
    user = _entry(document, "users", chosen["user"], place).get("user") or {}
    if "exec" in user or "auth-provider" in user:
        raise KubeconfigError(f"context {name} logs in through a program; this stand-in knows certificates and tokens alone")
    return Access(
        server=str(cluster["server"]).rstrip("/"),
        namespace=chosen.get("namespace") or "default",
        tls=_tls(cluster, user, folder),
        headers=_headers(user, folder),
    )


def _document(given: str | None, environ: Mapping[str, str]) -> tuple[dict[str, Any], Path, str]:
    if given and ("\n" in given or given.lstrip().startswith("{")):
        return yaml.safe_load(given), Path.cwd(), "the provider's kubeconfig"
    paths = [given] if given else [p for p in environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    for text in paths or [str(Path(environ.get("HOME", "/")) / ".kube" / "config")]:
        path = Path(text).expanduser()
        if path.exists():
            return yaml.safe_load(path.read_text(encoding="utf-8")) or {}, path.parent, str(path)
    raise KubeconfigError(f"there is no kubeconfig at {' or '.join(paths) or '~/.kube/config'}")


def _entry(document: Mapping[str, Any], section: str, name: str, place: str) -> dict[str, Any]:
    for entry in document.get(section) or []:
        if entry.get("name") == name:
            return dict(entry)
    raise KubeconfigError(f"{place} has no entry {name!r} among its {section}")


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _bytes(cluster, "certificate-authority", folder)
    tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    certificate, key = _bytes(user, "client-certificate", folder), _bytes(user, "client-key", folder)
    if certificate and key:
        with _private_file(certificate + b"\n" + key) as path:
            tls.load_cert_chain(path)
    return tls


def _headers(user: Mapping[str, Any], folder: Path) -> dict[str, str]:
    token = user.get("token")
    if not token and user.get("tokenFile"):
        token = (folder / user["tokenFile"]).read_text(encoding="ascii").strip()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _bytes(entry: Mapping[str, Any], key: str, folder: Path) -> bytes | None:
    """The content that an entry carries as ``<key>-data`` or names as ``<key>``."""
    if data := entry.get(f"{key}-data"):
        return base64.b64decode(data)
    if path := entry.get(key):
        return Path(folder, path).read_bytes()
    return None


@contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    """A file for as long as OpenSSL reads it: it takes a key from nowhere else."""
    with tempfile.NamedTemporaryFile() as file:  # mode 0600
        file.write(content)
        file.flush()
        yield file.name
