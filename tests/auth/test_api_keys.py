"""API keys: what is accepted, what is refused, and what the configuration may hold."""

from __future__ import annotations

import hashlib

import pytest

from app.auth.api_keys import ApiKeyError, ApiKeys

KEY = "k3y-0123456789abcdef_ABCDEF.~+/=="
OTHER = "another-key-0123456789abcdef"


@pytest.mark.parametrize("header", [f"Bearer {KEY}", f"bearer {KEY}", f"BEARER   {KEY} "])
def test_the_key_is_accepted(header: str) -> None:
    assert ApiKeys.parse(KEY).accepts([header])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        [KEY],
        [f"Basic {KEY}"],
        [f"Bearer {KEY}x"],
        [f"Bearer {KEY[:-1]}"],
        [f" Bearer {KEY}"],
        [f"Bearer {KEY}, Bearer {KEY}"],
        [f"Bearer {KEY}", f"Bearer {KEY}"],
        [f"Bearer {OTHER}", f"Bearer {KEY}"],
        [f"Bearer\t{KEY}"],
        [f"Bearer {KEY}\r\n"],
        ["Bearer " + "k" * 1_000_000],
        ["Bearer ключ"],
        ["Bearer \x00"],
        ["Bearer " + hashlib.sha256(KEY.encode()).hexdigest()],
    ],
)
def test_anything_else_is_refused(headers: list[str]) -> None:
    assert not ApiKeys.parse(KEY).accepts(headers)


def test_two_keys_are_accepted_while_one_replaces_the_other() -> None:
    keys = ApiKeys.parse(f"{KEY}\n{OTHER}")
    assert keys.accepts([f"Bearer {KEY}"])
    assert keys.accepts([f"Bearer {OTHER}"])


def test_a_configuration_may_hold_the_digest_instead_of_the_key() -> None:
    keys = ApiKeys.parse("sha256:" + hashlib.sha256(KEY.encode()).hexdigest())
    assert keys.accepts([f"Bearer {KEY}"])
    assert not keys.accepts([f"Bearer {OTHER}"])


def test_the_key_itself_is_not_kept() -> None:
    assert KEY not in repr(vars(ApiKeys.parse(KEY)))


@pytest.mark.parametrize(
    "text", ["", " \n", "short", "a" * 15, "sha256:12", "sha256:" + "g" * 64, "schlüssel-0123456789", "a-key-0123456789,b"]
)
def test_an_unusable_configuration_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ApiKeyError) as refused:
        ApiKeys.parse(text)
    assert not text.strip() or text.strip() not in str(refused.value)
