"""The words and formats by which a secret is known, each by an example that is written out here."""

from __future__ import annotations

import base64

import pytest

from policies.secret_scanning import is_harmless, is_random, names_a_secret, opened, scan, words_of


def words(text: str) -> list[str]:
    return text.split()


SECRET = words("""
    password passwords passwd passphrase secret secrets token credential credentials requirepass masterauth apikey apikeys pwd
""")
PAIRS = words("""
    apiKey apiKeys privateKey accessKey signingKey encryptionKey accountKey masterKey sessionKey authKey
""")
PUBLIC = words("lockToken allowCredentials sslSecret")
ABOUT = words("""
    file files path paths directory dir folder location name names arn arns id ids url urls uri uris endpoint endpoints issuer
    header selector ref reference env digest digests sha hash hashes fingerprint fingerprints checksum length bytes
    bits size mode modes count limit version versions revision generation ttl seconds minutes hours days age at on rotation
    required enabled changed policy algorithm type types kind format provider providers owner group user usage spec description
    store manager
""")
REFERENCES = words("""
    arns checksums digests endpoints files fingerprints hashes ids names paths references uris urls versions volumes
""")
B36 = "Ab3" * 12


@pytest.mark.parametrize("name", [*SECRET, *PAIRS])
def test_a_name_of_a_secret_is_known_in_every_spelling(name: str) -> None:
    snake = "_".join(words_of(name))
    for spelling in (name, snake, snake.upper(), snake.replace("_", "-"), f"my_{snake}", f"{snake}_2"):
        assert names_a_secret(spelling), spelling


@pytest.mark.parametrize("name", PUBLIC)
def test_two_words_that_open_nothing_are_none(name: str) -> None:
    assert not names_a_secret(name)
    assert not names_a_secret(f"the_{'_'.join(words_of(name))}")


@pytest.mark.parametrize("word", ABOUT)
def test_a_name_that_ends_so_only_speaks_of_a_secret(word: str) -> None:
    for end in ("", "_2", "256"):
        assert not names_a_secret(f"SECRET_{word.upper()}{end}")
    assert names_a_secret(f"{word}_secret")


@pytest.mark.parametrize("word", REFERENCES)
def test_below_such_a_name_stand_references(word: str) -> None:
    assert scan((word, "api_key"), "hunter2-hunter2") is None
    assert scan((word.removesuffix("s") + "x", "api_key"), "hunter2-hunter2")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("API_KEY_FILE", ("api", "key", "file")),
        ("apiKeyFile", ("api", "key", "file")),
        ("api-key.file2", ("api", "key", "file", "2")),
        ("HTTPServer", ("http", "server")),
        ("", ()),
    ],
)
def test_a_name_is_split_into_words(name: str, expected: tuple[str, ...]) -> None:
    assert words_of(name) == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("AIza" + "b" * 35, "a Google API key"),
        ("glpat-" + "b" * 20, "a GitLab token"),
        ("ghp_" + "b" * 36, "a GitHub token"),
        ("github_pat_" + "b" * 40, "a GitHub token"),
        ("hf_" + "b" * 30, "a Hugging Face token"),
        ("pul-" + "0a" * 20, "a Pulumi access token"),
        ("pypi-AgE" + "b" * 20, "a PyPI token"),
        ("AKIA" + "B" * 16, "an AWS access key id"),
        ("whsk_" + "b" * 16, "a Standard Webhooks secret (whsec_)"),
        ("xapp-1-" + "b" * 10, "a Slack token (xox…)"),
        ("rk_live_" + "b" * 16, "an API key (sk-…)"),
        ("Basic " + "b" * 16, "the credentials of an Authorization header"),
    ],
)
def test_a_documented_form_is_known_by_its_shortest_text(text: str, what: str) -> None:
    assert scan(("note",), text) == what
    assert scan(("note",), f"see {text} there") == what
    assert scan(("note",), text[:-1]) != what


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "true",
        "None",
        "3.5",
        "[secret]",
        "***",
        "<your key>",
        "$KEY",
        "${KEY}",
        "%(KEY)s",
        "{{ key }}",
        "/run/secrets/x",
    ],
)
def test_what_stands_in_for_a_secret_is_none(text: str) -> None:
    assert is_harmless(text)
    assert scan(("password",), text) is None


@pytest.mark.parametrize("text", ["hunter2", "<a> b", "[secret] x", "*x", "truest"])
def test_and_what_does_not_is_one(text: str) -> None:
    assert not is_harmless(text)
    assert scan(("password",), text)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


LINES = "#!/bin/sh\nset -e\nexport PASSWORD=hunter2-hunter2\nexec server\n"


def test_lines_in_base64_are_read_and_a_key_is_not() -> None:
    assert opened(encoded(LINES)) == LINES
    assert scan(("userData",), encoded(LINES)) == "a literal after the name of a secret"
    assert opened(encoded("x" * 60)) is None  # one line is none
    assert opened(encoded("a\nb\x00" + "x" * 60)) is None
    assert opened(encoded("a\nb")) is None
    assert opened(LINES * 2) is None
    assert opened(encoded(LINES)[:-1] + "?") is None


@pytest.mark.parametrize(("length", "read"), [(45, False), (48, True), (51, True)])
def test_what_is_short_is_no_text(length: int, read: bool) -> None:
    text = "ab\n" * (length // 3)
    assert (opened(encoded(text)) is not None) is read


@pytest.mark.parametrize(
    ("token", "random"),
    [
        ("q4Yp0dGd8x2Lw9Zr5Tb1Nc7Vf3Hj6Km0Ps", True),
        ("q4Yp0dGd8x/Lw9Zr5Tb1Nc+Vf3Hj6Km0Ps", True),
        ("qaYpbdGdcxdLweZrfTbgNchVfiHjjKmkPs", False),  # no digit
        ("q4yp0dgd8x2lw9zr5tb1nc7vf3hj6km0ps", False),  # no capital
        ("Q4YP0DGD8X2LW9ZR5TB1NC7VF3HJ6KM0PS", False),  # no small letter
        ("q4Yp0dGd-x2Lw-Zr5T-1Nc-Vf3-j6K-0Ps", False),  # too many hyphens
        ("Q4" * 16 + "a" + "b", False),  # two alike
        ("0123456789abcdef" * 4, False),  # a digest
    ],
)
def test_a_random_text_has_every_class_and_few_separators(token: str, random: bool) -> None:
    assert is_random(token) is random


@pytest.mark.parametrize(("separators", "random"), [(3, True), (4, True), (5, False)])
def test_a_tenth_may_be_separators(separators: int, random: bool) -> None:
    letters = "q4Yp0dGd8x2Lw9Zr5Tb1Nc7Vf3Hj6Km0PsXa2Bz8"[: 40 - separators]
    assert is_random(letters + "-" * separators) is random
