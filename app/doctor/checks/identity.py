"""The identity provider whose bearer tokens are taken: is its discovery document there, and are its keys."""

from __future__ import annotations

import json
from typing import Any, Final

from app.doctor.finding import Finding, error, ok
from app.doctor.place import Place
from app.doctor.reach import judge as judge_reach
from app.doctor.reach import reach
from app.http.outbound import CallFailed, client_for, get

CHECK: Final = "identity"
FETCH_SECONDS: Final = 5.0


async def look(place: Place) -> list[Finding]:
    settings: Any = place.settings
    if settings.oidc_issuer is None:
        return [ok(CHECK, "No identity provider is set up", "API keys alone are taken")]
    from app.auth.signing_keys import DISCOVERY, MalformedProvider, jwks_url, parse_keys

    reached = await reach(settings.oidc_issuer)
    found = [judge_reach(CHECK, "The identity provider", "OIDC_ISSUER", reached)]
    if reached.stage != "reached" and settings.oidc_jwks_url is None:
        return found
    async with client_for(settings.oidc_issuer) as client:

        async def document(url: str) -> Any:
            answer = await get(client, url, {}, FETCH_SECONDS)
            if answer.status != 200:
                raise MalformedProvider(f"GET {url}: {answer.status}")
            try:
                return json.loads(answer.body)
            except (ValueError, RecursionError):
                raise MalformedProvider(f"GET {url}: no JSON") from None

        setting, url = "OIDC_JWKS_URL", settings.oidc_jwks_url
        try:
            if url is None:
                setting = "OIDC_ISSUER"
                url = jwks_url(await document(settings.oidc_issuer.rstrip("/") + DISCOVERY), settings.oidc_issuer)
            keys = tuple(parse_keys(await document(url)))
        except (CallFailed, MalformedProvider) as failure:
            return [*found, unusable(setting, str(failure))]
    algorithms = ", ".join(sorted({key.algorithm for key in keys}))
    return [*found, ok(CHECK, "Its keys are there", f"{url}, for {algorithms}")]


def unusable(setting: str, failure: str) -> Finding:
    return error(
        CHECK,
        "The identity provider's keys are not to be had: bearer tokens are refused",
        failure,
        f"Correct {setting} (written as the provider writes it), or let the gateway out to it; API keys go on meanwhile.",
    )
