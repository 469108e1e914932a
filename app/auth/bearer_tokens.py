"""Bearer tokens of an identity provider: JWTs (RFC 7519), checked as RFC 8725 and RFC 9068 have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx2
import jwt

from app.auth.identity import Claims, IdentityRefused, IdentityUnavailable
from app.auth.signing_keys import ALGORITHMS, KeysUnavailable, KeyUnknown, SigningKeys, is_trustworthy
from app.http.outbound import client_for
from app.settings import GatewaySettings, SettingsError

LEEWAY_SECONDS: Final = 60.0  # how far two clocks may be apart, for exp, nbf and iat
REQUIRED: Final = ["exp", "iss", "aud", "sub"]
TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})  # a logout token of the same issuer is no access token
LONGEST_SUBJECT: Final = 255  # OpenID Connect Core §2


class BearerTokens:
    """Close it with :meth:`aclose`."""

    def __init__(self, keys: SigningKeys, client: httpx2.AsyncClient, *, issuer: str, audience: str, tenant_claim: str) -> None:
        self._keys, self._client = keys, client
        self._issuer, self._audience, self._tenant_claim = issuer, audience, tenant_claim

    @classmethod
    def from_settings(cls, settings: GatewaySettings) -> BearerTokens:
        """Raises :class:`app.settings.SettingsError`."""
        issuer, audience, url = settings.oidc_issuer, settings.oidc_audience, settings.oidc_jwks_url
        if issuer is None or audience is None:
            raise SettingsError("OIDC_ISSUER and OIDC_AUDIENCE are required together")
        for name, address in (("OIDC_ISSUER", issuer), ("OIDC_JWKS_URL", url)):
            if address is not None and not is_trustworthy(address):
                raise SettingsError(f"{name}={address}: https is required, except on this machine itself")
        client = client_for(url or issuer)
        keys = SigningKeys(client, issuer=issuer, url=url)
        return cls(keys, client, issuer=issuer, audience=audience, tenant_claim=settings.oidc_tenant_claim)

    async def claims(self, token: str) -> Claims:
        """What a genuine, valid token says. Raises :class:`app.auth.identity.IdentityRefused` with a stable code, and
        :class:`app.auth.identity.IdentityUnavailable` where the keys cannot be had."""
        key_id, algorithm = _head(token)
        try:
            signed_with = await self._keys.find(key_id, algorithm)
        except KeyUnknown:
            raise IdentityRefused("token_unknown_key", "the token is signed with a key that the issuer does not have") from None
        except KeysUnavailable as error:
            raise IdentityUnavailable(f"the issuer's keys cannot be had: {error}", error.retry_after) from None
        try:
            values = jwt.decode(
                token,
                signed_with.key,
                algorithms=[signed_with.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED},
            )
        except (jwt.PyJWTError, RecursionError) as error:
            raise refusal(error) from None
        return claims_of(values, self._tenant_claim)

    async def aclose(self) -> None:
        await self._keys.aclose()
        await self._client.aclose()


def refusal(error: Exception) -> IdentityRefused:
    """What a person and a program are told. The library's own words may quote the token."""
    match error:
        case jwt.ExpiredSignatureError():
            return IdentityRefused("token_expired", "the token has expired: fetch a new one")
        case jwt.ImmatureSignatureError():
            return IdentityRefused("token_not_yet_valid", "the token is not valid yet: compare this machine's clock with UTC")
        case jwt.InvalidAudienceError():
            return IdentityRefused("token_wrong_audience", "the token is for another service: its aud is not OIDC_AUDIENCE")
        case jwt.InvalidIssuerError():
            return IdentityRefused("token_wrong_issuer", "the token is another issuer's: its iss is not OIDC_ISSUER")
        case jwt.MissingRequiredClaimError(claim=claim) if claim in REQUIRED:
            return IdentityRefused("token_malformed", f"the token has no {claim}")
        case jwt.InvalidSignatureError():
            return IdentityRefused("token_invalid_signature", "the token's signature is not the issuer's")
        case jwt.InvalidAlgorithmError():
            return _algorithm()
    return _malformed()


def claims_of(values: Mapping[str, Any], tenant_claim: str) -> Claims:
    """Pure. ``scope`` is one text (RFC 8693 §4.2), ``scp`` what Microsoft and Okta write instead, a text or a list; a token
    with neither is limited to nothing at all. Raises :class:`app.auth.identity.IdentityRefused`."""
    subject, tenant = values["sub"], values.get(tenant_claim)
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise _malformed("sub is not a printable text")
    if tenant is not None and not isinstance(tenant, str):
        raise _malformed("the claim of the tenant is not a text")
    scopes = _words(values.get("scope", values.get("scp", "")), "scope")
    return Claims(subject=subject, tenant=tenant, groups=_words(values.get("groups", []), "groups"), scopes=scopes)


def _words(value: Any, claim: str) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset(value.split())
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return frozenset(value)
    raise _malformed(f"{claim} is not a list of texts")


def _head(token: str) -> tuple[str | None, str]:
    """The id of the key and the algorithm, which nobody has proved yet."""
    try:
        head = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError):
        raise _malformed() from None
    algorithm, key_id, kind = head.get("alg"), head.get("kid"), head.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _algorithm()
    if "crit" in head or "b64" in head or not isinstance(kind, str) or kind.lower() not in TYPES:
        raise _malformed("it is of a type, or asks for an extension, that is not taken here")
    return key_id if isinstance(key_id, str) else None, algorithm


def _malformed(detail: str = "") -> IdentityRefused:
    return IdentityRefused("token_malformed", "the token cannot be read as a JWT" + (f": {detail}" if detail else ""))


def _algorithm() -> IdentityRefused:
    return IdentityRefused("token_refused_algorithm", f"the token must be signed with one of {', '.join(ALGORITHMS)}")
