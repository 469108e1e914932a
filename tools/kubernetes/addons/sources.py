"""Manifests out of the sources of Go modules, copied to the cache: later runs need neither Go nor a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.cache import Report, cache_root, exclusive, published
from tools.kubernetes.addons.releases import Folder
from tools.kubernetes.errors import ClusterError
from tools.kubernetes.golang_build import module_directory

Manifest = dict[str, Any]
KUSTOMIZATION = "kustomization.yaml"


def files(folder: Folder, report: Report, environ: Mapping[str, str] | None = None) -> list[Path]:
    """The folder's manifests, in the order of their names. Raises `ClusterError`."""
    environ = os.environ if environ is None else environ
    name = f"{folder.module}@{folder.version}/{folder.path}".replace("/", "+")
    target = cache_root(environ) / "kubernetes" / "manifests" / name
    if not target.exists():
        with exclusive(target.parent, report):
            if not target.exists():
                _copy(module_directory(folder.module, folder.version, report, environ) / folder.path, target)
    found = {path.name: path for path in sorted(target.iterdir()) if path.name != KUSTOMIZATION}
    missing = [name for name in folder.files if name not in found]
    if missing or not found:
        raise ClusterError(f"{folder.module} {folder.version} has no {' and '.join(missing) or 'manifests'} in {folder.path}")
    return [found[name] for name in folder.files or found]


def _copy(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise ClusterError(f"the sources have no folder {source}")
    with published(target) as partial:
        for file in source.glob("*.yaml"):
            shutil.copyfile(file, partial / file.name)  # without the mode: Go's module cache is read-only


def documents(paths: Iterable[Path]) -> list[Manifest]:
    """All objects of some files; an empty document is none."""
    return [
        document
        for path in paths
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if document and "kind" in document
    ]
