"""A model is what its digest says, or it is not deployed."""

from __future__ import annotations

import re
from typing import Final

from policies.local_types import MODEL
from policies.resource import Resource
from policies.rule import PASS, Rule, Severity, Verdict, fail
from policies.rules import links

SHA256: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)
# The digest of nothing, and a digit that repeats: filled in to have something there.
EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def pinned(resource: Resource) -> Verdict:
    view = resource.view
    source, digest = view.text("source"), view.text("sha256")
    if not source:
        return fail("source is missing")
    match = SHA256.fullmatch(digest or "")
    if match is None:
        return fail("sha256 is missing" if not digest else "sha256 is no SHA-256 digest of 64 hexadecimal digits")
    value = match[1].lower()
    if value == EMPTY_SHA256 or len(set(value)) == 1:
        return fail("sha256 is a placeholder, not the digest of a model")
    return PASS


RULES: Final = (
    Rule(
        id="L06",
        name="model-pinned",
        title="The model is pinned by its SHA-256",
        severity=Severity.HIGH,
        controls=("8.19", "5.21"),
        remedy="set the model's sha256 beside its source; the digest is taken from a place you trust, not from the download",
        link=links.PINNING,
        types=(MODEL,),
        properties=("source", "sha256"),
        check=pinned,
    ),
)
