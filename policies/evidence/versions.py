"""Versions and digests: of what made the stack, of what judged it and, as far as the record knows them, of what runs in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies.evidence.reading import COMPONENTS, NOT_KNOWN, of_types, output_of, text_of
from policies.evidence.repository import Repository
from policies.evidence.table import Table
from policies.record import Record, Seen
from policies.values import leaves

IMAGE: Final = re.compile(r"[a-z0-9][a-z0-9.:/_-]*(?:@sha256:[0-9a-f]{64})", re.IGNORECASE)
BUILT: Final = "docker-build:index:Image"
PROVIDER: Final = "pulumi:providers:"
STACK: Final = "pulumi:pulumi:Stack"
MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    "pulumi-python:dynamic/aws:PublishedModel": ("modelName", "modelDigest", "recipeKey"),
    "pulumi-python:dynamic/aws:ModelTask": ("modelName", "modelDigest", "recipeKey"),
    "pulumi-python:dynamic/cluster:ModelReport": ("modelName", "modelDigest"),
    "pulumi-python:dynamic/local:Model": ("modelName", "digest", "source", "sha256"),
}
GIVEN: Final = frozenset({"source", "sha256", "recipeKey"})  # by the program; the others are an update's to tell
DOCUMENTS: Final = ("containerDefinitions",)


def table(record: Record, repository: Repository, rules: int) -> Table:
    rows = [
        ("git", "commit", repository.commit),
        ("git", "working tree", "as committed" if repository.clean else "with changes that are not committed"),
        ("rule pack", "assistant", f"{record.version}, {rules} rules"),
        *(("package", name, version) for name, version in sorted(repository.pins.items())),
        *_providers(record),
        *(("lock file, sha256", path, digest) for path, digest in sorted(repository.locks.items())),
        *((("base image", "of every image that is built", repository.base_image),) if repository.base_image else ()),
        *_images(record.resources),
        *_models(record.resources),
    ]
    return Table(name="versions", title="Versions and digests", columns=("kind", "of", "is"), rows=rows)


def _providers(record: Record) -> Iterator[tuple[str, str, str]]:
    found = {
        (seen.resource.type.removeprefix(PROVIDER), text_of(seen, "version", "as installed"))
        for seen in record.resources
        if seen.resource.type.startswith(PROVIDER)
    }
    for name, version in sorted(found):
        yield ("provider", name, version)


def _images(seen: Sequence[Seen]) -> list[tuple[str, str, str]]:
    """Every image by digest that stands in a resource, with who uses it; and those that an update has yet to build."""
    users: dict[str, set[str]] = {}
    for each in seen:
        for text in _texts(each) if not each.resource.type.startswith(COMPONENTS) else ():
            for match in IMAGE.finditer(text):
                users.setdefault(match[0], set()).add(each.resource.name)
    building = [
        ("image", each.resource.name, f"built by an update; its digest is {NOT_KNOWN}")
        for each in of_types(seen, BUILT)
        if output_of(each, "digest") == NOT_KNOWN
    ]
    return [("image", ", ".join(sorted(names)), image) for image, names in sorted(users.items())] + building


def _texts(seen: Seen) -> Iterator[str]:
    for properties in (seen.inputs, seen.resource.properties):
        for leaf in leaves(dict(properties)):
            if isinstance(leaf.value, str) and not leaf.marked and len(leaf.value) < LONGEST:
                yield from _within(leaf.keys[0], leaf.value)


LONGEST: Final = 65_536  # characters; no document that names images is longer


def _within(name: str, text: str) -> Iterator[str]:
    """``text``, or the texts of the JSON in it: an escaped slash must not hide an image."""
    if name in DOCUMENTS:
        try:
            document: Any = json.loads(text)
        except ValueError:
            return
        yield from (str(leaf.value) for leaf in leaves(document))
    else:
        yield text


def _models(seen: Sequence[Seen]) -> list[tuple[str, str, str]]:
    return [
        ("model", f"{each.resource.name}, {name}", text_of(each, name) or output_of(each, name))
        for each in of_types(seen, *MODELS)
        for name in MODELS[each.resource.type]
        if name not in GIVEN or text_of(each, name)
    ]
