"""What exists at the AWS of the tests: one JSON file that every process of a run shares, or memory where none is named.

No secret is written in plain: its place holds a digest, from which one sees that it changed and nothing else.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from plugin.values import is_secret

from aws.identifiers import digest

VARIABLE = "ASSISTANT_AWS_WORLD"
WITHHELD = "secret:"  # + a digest


@dataclass(frozen=True, kw_only=True)
class Record:
    """One resource that exists."""

    token: str
    id: str
    urn: str
    region: str
    name: str
    arn: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.token}|{self.region}|{self.id}"

    @property
    def names(self) -> frozenset[str]:
        """By what other resources refer to it."""
        return frozenset(filter(None, (self.id, self.arn)))


def without_secrets(value: Any) -> Any:
    if is_secret(value):
        return WITHHELD + digest(json.dumps(value["value"], sort_keys=True, default=str))[:16]
    if isinstance(value, Mapping):
        return {key: without_secrets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value


def with_secrets(stored: Any, known: Any) -> Any:
    """``stored`` with the secrets that only the state of the engine knows, where they are still the same."""
    if is_secret(known):
        return known if without_secrets(known) == stored else stored
    if isinstance(stored, Mapping):
        inner = known if isinstance(known, Mapping) else {}
        return {key: with_secrets(item, inner.get(key)) for key, item in stored.items()}
    if isinstance(stored, list):
        items = known if isinstance(known, list) and len(known) == len(stored) else [None] * len(stored)
        return [with_secrets(item, other) for item, other in zip(stored, items, strict=True)]
    return stored


class World:
    """Changed inside :meth:`changing` only, which holds the file's lock; reading takes the last complete version."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._document: dict[str, Any] = {"resources": {}, "failures": {}}
        self._version: tuple[int, int] | None = None  # inode and time of the file that is in memory

    @property
    def persistent(self) -> bool:
        return self.path is not None

    def records(self) -> list[Record]:
        with self._lock:
            self._refresh()
            return [Record(**item) for item in self._document["resources"].values()]

    def get(self, token: str, region: str, number: str) -> Record | None:
        with self._lock:
            self._refresh()
            item = self._document["resources"].get(f"{token}|{region}|{number}")
            return Record(**item) if item else None

    def find(self, name: str) -> Record | None:
        """By id or ARN, of whatever kind."""
        return next((record for record in self.records() if name in record.names), None)

    @contextlib.contextmanager
    def changing(self) -> Iterator[World]:
        with self._lock, self._file_lock():
            self._refresh()
            before = copy.copy(self._document["resources"]), dict(self._document["failures"])
            try:
                yield self
            except BaseException:
                # a failure on demand counts, whatever it interrupts; no half of a change stays
                self._document["resources"] = before[0]
                if self._document["failures"] != before[1]:
                    self._write()
                raise
            self._write()

    def put(self, record: Record) -> None:
        item = asdict(record)
        self._document["resources"][record.key] = {
            **item,
            "inputs": without_secrets(item["inputs"]),
            "outputs": without_secrets(item["outputs"]),
        }

    def remove(self, token: str, region: str, number: str) -> None:
        self._document["resources"].pop(f"{token}|{region}|{number}", None)

    def failed(self, rule: str) -> int:
        """How often a failure on demand has happened."""
        return int(self._document["failures"].get(rule, 0))

    def count_failure(self, rule: str) -> None:
        self._document["failures"][rule] = self.failed(rule) + 1

    @contextlib.contextmanager
    def _file_lock(self) -> Iterator[None]:
        if self.path is None:
            yield
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(self.path.name + ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _refresh(self) -> None:
        if self.path is None:
            return
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._document, self._version = {"resources": {}, "failures": {}}, None
            return
        version = (status.st_ino, status.st_mtime_ns)
        if version != self._version:
            self._document = json.loads(self.path.read_text(encoding="utf-8"))
            self._document.setdefault("failures", {})
            self._version = version

    def _write(self) -> None:
        if self.path is None:
            return
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        partial.write_text(json.dumps(self._document, separators=(",", ":"), sort_keys=True), encoding="utf-8")
        partial.replace(self.path)
        status = self.path.stat()
        self._version = (status.st_ino, status.st_mtime_ns)


def named_by(environ: Mapping[str, str]) -> World:
    path = environ.get(VARIABLE)
    return World(Path(path) if path else None)


def orphans(path: Path) -> list[Record]:
    """What still exists, in the order of their kinds."""
    return sorted(World(path).records(), key=lambda record: (record.token, record.id))
