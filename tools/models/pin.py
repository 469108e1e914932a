"""``make model-pin STACK=…``: which revision of a hub's model it is, and the digest of its file, written into the stack's file.

The hub's own API tells both (huggingface.co/docs/hub/api); nothing is downloaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx2

HUB = "https://huggingface.co"
ENDPOINT = "HF_ENDPOINT"  # a mirror's address, as the hub's own client calls it
SECONDS = 20.0
SOURCE = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?#(?P<file>[\w./-]+\.gguf)")
REVISION = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")


class PinError(Exception):
    """The model could not be pinned; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """``source`` names a revision; ``sha256`` is the file's, ``size`` its bytes."""

    source: str
    sha256: str
    size: int


def pin(source: str, hub: str = HUB) -> Pinned:
    """Raises :class:`PinError`."""
    named = SOURCE.fullmatch(source)
    if named is None:
        raise PinError(
            f"{source} is no hub's model. What is pinned is written hf:<owner>/<repository>[@<revision>]#<file>.gguf"
        )
    repository, wanted, file = named["repository"], named["revision"] or "main", named["file"]
    with httpx2.Client(base_url=hub, timeout=SECONDS, follow_redirects=True) as client:
        revision = wanted
        if not REVISION.fullmatch(wanted):
            revision = str(_read(client, f"/api/models/{repository}/revision/{wanted}", repository).get("sha"))
        if not REVISION.fullmatch(revision):
            raise PinError(f"{hub} names no revision for {repository}@{wanted}")
        folder = file.rpartition("/")[0]
        listed = _read(client, f"/api/models/{repository}/tree/{revision}{f'/{folder}' if folder else ''}", repository)
    return Pinned(source=f"hf:{repository}@{revision}#{file}", **file_in(listed, file, repository))


def file_in(listed: Any, file: str, repository: str) -> dict[str, Any]:
    """``sha256`` and ``size`` of ``file`` in what the hub lists. Pure. Raises :class:`PinError`."""
    entries = {entry.get("path"): entry for entry in listed if isinstance(entry, dict)} if isinstance(listed, list) else {}
    if file not in entries:
        models = sorted(path for path in entries if path and path.endswith(".gguf"))
        raise PinError(f"{repository} has no file {file}. It has: {', '.join(models) or 'no .gguf file'}")
    large = entries[file].get("lfs") or {}
    digest = str(large.get("oid") or "").removeprefix("sha256:")
    if not SHA256.fullmatch(digest):
        raise PinError(f"{repository}: the hub names no sha256 of {file}; fetch it and name model.sha256 yourself")
    return {"sha256": digest, "size": int(large.get("size") or entries[file].get("size") or 0)}


def _read(client: httpx2.Client, path: str, repository: str) -> Any:
    try:
        answer = client.get(path)
    except httpx2.HTTPError as error:
        raise PinError(
            f"{client.base_url} does not answer ({error}). Where it is reached through a mirror: {ENDPOINT}=https://…; else "
            "pin it where the internet is, and carry model.source and model.sha256 over"
        ) from None
    if answer.status_code in (401, 403, 404):
        raise PinError(f"{client.base_url} has no {repository} of that name for everybody ({answer.status_code} for {path})")
    if answer.is_error:
        raise PinError(f"{answer.status_code} from {client.base_url}{path}")
    try:
        return answer.json()
    except ValueError:
        raise PinError(f"{client.base_url}{path} answers no JSON") from None
