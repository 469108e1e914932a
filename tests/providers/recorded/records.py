"""What exists at the recorded Kubernetes: one JSON file that every process of a run shares, or memory where none is named."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

VARIABLE = "ASSISTANT_KUBERNETES_WORLD"
# That every cluster has.
BUILT_IN = frozenset({"default", "kube-system", "kube-public", "kube-node-lease", "amazon-cloudwatch"})


class RefusedError(Exception):
    """The object cannot be recorded; the message says why."""


class Records:
    """Kind and id of every object, never its content: a Secret's would be a secret."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._memory: list[str] = []

    def all(self) -> list[str]:
        """``kind namespace/name``, sorted."""
        with self._lock:
            if self._path is None:
                return sorted(self._memory)
            return sorted(json.loads(self._path.read_text(encoding="utf-8"))) if self._path.exists() else []

    def add(self, kind: str, number: str) -> None:
        """Raises :class:`RefusedError`."""
        with self._changing() as records:
            namespace = number.rpartition("/")[0]
            if f"{kind} {number}" in records:
                raise RefusedError(f'{kind} "{number}" already exists')
            if namespace and namespace not in BUILT_IN and f"Namespace {namespace}" not in records:
                raise RefusedError(f'namespaces "{namespace}" not found')
            records.append(f"{kind} {number}")

    def remove(self, kind: str, number: str) -> None:
        with self._changing() as records:
            if kind == "Namespace" and (inside := [it for it in records if it.split(" ")[1].startswith(f"{number}/")]):
                for record in inside:  # as a real one would, after all that is in it has ended
                    records.remove(record)
            with contextlib.suppress(ValueError):
                records.remove(f"{kind} {number}")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[str]]:
        with self._lock:
            if self._path is None:
                yield self._memory
                return
            with self._path.with_name(f"{self._path.name}.lock").open("w") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                records = self.all()
                yield records
                partial = self._path.with_name(f"{self._path.name}.{os.getpid()}")
                partial.write_text(json.dumps(records, indent=1), encoding="utf-8")
                partial.replace(self._path)


def named_by(environ: Mapping[str, str]) -> Records:
    path = environ.get(VARIABLE)
    return Records(Path(path) if path else None)
