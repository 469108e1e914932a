"""Whether an event signed with each configured secret is let in: this proves that the secrets can be read and are used.

Whether they are the platform's own, only an event of the platform proves. When a previous secret was last used stands in the
gateway's metrics.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from app.doctor.finding import Finding, error, note, ok, warning
from app.doctor.place import Place
from app.http.errors import ApiError
from app.http.outbound import CallFailed, client_for, get
from app.platforms.inbound import PlatformEvents, RawRequest, SignatureRefused
from app.settings import SettingsError

CHECK: Final = "signatures"
METRIC: Final = "assistant_previous_secret_used_timestamp_seconds"
METRICS_SECONDS: Final = 2.0
DAY: Final = 86_400
NAMES: Final = {
    "slack": ("SLACK_SIGNING_SECRET", "HMAC-SHA256, v0"),
    "feishu": ("FEISHU_ENCRYPT_KEY", "SHA-256 and AES-256-CBC"),
    "generic": ("GENERIC_WEBHOOK_SECRET", "HMAC-SHA256, Standard Webhooks v1"),
}


async def look(place: Place) -> list[Finding]:
    settings: Any = place.settings
    found: list[Finding] = []
    previous: dict[str, int] = {}
    for platform in ("generic", "slack", "feishu"):
        try:
            made = _platform(platform, settings)
        except (SettingsError, ValueError) as mistake:
            found.append(unusable(platform, str(mistake)))
            continue
        if made is None:
            continue
        events, requests = made
        found += [judge(platform, events, number, request) for number, request in enumerate(requests)]
        previous |= {platform: len(requests) - 1} if len(requests) > 1 else {}
        if platform == "feishu" and settings.feishu_encrypt_key is None:
            found.append(UNSIGNED)
    if previous:
        exposed = await _metrics(settings.metrics_port)
        found += [judge_previous(platform, exposed, time.time()) for platform in previous]
    return found or [ok(CHECK, "No platform's webhooks are taken")]


UNSIGNED: Final = warning(
    CHECK,
    "Feishu's events are not signed: whoever has seen one can forge others",
    "FEISHU_ENCRYPT_KEY is not set, and the verification token stands in every body",
    'Generate an encrypt key in the console, "Events & Callbacks, Encryption strategy", and set FEISHU_ENCRYPT_KEY.',
)


def judge(platform: str, events: PlatformEvents, number: int, request: RawRequest) -> Finding:
    """``number``: of the secret in its set, 0 the current one."""
    setting, algorithm = NAMES[platform]
    which = "the current secret" if number == 0 else f"previous secret {number}"
    try:
        events.admit(request.headers)
        events.receive(request)
    except SignatureRefused as refused:
        return error(
            CHECK,
            f"An event signed with {which} of {setting} is refused",
            f"{refused.code}: {refused}",
            f"Correct {setting}: copy it again from the platform's console.",
        )
    except ApiError:
        pass  # let in, and then found to be no event
    return ok(CHECK, f"An event signed with {which} of {setting} is let in", algorithm)


def unusable(platform: str, mistake: str) -> Finding:
    setting = NAMES[platform][0]
    return error(
        CHECK, f"{setting} cannot be used", mistake, "Copy it again from the platform's console; the gateway does not start."
    )


def judge_previous(platform: str, exposed: str | None, now: float) -> Finding:
    """``exposed``: the gateway's metrics, None where they are not served."""
    setting = NAMES[platform][0]
    held = f"{setting} holds a previous secret beside the current one"
    if exposed is None:
        return note(
            CHECK, held, "METRICS_PORT is not set: when it was last used is not told", "Drop it once the platform signs anew."
        )
    match = re.search(rf'^{METRIC}\{{platform="{platform}"\}} ([0-9.eE+]+)$', exposed, re.MULTILINE)
    used = float(match[1]) if match else 0.0
    if not used:
        return note(CHECK, f"{held}, which nobody has used since the start", METRIC, "Drop it once a day has gone by without.")
    when = datetime.fromtimestamp(used, UTC).isoformat(timespec="seconds")
    if now - used < DAY:
        return note(
            CHECK, f"{held}, and it is still in use", f"last at {when}", "Change the other side over before you drop it."
        )
    return note(
        CHECK, f"{held}, which is no longer in use", f"last at {when}", f"Drop it: leave the first word of {setting} alone."
    )


def _platform(name: str, settings: Any) -> tuple[PlatformEvents, list[RawRequest]] | None:
    """The half that verifies, and a challenge signed with each secret. None: not set up. Raises as it does."""
    now = int(time.time())
    body = json.dumps({"type": "url_verification", "challenge": "doctor"}).encode()
    if name == "generic" and settings.generic_webhook_secret is not None:
        from app.platforms.generic import GenericEvents
        from app.platforms.standard_webhooks import parse_secrets, sign

        keys = parse_secrets(settings.generic_webhook_secret.get_secret_value())
        return GenericEvents(keys), [_request(body, sign([key], "doctor", now, body).items()) for key in keys]
    if name == "slack" and settings.slack_signing_secret is not None:
        from app.platforms.secret_set import parse_set
        from app.platforms.slack import signature
        from app.platforms.slack.events import SlackEvents

        events = SlackEvents.from_settings(settings)
        secrets = parse_set(settings.slack_signing_secret.get_secret_value(), signature.parse_secret)
        stamp = (signature.TIMESTAMP_HEADER, str(now))
        return events, [
            _request(body, [stamp, (signature.SIGNATURE_HEADER, signature.sign(secret, now, body))]) for secret in secrets.all
        ]
    if name == "feishu" and (settings.feishu_verification_token is not None or settings.feishu_encrypt_key is not None):
        return _feishu(settings, now)
    return None


def _feishu(settings: Any, now: int) -> tuple[PlatformEvents, list[RawRequest]]:
    from app.platforms.feishu import signature
    from app.platforms.feishu.events import FeishuEvents

    events = FeishuEvents.from_settings(settings)
    token = settings.feishu_verification_token.get_secret_value().split()[0]
    body = json.dumps({"type": "url_verification", "challenge": "doctor", "token": token}).encode()
    if settings.feishu_encrypt_key is None:
        return events, [_request(body, ())]
    requests = []
    for key in settings.feishu_encrypt_key.get_secret_value().split():
        sealed = json.dumps({"encrypt": encrypt(key, body)}).encode()
        headers = [
            (signature.TIMESTAMP_HEADER, str(now)),
            (signature.NONCE_HEADER, "doctor"),
            (signature.SIGNATURE_HEADER, signature.sign(key, str(now), "doctor", sealed)),
        ]
        requests.append(_request(sealed, headers))
    return events, requests


def encrypt(key: str, body: bytes) -> str:
    """As Feishu does: :mod:`app.platforms.feishu.encryption`."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.padding import PKCS7

    padder, start = PKCS7(128).padder(), os.urandom(16)
    encryptor = Cipher(AES256(hashlib.sha256(key.encode()).digest()), CBC(start)).encryptor()
    padded = padder.update(body) + padder.finalize()
    return base64.b64encode(start + encryptor.update(padded) + encryptor.finalize()).decode("ascii")


def _request(body: bytes, headers: Iterable[tuple[str, str]]) -> RawRequest:
    return RawRequest(headers=[(name.encode(), value.encode()) for name, value in headers], query=b"", body=body)


async def _metrics(port: int | None) -> str | None:
    if port is None:
        return None
    url = f"http://127.0.0.1:{port}/metrics"
    async with client_for(url) as client:
        try:
            return (await get(client, url, {}, METRICS_SECONDS)).body.decode("utf-8", "replace")
        except CallFailed:
            return None
