"""The gateway's half of Feishu: proves where a request comes from, decrypts it, answers the challenge, reads the event.

=====================  =================================  ==============================================================
what comes             with an encrypt key                without one
=====================  =================================  ==============================================================
an event               signed with the key, then read     the verification token in ``header.token``: weaker, see below
a challenge            not signed: the verification       the verification token
                       token, within ``encrypt``
=====================  =================================  ==============================================================

A token is sent along in every body, so whoever has seen one event can forge others, and nothing protects its time stamp:
configure an encrypt key.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.http.body import parse_json
from app.http.errors import ApiError
from app.platforms.feishu.encryption import DecryptionFailed, decrypt
from app.platforms.feishu.payload import NAME, parse_payload
from app.platforms.feishu.signature import claim, signing_key
from app.platforms.inbound import Challenge, RawRequest, Received, SignatureRefused
from app.platforms.secret_set import SecretSet, parse_set
from app.settings import FeishuSettings, SettingsError
from app.telemetry.logs import get_logger

MAX_CHALLENGE_CHARACTERS = 1024
MAX_CHALLENGE_BYTES = 16 * 1024  # nothing longer is read of what nobody signed


class FeishuEvents:
    """``keys``: encrypt keys, None where the console has none. ``tokens``: verification tokens."""

    name = NAME

    def __init__(
        self,
        keys: SecretSet[str] | None,
        tokens: SecretSet[str],
        *,
        bot_open_id: str | None = None,
        now: Callable[[], float] = time.time,
        previous_used: Callable[[], None] = lambda: None,
    ) -> None:
        self._keys, self._tokens = keys, tokens
        self._bot_open_id = bot_open_id
        self._now, self._previous_used = now, previous_used

    @classmethod
    def from_settings(cls, settings: FeishuSettings, previous_used: Callable[[], None] = lambda: None) -> FeishuEvents:
        """Raises :class:`app.settings.SettingsError`."""
        key, token = settings.feishu_encrypt_key, settings.feishu_verification_token
        if token is None:
            raise SettingsError("FEISHU_VERIFICATION_TOKEN is required: it stands beside the encrypt key in the console")
        if key is None:
            get_logger().warning(
                "feishu_unsigned", hint="events are proved by the verification token alone: set FEISHU_ENCRYPT_KEY"
            )
        return cls(
            parse_set(key.get_secret_value(), str) if key is not None else None,
            parse_set(token.get_secret_value(), str),
            bot_open_id=settings.feishu_bot_open_id,
            previous_used=previous_used,
        )

    def admit(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Raises :class:`app.platforms.inbound.SignatureRefused`. Without a signature it may still be a challenge."""
        claim(headers, self._now())

    def receive(self, request: RawRequest) -> Received:
        """Raises :class:`app.platforms.inbound.SignatureRefused` (401), :class:`app.http.errors.ApiError` (400)."""
        now = self._now()
        if self._keys is None:
            return self._by_token(request.body, now)
        claimed = claim(request.headers, now)
        if claimed is None:
            return self._unsigned_challenge(self._keys, request.body)
        key = signing_key(self._keys, claimed, request.body)
        payload = _opened(key, parse_json(request.body))
        if key != self._keys.current:
            self._previous_used()
        return self._challenge(payload) or parse_payload(payload, now, self._bot_open_id)

    def _by_token(self, body: bytes, now: float) -> Received:
        """Parsed before it is proved, as the proof stands within: what cannot be read proves nothing."""
        try:
            payload = parse_json(body)
        except ApiError:
            raise _unproved() from None
        if not isinstance(payload, dict):
            raise _unproved()
        if "encrypt" in payload:
            raise SignatureRefused("missing_key", "the body is encrypted: set FEISHU_ENCRYPT_KEY to the console's encrypt key")
        if challenge := self._challenge(payload):
            return challenge
        header = payload.get("header")
        self._require_token(header.get("token") if isinstance(header, dict) else payload.get("token"))
        return parse_payload(payload, now, self._bot_open_id)

    def _unsigned_challenge(self, keys: SecretSet[str], body: bytes) -> Challenge:
        """Nothing but a challenge comes without a signature. Whatever else is wrong with it, the answer is the same."""
        for key in keys.all if len(body) <= MAX_CHALLENGE_BYTES else ():
            try:
                challenge = self._challenge(_opened(key, parse_json(body)))
            except (ApiError, SignatureRefused):
                continue
            if challenge:
                if key != keys.current:
                    self._previous_used()
                return challenge
        raise SignatureRefused(
            "missing_signature",
            "the request is not signed, and no challenge with this application's verification token: "
            "compare FEISHU_VERIFICATION_TOKEN and FEISHU_ENCRYPT_KEY with the console",
        )

    def _challenge(self, payload: Mapping[str, Any]) -> Challenge | None:
        """Raises :class:`SignatureRefused` for one without our token."""
        if payload.get("type") != "url_verification":
            return None
        self._require_token(payload.get("token"))
        challenge = payload.get("challenge")
        if not isinstance(challenge, str) or not 0 < len(challenge) <= MAX_CHALLENGE_CHARACTERS:
            raise ApiError(400, "invalid_value", "challenge is not a short text", param="challenge")
        return Challenge({"challenge": challenge})

    def _require_token(self, token: object) -> None:
        given = token.encode("utf-8", "surrogatepass") if isinstance(token, str) else b""
        matches = [hmac.compare_digest(known.encode(), given) for known in self._tokens.all]
        if not any(matches):
            raise _unproved()
        if not matches[0]:
            self._previous_used()


def _opened(key: str, body: object) -> Mapping[str, Any]:
    """What was encrypted with ``key``, or the body itself where it is not encrypted. Raises :class:`ApiError` 400."""
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_type", "the body is not a JSON object")
    encrypted = body.get("encrypt")
    if not isinstance(encrypted, str):
        return body
    try:
        opened = parse_json(decrypt(key, encrypted))
    except DecryptionFailed as error:
        raise ApiError(400, "invalid_value", f"encrypt: {error}", param="encrypt") from None
    if not isinstance(opened, dict):
        raise ApiError(400, "invalid_type", "encrypt: the decrypted body is not a JSON object", param="encrypt")
    return opened


def _unproved() -> SignatureRefused:
    return SignatureRefused(
        "invalid_signature", "no verification token of this application: compare FEISHU_VERIFICATION_TOKEN with the console"
    )
