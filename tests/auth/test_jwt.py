"""Bearer tokens: which are accepted, which are refused and how, and what becomes of it while the provider is away."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from generic.faulty_server import Fault
from identity_provider import AUDIENCE, GONE, SUBJECT, IdentityProvider, private_key, public_jwk
from jwt.algorithms import OKPAlgorithm

from app.auth.bearer_tokens import BearerTokens
from app.auth.identity import Claims, IdentityRefused, IdentityUnavailable
from app.auth.signing_keys import (
    ALGORITHMS,
    OLD_SECONDS,
    PAUSE_SECONDS,
    MalformedProvider,
    SigningKeys,
    is_trustworthy,
    jwks_url,
    parse_keys,
)
from app.http.outbound import client_for
from app.settings import GatewaySettings, SettingsError, load

ASSISTANT = {"API_KEY": "k" * 32, "INFERENCE_API_KEY": "i" * 32}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    found = IdentityProvider()
    yield found
    found.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def tokens(provider: IdentityProvider, clock: Clock) -> AsyncIterator[BearerTokens]:
    client = client_for(provider.issuer)
    keys = SigningKeys(client, issuer=provider.issuer, monotonic=clock)
    found = BearerTokens(keys, client, issuer=provider.issuer, audience=AUDIENCE, tenant_claim="tenant")
    yield found
    await found.aclose()


async def refused(tokens: BearerTokens, token: str) -> str:
    with pytest.raises(IdentityRefused) as raised:
        await tokens.claims(token)
    assert token not in str(raised.value)
    return raised.value.code


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(("key", "algorithm"), [("rsa", "RS256"), ("rsa", "PS256"), ("ec", "ES256"), ("ed", "EdDSA")], ids=str)
async def test_a_token_of_the_issuer_is_accepted(
    tokens: BearerTokens, provider: IdentityProvider, key: str, algorithm: str
) -> None:
    token = provider.token(key, algorithm, tenant="acme", groups=["leads"], scope="ask read:events")
    assert await tokens.claims(token) == Claims(
        subject=SUBJECT, tenant="acme", groups=frozenset({"leads"}), scopes=frozenset({"ask", "read:events"})
    )


def now(offset: int) -> int:
    return int(time.time()) + offset


def at(offset: int) -> Callable[[], int]:
    return lambda: now(offset)


@pytest.mark.parametrize(
    ("claims", "groups", "scopes"),
    [
        ({"scope": GONE, "scp": "ask administer"}, set(), {"ask", "administer"}),
        ({"scope": GONE, "scp": ["ask"]}, set(), {"ask"}),
        ({"scope": GONE}, set(), set()),
        ({"scope": "", "scp": "ask"}, set(), set()),
        ({"groups": "a b", "scope": "ask"}, {"a", "b"}, {"ask"}),
        ({"groups": [], "scope": "ask"}, set(), {"ask"}),
        ({"aud": ["other", AUDIENCE]}, set(), {"ask"}),
        ({"nbf": at(50), "iat": at(50)}, set(), {"ask"}),
        ({"exp": at(-30)}, set(), {"ask"}),
        ({"iat": GONE}, set(), {"ask"}),
    ],
)
async def test_what_a_token_may_say(
    tokens: BearerTokens, provider: IdentityProvider, claims: dict[str, Any], groups: set[str], scopes: set[str]
) -> None:
    # A case may wait for its turn longer than a token's leeway: times count from now, not from when they were written down.
    made = {name: value() if callable(value) else value for name, value in claims.items()}
    found = await tokens.claims(provider.token(**made))
    assert (found.tenant, found.groups, found.scopes) == (None, groups, scopes)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "another"}, "token_wrong_audience"),
        ({"aud": ["another"]}, "token_wrong_audience"),
        ({"aud": GONE}, "token_malformed"),
        ({"iss": "https://elsewhere.example"}, "token_wrong_issuer"),
        ({"iss": GONE}, "token_malformed"),
        ({"exp": now(-3600)}, "token_expired"),
        ({"exp": now(-90)}, "token_expired"),
        ({"exp": GONE}, "token_malformed"),
        ({"exp": "soon"}, "token_malformed"),
        ({"exp": float("inf")}, "token_malformed"),
        ({"nbf": now(300)}, "token_not_yet_valid"),
        ({"iat": now(300)}, "token_not_yet_valid"),
        ({"iat": "now"}, "token_malformed"),
        ({"sub": GONE}, "token_malformed"),
        ({"sub": ""}, "token_malformed"),
        ({"sub": "a\nb"}, "token_malformed"),
        ({"sub": "s" * 300}, "token_malformed"),
        ({"tenant": 7}, "token_malformed"),
        ({"groups": [7]}, "token_malformed"),
        ({"scope": {"ask": True}}, "token_malformed"),
    ],
)
async def test_a_token_that_says_something_else_is_refused(
    tokens: BearerTokens, provider: IdentityProvider, claims: dict[str, Any], code: str
) -> None:
    assert await refused(tokens, provider.token(**claims)) == code


async def test_a_clock_that_is_a_minute_off_is_borne_and_not_one_of_five(
    tokens: BearerTokens, provider: IdentityProvider
) -> None:
    await tokens.claims(provider.token(iat=now(45), nbf=now(45)))
    await tokens.claims(provider.token(exp=now(-45)))
    assert await refused(tokens, provider.token(iat=now(300))) == "token_not_yet_valid"
    assert await refused(tokens, provider.token(exp=now(-300))) == "token_expired"


def unsigned(provider: IdentityProvider, algorithm: str) -> str:
    """The claims of a good token, with an empty signature."""
    payload = provider.token().split(".")[1]
    return f"{part({'alg': algorithm, 'typ': 'JWT', 'kid': 'rsa'})}.{payload}."


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "RS1"])
async def test_a_token_that_nobody_signed_is_refused(tokens: BearerTokens, provider: IdentityProvider, algorithm: str) -> None:
    assert await refused(tokens, unsigned(provider, algorithm)) == "token_refused_algorithm"


async def test_a_public_key_is_no_shared_secret(tokens: BearerTokens, provider: IdentityProvider) -> None:
    public = private_key("rsa").public_key()
    formats = [
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        json.dumps(public_jwk("rsa")).encode(),
    ]
    payload = provider.token().split(".")[1]
    for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
        for secret in formats:
            signed = f"{part({'alg': algorithm, 'typ': 'JWT', 'kid': 'rsa'})}.{payload}"
            token = f"{signed}.{part(hmac.new(secret, signed.encode(), digest).digest())}"
            assert await refused(tokens, token) == "token_refused_algorithm"


@pytest.mark.parametrize(("key", "algorithm", "kid"), [("rsa", "RS256", "ec"), ("ec", "ES256", "ed"), ("ed", "EdDSA", "rsa")])
async def test_a_key_that_does_not_fit_the_algorithm_is_none(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock, key: str, algorithm: str, kid: str
) -> None:
    await tokens.claims(provider.token())
    clock.now += PAUSE_SECONDS
    assert await refused(tokens, provider.token(key, algorithm, headers={"kid": kid})) == "token_unknown_key"
    assert provider.asked.count("/keys") == 1, "the key is known, so nobody asks for it"


async def test_a_signature_that_is_not_the_keys_is_refused(tokens: BearerTokens, provider: IdentityProvider) -> None:
    assert await refused(tokens, provider.token("rsa-other", headers={"kid": "rsa"})) == "token_invalid_signature"
    head, payload, signature = provider.token().split(".")
    changed = part(json.loads(base64.urlsafe_b64decode(payload + "==")) | {"sub": "mallory"})
    assert await refused(tokens, f"{head}.{changed}.{signature}") == "token_invalid_signature"
    assert await refused(tokens, f"{head}.{payload}.") == "token_invalid_signature"


async def test_a_key_that_the_token_brings_along_is_not_looked_at(tokens: BearerTokens, provider: IdentityProvider) -> None:
    own = {"jwk": public_jwk("rsa-other"), "jku": f"{provider.issuer}/mine", "x5u": f"{provider.issuer}/mine"}
    assert await refused(tokens, provider.token("rsa-other", headers={"kid": "rsa", **own})) == "token_invalid_signature"
    assert await refused(tokens, provider.token("rsa-other", headers=own)) == "token_unknown_key"
    assert "/mine" not in provider.asked


@pytest.mark.parametrize(
    "head",
    [
        {"alg": "RS256", "kid": "rsa", "crit": ["exp"], "exp": 1},
        {"alg": "RS256", "kid": "rsa", "b64": False},
        {"alg": "RS256", "kid": "rsa", "typ": "logout+jwt"},
        {"alg": "RS256", "kid": "rsa", "typ": 7},
        {"alg": "RS256", "kid": 7},
        ["RS256"],
    ],
)
async def test_an_extension_or_type_that_is_not_understood_is_refused(
    tokens: BearerTokens, provider: IdentityProvider, head: Any
) -> None:
    _, payload, signature = provider.token().split(".")
    assert await refused(tokens, f"{part(head)}.{payload}.{signature}") == "token_malformed"


async def test_an_extension_is_refused_although_the_signature_is_right(
    tokens: BearerTokens, provider: IdentityProvider
) -> None:
    assert await refused(tokens, provider.token(headers={"b64": True, "crit": ["b64"]})) == "token_malformed"


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_an_access_token_may_say_what_it_is(tokens: BearerTokens, provider: IdentityProvider, kind: str) -> None:
    await tokens.claims(provider.token(headers={"typ": kind}))


@pytest.mark.parametrize(
    "token",
    [
        "eyJ.eyJ.sig",
        "ey..",
        "eyJhbGciOiJSUzI1NiJ9.!.x",
        part(b"[" * 3000) + ".e30.x",
        part(b'{"a":' * 800) + ".e30.x",
        part(b"\xff\xfe") + ".e30.x",
    ],
)
async def test_what_only_looks_like_a_token_is_refused(tokens: BearerTokens, provider: IdentityProvider, token: str) -> None:
    assert await refused(tokens, token) == "token_malformed"
    assert provider.asked == [], "nobody is asked about it"


async def test_a_payload_that_nests_without_end_is_refused(tokens: BearerTokens, provider: IdentityProvider) -> None:
    signed = jwt.api_jws.encode(b"[" * 4000, private_key("rsa"), algorithm="RS256", headers={"kid": "rsa"})
    assert await refused(tokens, signed) == "token_malformed"


async def test_the_keys_are_asked_for_once_however_many_tokens_come(tokens: BearerTokens, provider: IdentityProvider) -> None:
    await asyncio.gather(*(tokens.claims(provider.token()) for _ in range(20)))
    assert provider.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_a_new_key_is_learnt_and_unknown_ones_are_asked_for_no_more_than_every_ten_seconds(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock
) -> None:
    await tokens.claims(provider.token())
    new = provider.token("rsa-new")
    assert await refused(tokens, new) == "token_unknown_key"
    assert provider.asked.count("/keys") == 1, "they were fetched a moment ago"
    clock.now += PAUSE_SECONDS
    for _ in range(5):
        assert await refused(tokens, new) == "token_unknown_key"
    assert provider.asked.count("/keys") == 2
    provider.keys.append(public_jwk("rsa-new"))
    clock.now += PAUSE_SECONDS
    await tokens.claims(new)
    assert provider.asked.count("/keys") == 3


async def test_a_key_that_is_withdrawn_is_no_longer_accepted_once_the_keys_are_old(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock
) -> None:
    await tokens.claims(provider.token())
    provider.keys = [public_jwk("ec")]
    await tokens.claims(provider.token())
    clock.now += OLD_SECONDS
    await tokens.claims(provider.token())  # the last one: the keys are asked for behind it
    async with asyncio.timeout(10):
        while provider.asked.count("/keys") < 2 or await code_of(tokens, provider.token()) is None:  # noqa: ASYNC110 (another thread tells nobody)
            await asyncio.sleep(0.01)
    assert await refused(tokens, provider.token()) == "token_unknown_key"


async def code_of(tokens: BearerTokens, token: str) -> str | None:
    """None where it is accepted."""
    try:
        await tokens.claims(token)
    except IdentityRefused as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/keys", status=500),
        Fault("/keys", status=404),
        Fault("/keys", kind="reset"),
        Fault("/keys", kind="garbage"),
        Fault("/keys", kind="garbage", body='{"keys": []}'),
        Fault("/keys", kind="garbage", body='{"keys": "' + "x" * 300_000 + '"}'),
        Fault("/keys", kind="redirect"),
        Fault("/.well-known/openid-configuration", status=503),
        Fault("/.well-known/openid-configuration", kind="garbage", body="[]"),
    ],
    ids=lambda fault: f"{fault.path}-{fault.kind}-{fault.status}-{len(fault.body)}",
)
async def test_while_the_keys_cannot_be_had_nobody_is_told_that_the_token_is_wrong(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock, fault: Fault
) -> None:
    provider.faults.append(fault)
    for _ in range(3):
        with pytest.raises(IdentityUnavailable) as raised:
            await tokens.claims(provider.token())
        assert 0 < raised.value.retry_after <= PAUSE_SECONDS
    assert len(provider.asked) <= 2, "who is down is not asked again at once"
    clock.now += PAUSE_SECONDS
    assert (await tokens.claims(provider.token())).subject == SUBJECT


async def test_keys_that_hang_are_given_up_in_time(
    tokens: BearerTokens, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.auth.signing_keys.FETCH_SECONDS", 0.2)
    provider.faults.append(Fault("/.well-known/openid-configuration", kind="slow", seconds=5))
    with pytest.raises(IdentityUnavailable, match="did not answer within"):
        await tokens.claims(provider.token())


async def test_known_keys_serve_on_while_the_provider_is_away(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock
) -> None:
    await tokens.claims(provider.token())
    provider.close()
    clock.now += 10 * OLD_SECONDS
    for _ in range(3):
        await tokens.claims(provider.token())
    with pytest.raises(IdentityUnavailable):
        await tokens.claims(provider.token("rsa-new"))


async def test_a_caller_who_gives_up_does_not_take_the_others_keys_along(
    tokens: BearerTokens, provider: IdentityProvider
) -> None:
    provider.faults.append(Fault("/.well-known/openid-configuration", kind="slow", seconds=0.3))
    first = asyncio.create_task(tokens.claims(provider.token()))
    second = asyncio.create_task(tokens.claims(provider.token()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).subject == SUBJECT


async def test_a_discovery_document_of_another_issuer_is_not_believed(tokens: BearerTokens, provider: IdentityProvider) -> None:
    provider.issuer_it_says = provider.issuer + "/"
    with pytest.raises(IdentityUnavailable, match="another issuer's"):
        await tokens.claims(provider.token())
    assert "/keys" not in provider.asked


@pytest.mark.parametrize(
    "url", ["http://keys.example/jwks", "ftp://keys.example", "file:///etc/passwd", "", None, 7, "https://"]
)
def test_keys_come_from_an_address_that_cannot_be_changed_on_its_way(url: Any) -> None:
    with pytest.raises(MalformedProvider):
        jwks_url({"issuer": "https://id.example", "jwks_uri": url}, "https://id.example")
    assert is_trustworthy("https://id.example/keys") and is_trustworthy("http://127.0.0.1:8/keys")


def private_part(name: str) -> str:
    return str(json.loads(OKPAlgorithm.to_jwk(private_key(name)))["d"])


def test_of_a_list_of_keys_those_are_taken_that_can_sign_what_is_taken_here() -> None:
    odd = [
        public_jwk("rsa", use="enc"),
        public_jwk("rsa", key_ops=["sign"]),
        public_jwk("rsa", alg="RS512"),
        public_jwk("rsa", kid=7),
        public_jwk("rsa", n="!"),
        public_jwk("rsa-short"),
        public_jwk("ec", crv="P-384"),
        public_jwk("ed") | {"d": private_part("ed")},
        {"kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "RSA"},
        {},
        7,
    ]
    assert [(key.id, key.algorithm) for key in parse_keys({"keys": [*odd, public_jwk("ed")]})] == [("ed", "EdDSA")]
    assert {key.algorithm for key in parse_keys({"keys": [public_jwk("rsa")]})} == {"RS256", "PS256"}
    assert {key.algorithm for key in parse_keys({"keys": [public_jwk("rsa", alg="PS256")]})} == {"PS256"}
    for document in ({"keys": odd}, {"keys": [public_jwk("ec")] * 101}, {"keys": {}}, [], None):
        with pytest.raises(MalformedProvider):
            parse_keys(document)
    assert not any(name.startswith(("HS", "none")) for name in ALGORITHMS)


async def test_a_token_that_names_no_key_gets_the_only_one_of_its_kind(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock
) -> None:
    claims = {"iss": provider.issuer, "aud": AUDIENCE, "sub": SUBJECT, "exp": now(300)}
    token = jwt.encode(claims, private_key("ec"), algorithm="ES256")
    await tokens.claims(token)
    provider.keys = [public_jwk("rsa"), public_jwk("ec"), public_jwk("ec-second")]
    clock.now += PAUSE_SECONDS
    await refused(tokens, provider.token("ed", "EdDSA", headers={"kid": "new"}))
    assert await refused(tokens, token) == "token_unknown_key", "which of two it is cannot be told"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"OIDC_ISSUER": "https://id.example"}, "OIDC_ISSUER and OIDC_AUDIENCE are required together"),
        ({"OIDC_AUDIENCE": "assistant"}, "OIDC_ISSUER and OIDC_AUDIENCE are required together"),
        ({"OIDC_ISSUER": "http://id.example", "OIDC_AUDIENCE": "a"}, "OIDC_ISSUER=http://id.example: https is required"),
        (
            {"OIDC_ISSUER": "https://id.example", "OIDC_AUDIENCE": "a", "OIDC_JWKS_URL": "http://id.example/keys"},
            "OIDC_JWKS_URL=http://id.example/keys: https is required",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_told(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        BearerTokens.from_settings(load(GatewaySettings, ASSISTANT | environment))


async def test_the_settings_are_followed(provider: IdentityProvider) -> None:
    environment = {
        "OIDC_ISSUER": provider.issuer,
        "OIDC_AUDIENCE": AUDIENCE,
        "OIDC_JWKS_URL": provider.jwks_url,
        "OIDC_TENANT_CLAIM": "org",
    }
    tokens = BearerTokens.from_settings(load(GatewaySettings, ASSISTANT | environment))
    assert (await tokens.claims(provider.token(org="acme", tenant="beta"))).tenant == "acme"
    assert provider.asked == ["/keys"]
    await tokens.aclose()
