"""The keys with which an identity provider signs its tokens (JWKS, RFC 7517): found, cached, looked up by their id.

They are fetched when the first token comes and again when one names a key that is not known, at most once in
:data:`PAUSE_SECONDS`, however many such tokens come; and in the background when they have grown old. While the provider is
away the known ones serve on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import httpx2
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

from app.http.outbound import CallFailed, get, is_loopback

# What a token may be signed with, and the type and curve of key that belongs to it. "none" and secrets shared with the provider
# (HS…) are not among them: a public key must never be taken for such a secret (RFC 8725 §3.1).
ALGORITHMS: Final[Mapping[str, tuple[str, str | None]]] = MappingProxyType(
    {"RS256": ("RSA", None), "PS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
)
DISCOVERY: Final = "/.well-known/openid-configuration"
FETCH_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 10.0
OLD_SECONDS: Final = 900.0  # a key that the provider has withdrawn is accepted for about this long
SHORTEST_RSA_BITS: Final = 2048
MOST_KEYS: Final = 100


class KeyUnknown(Exception):
    """The provider has no such key for this algorithm."""


class KeysUnavailable(Exception):
    """The provider's keys could not be had. ``retry_after``: seconds after which they are looked for again."""

    def __init__(self, message: str, retry_after: float = PAUSE_SECONDS) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class SigningKey:
    id: str | None
    algorithm: str
    key: PyJWK = field(repr=False)


class SigningKeys:
    """One event loop. ``url``: where the keys are; None: where ``issuer``'s discovery document says. Raises nothing at its
    construction: a provider that is away must not keep the gateway from starting."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        issuer: str,
        url: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._issuer, self._url = issuer, url
        self._monotonic = monotonic
        self._keys: tuple[SigningKey, ...] = ()
        self._old_at = 0.0
        self._next_attempt = 0.0
        self._failure: str | None = "its keys were never asked for"
        self._flight: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> SigningKey:
        """Raises :class:`KeyUnknown`, :class:`KeysUnavailable`."""
        found = choose(self._keys, key_id, algorithm)
        if found is not None:
            if self._monotonic() >= self._old_at and self._monotonic() >= self._next_attempt:
                self._fly()
            return found
        if key_id is None or all(key.id != key_id for key in self._keys):
            await self._ask_again()
            found = choose(self._keys, key_id, algorithm)
        if found is None:
            raise KeyUnknown
        return found

    async def aclose(self) -> None:
        if self._flight is not None:
            self._flight.cancel()

    async def _ask_again(self) -> None:
        wait = self._next_attempt - self._monotonic()
        if self._flight is not None or wait <= 0:
            # Shielded: a caller who gives up must not take the others' answer along.
            await asyncio.shield(self._fly())
        if self._failure is not None:
            # Whether the key exists is not known, so nobody is told that it does not.
            raise KeysUnavailable(self._failure, max(self._next_attempt - self._monotonic(), 1.0))

    def _fly(self) -> asyncio.Task[None]:
        if self._flight is None:
            self._next_attempt = self._monotonic() + PAUSE_SECONDS
            self._flight = asyncio.create_task(self._fetch())
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, _flight: asyncio.Task[None]) -> None:
        self._flight = None

    async def _fetch(self) -> None:
        try:
            url = self._url or jwks_url(await self._get(self._issuer.rstrip("/") + DISCOVERY), self._issuer)
            keys = tuple(parse_keys(await self._get(url)))
        except (CallFailed, MalformedProvider) as error:
            self._failure = str(error)
            return
        self._keys, self._failure = keys, None
        self._old_at = self._monotonic() + OLD_SECONDS

    async def _get(self, url: str) -> Any:
        answer = await get(self._client, url, {}, FETCH_SECONDS)
        host = httpx2.URL(url).host
        if answer.status != 200:
            raise MalformedProvider(f"{host} answered {answer.status}")
        try:
            return json.loads(answer.body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise MalformedProvider(f"the answer of {host} is not JSON") from None


class MalformedProvider(Exception):
    """The identity provider answers something else than its protocol says."""


def choose(keys: Iterable[SigningKey], key_id: str | None, algorithm: str) -> SigningKey | None:
    """The key of that id for that algorithm. A token that names no key gets the only one that there is for its algorithm."""
    fitting = [key for key in keys if key.algorithm == algorithm and key_id in (None, key.id)]
    return fitting[0] if len(fitting) == 1 or (fitting and key_id is not None) else None


def jwks_url(discovered: Any, issuer: str) -> str:
    """``jwks_uri`` of a discovery document (OpenID Connect Discovery 1.0 §3). Raises :class:`MalformedProvider`."""
    if not isinstance(discovered, dict) or discovered.get("issuer") != issuer:
        raise MalformedProvider("the discovery document is another issuer's: OIDC_ISSUER must be written as it is there")
    url = discovered.get("jwks_uri")
    if not isinstance(url, str) or not is_trustworthy(url):
        raise MalformedProvider("jwks_uri of the discovery document is missing or not https")
    return url


def is_trustworthy(url: str) -> bool:
    """https, or this machine itself: what decides whom to believe must not be changed on its way."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    return bool(parsed.host) and (parsed.scheme == "https" or is_loopback(parsed.host))


def parse_keys(document: Any) -> Iterable[SigningKey]:
    """The usable keys of a JWKS: public, of a type and use that we know; others are other people's and skipped. Raises
    :class:`MalformedProvider` where it is no JWKS or none is usable."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise MalformedProvider(f"no JWKS with at most {MOST_KEYS} keys is at the address of the keys")
    found = [key for value in listed if isinstance(value, dict) for key in _usable(value)]
    if not found:
        raise MalformedProvider(f"the JWKS has no key for {', '.join(ALGORITHMS)}")
    return found


def _usable(value: Mapping[str, Any]) -> Iterable[SigningKey]:
    key_id, operations = value.get("kid"), value.get("key_ops", ["verify"])
    if value.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return
    if "d" in value or (key_id is not None and not isinstance(key_id, str)):
        return
    for algorithm, (kind, curve) in ALGORITHMS.items():
        if value.get("kty") != kind or value.get("crv") != curve or value.get("alg", algorithm) != algorithm:
            continue
        try:
            key = PyJWK(dict(value), algorithm=algorithm)
        except (PyJWTError, ValueError, TypeError):
            continue
        if not isinstance(key.key, RSAPublicKey) or key.key.key_size >= SHORTEST_RSA_BITS:
            yield SigningKey(key_id, algorithm, key)
