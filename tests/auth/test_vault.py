"""What is sealed opens for whom it was sealed, and for nobody else."""

from __future__ import annotations

import base64
import hmac
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from app.auth.vault import SealBroken, Vault, parse_key
from app.platforms.secret_set import SecretSet, parse_set

OLD, NEW = b"\x01" * 32, b"\x02" * 32
VAULT = Vault(SecretSet(NEW))


def changed(sealed: str, at: int) -> str:
    raw = bytearray(base64.urlsafe_b64decode(sealed.removeprefix("v1.")))
    raw[at] ^= 1
    return "v1." + base64.urlsafe_b64encode(bytes(raw)).decode()


@given(st.text(max_size=50), st.text(max_size=50), st.binary(max_size=5000))
def test_what_was_sealed_opens(tenant: str, name: str, plaintext: bytes) -> None:
    opened = VAULT.open(tenant, name, VAULT.seal(tenant, name, plaintext))
    assert opened.plaintext == plaintext
    assert not opened.previous


def test_the_same_value_is_sealed_differently_each_time() -> None:
    assert VAULT.seal("a", "token", b"value") != VAULT.seal("a", "token", b"value")


@pytest.mark.parametrize("at", [0, 11, 12, 16, -17, -16, -1])
def test_a_changed_byte_of_nonce_text_or_tag_breaks_the_seal(at: int) -> None:
    with pytest.raises(SealBroken):
        VAULT.open("a", "token", changed(VAULT.seal("a", "token", b"value"), at))


@pytest.mark.parametrize(("tenant", "name"), [("b", "token"), ("a", "other"), ("at", "oken"), ("", "atoken")])
def test_another_tenant_or_name_does_not_open_it(tenant: str, name: str) -> None:
    with pytest.raises(SealBroken):
        VAULT.open(tenant, name, VAULT.seal("a", "token", b"value"))


@pytest.mark.parametrize("sealed", ["", "v1.", "v2.AAAA", "v1.!!!!", "v1." + "A" * 36, "v1.é", "plain text"])
def test_what_was_never_sealed_is_told_so(sealed: str) -> None:
    with pytest.raises(SealBroken, match="token of a"):
        VAULT.open("a", "token", sealed)


def test_a_tenant_s_key_is_hkdf_of_the_given_one() -> None:
    """Computed here as RFC 5869 has it, with no salt: another tenant's key opens nothing even where the data would agree."""
    raw = base64.urlsafe_b64decode(VAULT.seal("a", "token", b"value").removeprefix("v1."))
    associated = b"\x00\x00\x00\x01a" + b"token"
    extracted = hmac.digest(bytes(32), NEW, "sha256")
    key = hmac.digest(extracted, b"assistant tokens\x00a" + b"\x01", "sha256")
    assert AESGCM(key).decrypt(raw[:12], raw[12:], associated) == b"value"


def test_the_first_key_seals_and_all_open() -> None:
    old = Vault(SecretSet(OLD)).seal("a", "token", b"value")
    both = Vault(SecretSet(NEW, (OLD,)))
    assert both.open("a", "token", old).plaintext == b"value"
    assert both.open("a", "token", old).previous
    assert VAULT.open("a", "token", both.seal("a", "token", b"value")).plaintext == b"value"


def test_a_key_that_is_gone_opens_nothing_and_the_error_holds_no_value() -> None:
    sealed = Vault(SecretSet(OLD)).seal("a", "token", b"canary")
    with pytest.raises(SealBroken, match="TOKEN_KEY") as broken:
        VAULT.open("a", "token", sealed)
    assert "canary" not in str(broken.value) and sealed not in str(broken.value)


def test_keys_are_read_as_base64_the_current_one_first() -> None:
    first, second = os.urandom(32), os.urandom(32)
    text = f"{base64.b64encode(first).decode()}\n {base64.b64encode(second).decode()}"
    assert parse_set(text, parse_key) == SecretSet(first, (second,))


@pytest.mark.parametrize(
    "text", ["", "short", base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(33)).decode(), "é" * 44]
)
def test_an_unusable_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -base64 32") as refused:
        parse_key(text)
    assert not text or text not in str(refused.value)


def test_the_repr_of_what_was_opened_shows_nothing() -> None:
    assert "canary" not in repr(VAULT.open("a", "token", VAULT.seal("a", "token", b"canary")))
