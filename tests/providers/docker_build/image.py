"""An image that nobody builds: its digest follows from what it would have been built from."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NEITHER_FILE_NOR_URL = "context: no such file or directory"
_KNOWN = (
    "addHosts", "buildArgs", "buildOnPreview", "builder", "cacheFrom", "cacheTo", "context", "dockerfile", "exec", "exports",
    "ignoreSecretsInDiffCalculation", "labels", "load", "network", "noCache", "platforms", "pull", "push", "registries",
    "secrets", "ssh", "tags", "target",
)  # fmt: skip
# As if the sources had changed: another value is another digest.
VERSION_VARIABLE = "ASSISTANT_DOCKER_BUILD_VERSION"
# What says how to build or where to push, and not what the image is.
_NOT_CONTENT = frozenset({"builder", "buildOnPreview", "cacheFrom", "cacheTo", "load", "noCache", "pull", "push", "registries"})


class ContextError(Exception):
    """What an image is built from is not there."""


def mistakes(inputs: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """(property, reason), as buildx or the real plugin would refuse."""
    found = [(name, f"unknown property {name}") for name in inputs if name not in _KNOWN]
    if not isinstance(inputs.get("push"), bool):
        found.append(("push", "missing required property: push must be true or false"))
    if inputs.get("push") and not inputs.get("tags") and not inputs.get("exports"):
        found.append(("tags", "at least one tag or export is needed when pushing to a registry"))
    location = (inputs.get("context") or {}).get("location")
    if isinstance(location, str) and not is_remote(location):
        place = folder / location
        if not place.is_dir():
            found.append(("context.location", f"{location}: no such file or directory"))
        dockerfile = inputs.get("dockerfile") or {}
        named = dockerfile.get("location")
        if not dockerfile.get("inline") and isinstance(named or "", str) and place.is_dir():
            path = folder / named if named else place / "Dockerfile"
            if not path.is_file():
                found.append(("dockerfile.location", f"{named or 'Dockerfile'}: no such file or directory"))
    return found


def is_remote(location: str) -> bool:
    return location == "-" or "://" in location or location.startswith("git@")


def context_hash(inputs: Mapping[str, Any], folder: Path) -> str:
    """Over every file that a build would send, and its Dockerfile."""
    whole = hashlib.sha256(os.environ.get(VERSION_VARIABLE, "").encode())
    context = inputs.get("context") or {}
    location = str(context.get("location") or "")
    whole.update(json.dumps(context.get("named") or {}, sort_keys=True).encode())
    if location and not is_remote(location):
        place = folder / location
        for path in _sent(place, _ignored(place, inputs, folder)):
            relative = path.relative_to(place).as_posix()
            whole.update(f"{relative}\0{path.stat().st_mode & 0o111}\0".encode())
            whole.update(str(path.readlink()).encode() if path.is_symlink() else hashlib.sha256(path.read_bytes()).digest())
    else:
        whole.update(location.encode())
    dockerfile = inputs.get("dockerfile") or {}
    if dockerfile.get("inline"):
        whole.update(str(dockerfile["inline"]).encode())
    elif dockerfile.get("location") and (path := folder / str(dockerfile["location"])).is_file():
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _ignored(place: Path, inputs: Mapping[str, Any], folder: Path) -> list[str]:
    """Patterns of the Dockerfile's own ignore file, else of the context's."""
    named = (inputs.get("dockerfile") or {}).get("location")
    own = (
        (folder / str(named)).with_name((folder / str(named)).name + ".dockerignore")
        if named
        else place / "Dockerfile.dockerignore"
    )
    for path in (own, place / ".dockerignore"):
        if path.is_file():
            lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
            return [line.strip("/") for line in lines if line and not line.startswith("#")]
    return []


def _sent(place: Path, patterns: list[str]) -> Iterator[Path]:
    """Files in their order, without those that the patterns leave out; the last pattern that fits decides."""
    for folder, folders, files in os.walk(place):
        base = Path(folder)
        below = [(name, (base / name).relative_to(place)) for name in sorted(folders)]
        folders[:] = [name for name, path in below if not _left_out(path, patterns) or _taken_in_below(path, patterns)]
        for name in sorted(files):
            if not _left_out((base / name).relative_to(place), patterns):
                yield base / name


def _taken_in_below(path: Path, patterns: list[str]) -> bool:
    """Whether a pattern may take in again what is in a folder that is left out. One that is no longer than the folder's path
    has had its say about the folder itself; the rest of a checkout, its virtual environment above all, is not walked."""
    for pattern in patterns:
        wanted = pattern.removeprefix("!").strip("/").split("/")
        fits = all(fnmatch.fnmatchcase(part, want) for part, want in zip(path.parts, wanted, strict=False))
        if pattern.startswith("!") and ("**" in pattern or (len(wanted) > len(path.parts) and fits)):
            return True
    return False


def _left_out(path: Path, patterns: list[str]) -> bool:
    left = False
    names = [path.as_posix(), *(parent.as_posix() for parent in path.parents if parent.as_posix() != ".")]
    for pattern in patterns:
        wanted = pattern.removeprefix("!").strip("/")
        forms = (wanted, wanted.removeprefix("**/")) if wanted.startswith("**/") else (wanted,)
        if any(_matches(name, form) for name in names for form in forms):
            left = not pattern.startswith("!")
    return left


def _matches(name: str, pattern: str) -> bool:
    """A star of a .dockerignore stays within one folder."""
    if "**" in pattern:
        return fnmatch.fnmatchcase(name, pattern)
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(fnmatch.fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=True))


def digest(inputs: Mapping[str, Any], hashed: str) -> str:
    content = {key: value for key, value in inputs.items() if key not in _NOT_CONTENT | {"context", "dockerfile", "tags"}}
    text = json.dumps(content, sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(f"{hashed}\0{text}".encode()).hexdigest()


def reference(inputs: Mapping[str, Any], digested: str) -> str:
    """``<repository of the first tag>@<digest>``; empty where the image has no tag."""
    tags = inputs.get("tags") or []
    return f"{repository(str(tags[0]))}@{digested}" if tags else ""


def repository(tag: str) -> str:
    """A tag's last colon, unless that is the port of a registry."""
    head, colon, tail = tag.partition("@")[0].rpartition(":")
    return head if colon and "/" not in tail else tag.partition("@")[0]


def outputs(inputs: Mapping[str, Any], hashed: str) -> dict[str, Any]:
    digested = digest(inputs, hashed)
    return {**inputs, "contextHash": hashed, "digest": digested, "ref": reference(inputs, digested)}
