"""What pins a model, and what only looks as if it did."""

from __future__ import annotations

from typing import Any

import pytest

from policies.rule import Outcome
from policies.rules.model import pinned

DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("source", "digest", "outcome"),
    [
        ("hf:a/b#c.gguf", DIGEST, Outcome.PASS),
        ("hf:a/b#c.gguf", DIGEST.upper(), Outcome.PASS),
        (f"pypi:a==1?sha256={DIGEST}#m", None, Outcome.PASS),
        (f"https://a.example/m#sha256={DIGEST}", None, Outcome.PASS),
        (f"https://a.example/m?x=1&sha256={DIGEST}&y=2", None, Outcome.PASS),
        (f"https://a.example/m?sha256={DIGEST}#m", DIGEST, Outcome.PASS),
        (f"https://a.example/m?sha256={DIGEST}", DIGEST[:-1], Outcome.FAIL),
        (f"https://a.example/m?sha256={DIGEST[:-1]}", DIGEST, Outcome.FAIL),
        (f"https://a.example/m?notsha256={DIGEST}", None, Outcome.FAIL),
        ("hf:a/b#c.gguf", f"{DIGEST}0", Outcome.FAIL),
        ("hf:a/b#c.gguf", DIGEST[:-1] + "g", Outcome.FAIL),
        ("hf:a/b#c.gguf", EMPTY, Outcome.FAIL),
        ("hf:a/b#c.gguf", EMPTY.upper(), Outcome.FAIL),
        ("hf:a/b#c.gguf", "a" * 64, Outcome.FAIL),
        ("hf:a/b#c.gguf", "aA" * 32, Outcome.FAIL),
        ("hf:a/b#c.gguf", "ab" * 32, Outcome.PASS),
        ("hf:a/b#c.gguf", "", Outcome.FAIL),
        ("", DIGEST, Outcome.FAIL),
        (None, DIGEST, Outcome.FAIL),
    ],
)
def test_every_digest_that_is_given_has_to_be_one(make: Any, source: str | None, digest: str | None, outcome: Outcome) -> None:
    assert pinned(make("model", {"source": source, "sha256": digest})).outcome is outcome
