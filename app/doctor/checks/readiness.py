"""What the process itself answers when it is asked whether it is ready, and why not."""

from __future__ import annotations

import json
import ssl
import time
from typing import Any, Final

import httpx2

from app.doctor.finding import Finding, error, ok, warning
from app.doctor.place import Place
from app.doctor.reach import milliseconds

CHECK: Final = "readiness"
ANSWER_SECONDS: Final = 5.0
SLOW_SECONDS: Final = 1.0
LONGEST_REASON: Final = 500


async def look(place: Place) -> list[Finding]:
    url = own_url(place)
    begun = time.perf_counter()
    try:
        async with httpx2.AsyncClient(verify=unverified(), trust_env=False, timeout=ANSWER_SECONDS) as client:
            answer = await client.get(f"{url}/readyz")
    except httpx2.HTTPError as failure:
        return [silent(url, type(failure).__name__)]
    return [judge(answer.status_code, answer.content, time.perf_counter() - begun)]


def judge(status: int, body: bytes, seconds: float) -> Finding:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    reason = str(said.get("reason") or "") if isinstance(said, dict) else ""
    if status == 200:
        evidence = f"GET /readyz: 200 in {milliseconds(seconds)}"
        if seconds > SLOW_SECONDS:
            return warning(CHECK, "It is ready and slow to say so", evidence, "The process, or what it asks, is overloaded.")
        others = [f"{name} {value}" for name, value in (said or {}).items() if value in ("not ready", "unreachable")]
        if others:
            return warning(CHECK, f"It is ready, and its {', '.join(others)}", evidence, "See the findings of that service.")
        return ok(CHECK, "It says that it is ready", evidence)
    return error(
        CHECK,
        "It says that it is not ready",
        f"GET /readyz: {status}" + (f", {reason[:LONGEST_REASON]}" if reason else ""),
        _remedy(reason),
    )


def silent(url: str, failure: str) -> Finding:
    return error(
        CHECK,
        "The process does not answer",
        f"GET {url}/readyz: {failure}",
        "If it is not there, its log says why it ended (make logs). If it is there, its event loop hangs: restart it.",
    )


def _remedy(reason: str) -> str:
    if "draining" in reason:
        return "It was told to stop. If nobody did that on purpose, look who ends it (out of memory, a failing liveness probe)."
    if "Redis" in reason or "queue" in reason:
        return "See the findings of redis: it becomes ready by itself once Redis answers."
    return "The reason is its own; its log has more (make logs)."


def own_url(place: Place) -> str:
    """Where this place's process listens, from beside it."""
    settings: Any = place.settings
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104 compared, not bound
    return f"{'https' if serves_tls(place) else 'http'}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def serves_tls(place: Place) -> bool:
    settings: Any = place.settings
    return bool(getattr(settings, "tls_certificate", None) or getattr(settings, "tls_self_signed", False))


def unverified() -> ssl.SSLContext:
    """For the process beside us, on this machine's own network; the certificate is judged by the check of that name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
