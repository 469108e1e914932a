"""Whether the running gateway takes what the platform is going to send it: asked with a challenge signed by the same secret."""

from __future__ import annotations

import json
import ssl
from typing import Literal

import httpx2

from tools.connect.vendor import Challenge

CALL_SECONDS = 10.0
# "old": it runs, and with other secrets or without the platform: the stack has to be brought up with what is stored now.
State = Literal["right", "old", "unreachable"]


def ask(url: str, ca_certificate: str | None, challenge: Challenge) -> tuple[State, str]:
    """And a sentence about it. ``ca_certificate``: PEM of the stack's own authority."""
    context = ssl.create_default_context()
    if ca_certificate:
        context.load_verify_locations(cadata=ca_certificate)
    host = httpx2.URL(url).host
    try:
        answer = httpx2.post(
            url,
            content=challenge.body,
            headers=dict(challenge.headers),
            verify=context,
            timeout=CALL_SECONDS,
            trust_env=host not in ("localhost", "127.0.0.1", "::1"),
        )
    except httpx2.HTTPError as error:
        return "unreachable", f"{url} cannot be reached from this machine ({type(error).__name__}: {error})."
    try:
        values = answer.json()
    except ValueError:
        return "unreachable", f"{url} answered {answer.status_code}, and not as the gateway does: something before it answers."
    if answer.status_code == 200 and values == challenge.answer:
        return "right", f"{url} answers the challenge"
    code = (values.get("error") or {}).get("code", "") if isinstance(values, dict) else ""
    return "old", f"{url} answered {answer.status_code} {json.dumps(code)} to a challenge made with what is stored now."
