"""A model is what its digest says, or it is not deployed."""

from __future__ import annotations

import re
from typing import Final

from policies.local_types import MODEL
from policies.resource import Resource
from policies.rule import PASS, Check, Rule, Severity, Verdict, all_of, fail
from policies.rules import links

SHA256: Final = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
# `pypi:package==1.0?sha256=…#member` and `https://…#sha256=…`: the digest of the artefact that holds the model.
IN_SOURCE: Final = re.compile(r"[?&#]sha256=([^&#]*)")
# The digest of nothing, and a digit that repeats: filled in to have something there.
EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def pinned(resource: Resource) -> Verdict:
    view = resource.view
    source, digest = view.text("source"), view.text("sha256")
    if not source:
        return fail("source is missing")
    in_source = IN_SOURCE.search(source)
    digests = {"sha256": digest, "source's sha256": in_source[1] if in_source else None}
    given = {name: value for name, value in digests.items() if value is not None}
    if not given:
        return fail("neither sha256 nor a ?sha256=… in source says which model it is")
    return all_of(_digest(name, value) for name, value in given.items())


def _digest(name: str, value: str) -> Verdict:
    if not SHA256.fullmatch(value):
        return fail(f"{name} is no SHA-256 digest of 64 hexadecimal digits")
    if value.lower() == EMPTY_SHA256 or len(set(value.lower())) == 1:
        return fail(f"{name} is a placeholder, not the digest of a model")
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
        checks=(Check(types=(MODEL,), properties=("source", "sha256"), judge=pinned),),
    ),
)
