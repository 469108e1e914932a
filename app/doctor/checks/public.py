"""The address under which platforms and browsers know the gateway: its form, the redirect URIs, whether it answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit

from app.doctor.checks.readiness import unverified
from app.doctor.finding import Finding, error, note, ok, warning
from app.doctor.place import Place
from app.doctor.reach import Reached, judge, reach
from app.http.outbound import is_loopback

CHECK: Final = "public"
ANSWER_SECONDS: Final = 5.0


async def look(place: Place) -> list[Finding]:
    settings: Any = place.settings
    if settings.public_url is None:
        return [
            ok(CHECK, "No public address is needed here", "PUBLIC_URL is not set, and no platform is set up that asks for it")
        ]
    webhooks = [
        name
        for name, there in (
            ("slack", settings.slack_signing_secret is not None),
            ("feishu", settings.feishu_verification_token is not None),
        )
        if there
    ]
    installable = [name for name, there in (("slack", settings.slack_client_id), ("feishu", settings.feishu_app_id)) if there]
    addresses = {"slack": settings.slack_api_url, "feishu": settings.feishu_url}
    neighbours = [name for name, url in addresses.items() if is_loopback(urlsplit(url).hostname or "")]
    found = judge_address(settings.public_url, webhooks, installable, neighbours)
    here = is_loopback(urlsplit(settings.public_url).hostname or "")
    context = unverified() if here else None
    reached = await reach(settings.public_url, context)
    in_pod = "KUBERNETES_SERVICE_HOST" in place.environment
    if reached.stage != "reached":
        return [*found, judge_reached(reached, in_pod=in_pod)]
    return [*found, await _health(settings.public_url, here=here)]


def judge_address(url: str, webhooks: list[str], installable: list[str], neighbours: Collection[str] = ()) -> list[Finding]:
    """``webhooks``: the platforms that are to call us; ``installable``: those that send a browser back; ``neighbours``: those
    that are played on this machine, and so can call it."""
    found: list[Finding] = []
    parts = urlsplit(url)
    here = is_loopback(parts.hostname or "")
    if parts.scheme != "https" and (webhooks or installable) and not here:
        found.append(
            error(
                CHECK,
                "PUBLIC_URL is not https: platforms neither call it nor come back to it",
                f"PUBLIC_URL={url}; its redirect URIs are refused in the console",
                "Give the https address that ends at the gateway: make set KEY=publicUrl VALUE=https://….",
            )
        )
    elif here and (distant := [name for name in webhooks if name not in neighbours]):
        found.append(
            warning(
                CHECK,
                f"{' and '.join(distant)} cannot call this address: it is this machine's own",
                f"PUBLIC_URL={url}",
                "Give a public address (make set KEY=publicUrl), or take events by an outbound transport (docs/platforms).",
            )
        )
    base = url.rstrip("/")
    found += [
        ok(CHECK, f"Redirect URI to enter in the console of {name}", f"{base}/oauth/{name}/callback, exactly as it is here")
        for name in installable
    ]
    found += [ok(CHECK, f"Request URL to enter in the console of {name}", f"{base}/events/{name}") for name in webhooks]
    return found


def judge_reached(found: Reached, *, in_pod: bool) -> Finding:
    if found.stage == "tcp" and in_pod:
        return note(
            CHECK,
            "The public address is not reached from within the pod",
            f"{found.where}: {found.reason}",
            "The network policy need not let the gateway out to its own address. Look from outside: make doctor does.",
        )
    return judge(CHECK, "The public address", "PUBLIC_URL", found)


def judge_health(url: str, status: int | None, failure: str = "") -> Finding:
    seen = f"GET {url.rstrip('/')}/healthz: {status if status is not None else failure}"
    if status == 200:
        return ok(CHECK, "The gateway answers at its public address", seen)
    return error(
        CHECK,
        "Something else answers at the public address, or nothing does",
        seen,
        "PUBLIC_URL must lead to the gateway, path included: look at the load balancer, proxy or tunnel before it.",
    )


async def _health(url: str, *, here: bool) -> Finding:
    import httpx2

    try:
        async with httpx2.AsyncClient(
            verify=unverified() if here else True, trust_env=not here, timeout=ANSWER_SECONDS
        ) as client:
            answer = await client.get(url.rstrip("/") + "/healthz")
    except httpx2.HTTPError as failure:
        return judge_health(url, None, type(failure).__name__)
    return judge_health(url, answer.status_code)
