"""The generic platform: any service that signs its events as Standard Webhooks and takes HTTP calls back.

Inbound, :class:`GenericEvents` (the gateway's half) verifies and parses ``POST /events``. The event's identity is the signed
``webhook-id``, which the standard makes the idempotency key: it is the same on every retry, whatever else is sent anew.
The body's ``id`` is the platform's name for the same event and comes back in the answer, so that it knows what is answered.

Outbound, :class:`GenericPlatform` (the worker's half) implements :class:`app.platforms.platform.Platform`. Both calls carry the
idempotency key, which this platform honours: so every failure whose outcome is not known may simply be repeated.

=================================  =====================================================================================
``POST {url}/messages``            signed as Standard Webhooks, ``webhook-id`` = key; ``{"event", "conversation", "text"}``
``POST {url}/calendar/events``     ``Authorization: Bearer``, ``Idempotency-Key``; ``{"summary", "start", "attendees"}`` -> 201
``POST {url}/oauth/token``         OAuth2 client credentials, HTTP Basic
=================================  =====================================================================================
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Annotated, Any

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from app.auth.token_manager import AccessTokenRefused, AccessTokenUnavailable, TokenManager
from app.http.body import parse_json, validate
from app.http.outbound import Answer, CallFailed, client_for, post
from app.pipeline.event import Event
from app.pipeline.responses import Response
from app.platforms.inbound import Ignored, RawRequest, Received
from app.platforms.platform import CalendarEntry, CalendarEvent, GivenUp, Pace, Retryable
from app.platforms.standard_webhooks import claim, parse_secrets, sign, verify
from app.settings import SettingsError, WorkerSettings

NAME = "generic"
MAX_TEXT_CHARACTERS = 32_768
CALL_SECONDS = 10.0
# Not now: the other side says so, and the event is not the cause.
BUSY = frozenset((425, 429, 502, 503))
# A timed-out request, and a key whose first request is still at work (IETF draft on Idempotency-Key, §2.6).
REPEATABLE = frozenset((408, 409))

# What is shown and logged holds no control characters, so that it can forge no line and no terminal code.
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")]


class GenericMessage(BaseModel):
    """The body of ``POST /events``. Fields that are not known here are ignored: a platform may add some any day."""

    model_config = ConfigDict(
        strict=True,
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
                    "type": "message",
                    "conversation": "conversation-1",
                    "sender": "ada",
                    "text": "创建一个周会的日程在2026-12-01",
                }
            ]
        },
    )

    id: Name | None = Field(None, description="The platform's name for the event; given back in the answer.")
    type: Annotated[str, Field(max_length=64)] = Field(description='"message"; other types are acknowledged and ignored.')
    # No colon: it separates the parts of an event's key.
    tenant: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")] = Field(
        "default", description="Whose event it is, where a platform serves several: letters, digits, `_`, `.` and `-`."
    )
    conversation: Name = Field(description="Events of one conversation are answered in the order of their arrival.")
    sender: Name = Field(description="Who wrote it; invited to what is put into the calendar.")
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, pattern=r"\S")]


class GenericEvents:
    """The gateway's half: proves where an event comes from, and reads it."""

    name = NAME

    def __init__(
        self,
        webhook_keys: Sequence[bytes],
        now: Callable[[], float] = time.time,
        previous_used: Callable[[], None] = lambda: None,
    ) -> None:
        self._keys = tuple(webhook_keys)
        self._now, self._previous_used = now, previous_used

    def admit(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Raises :class:`app.platforms.inbound.SignatureRefused`: no signature, or a stale one."""
        claim(headers, self._now())

    def receive(self, request: RawRequest) -> Received:
        """Raises :class:`app.platforms.inbound.SignatureRefused` (401), :class:`app.http.errors.ApiError` (400)."""
        now = self._now()
        verified = verify(self._keys, request.headers, request.body, now)
        if verified.previous:
            self._previous_used()
        message_id = verified.id
        value = parse_json(request.body)
        if isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"] != "message":
            return Ignored(f"{NAME}:default:{message_id}")
        message = validate(GenericMessage, value)
        return Event(
            id=message_id,
            platform=NAME,
            tenant=message.tenant,
            conversation=message.conversation,
            sender=message.sender,
            text=message.text,
            received_at=datetime.fromtimestamp(now, UTC),
            reply_to=MappingProxyType({"event": message.id or message_id}),
        )


class GenericPlatform:
    """The worker's half. Close it with :meth:`aclose`."""

    name = NAME
    idempotent = True

    def __init__(
        self,
        url: str,
        *,
        tokens: TokenManager,
        webhook_keys: Sequence[bytes],
        client: httpx2.AsyncClient,
        call_seconds: float = CALL_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = url.rstrip("/")
        self._tokens, self._client = tokens, client
        self._keys = tuple(webhook_keys)
        self._call_seconds = call_seconds
        self._now = now

    @classmethod
    def from_settings(cls, settings: WorkerSettings) -> GenericPlatform:
        """Raises :class:`app.settings.SettingsError` or :class:`app.platforms.standard_webhooks.SecretError`."""
        secret, webhook_secret = settings.generic_client_secret, settings.generic_webhook_secret
        if settings.generic_url is None or secret is None or webhook_secret is None:
            raise SettingsError("GENERIC_URL, GENERIC_CLIENT_SECRET and GENERIC_WEBHOOK_SECRET are required together")
        client = client_for(settings.generic_url)
        tokens = TokenManager(
            settings.generic_client_id,
            secret.get_secret_value(),
            token_url=settings.generic_url.rstrip("/") + "/oauth/token",
            client=client,
        )
        keys = parse_secrets(webhook_secret.get_secret_value())
        return cls(settings.generic_url, tokens=tokens, webhook_keys=keys, client=client)

    def render(self, response: Response) -> tuple[str, ...]:
        """One message: a platform of this kind names no limit. Files go along in it."""
        files = [{"name": file.name, "type": file.media_type, "content": file.content} for file in response.attachments]
        return (_json({"text": response.text, **({"attachments": files} if files else {})}).decode(),)

    def pace(self, event: Event) -> Pace | None:
        return None

    async def send(self, event: Event, part: str, key: str) -> str:
        body = _json({**_addressed(event), **json.loads(part)})
        # Signed anew on every attempt: the time stamp is the attempt's, the id the event's.
        headers = sign(self._keys, key, int(self._now()), body)
        answer = await self._post("/messages", body, headers)
        if not 200 <= answer.status < 300:
            raise refusal(answer, "the message")
        return key

    async def update(self, event: Event, sent: str, part: str, key: str) -> None:
        """A message that names the one which it replaces, by the ``webhook-id`` of that."""
        body = _json({**_addressed(event), "replaces": sent, **json.loads(part)})
        answer = await self._post("/messages", body, sign(self._keys, key, int(self._now()), body))
        if not 200 <= answer.status < 300:
            raise refusal(answer, "the message")

    async def create_calendar_event(self, event: Event, entry: CalendarEntry, key: str) -> CalendarEvent:
        body = _json({"summary": entry.summary, "start": start_text(entry.start), "attendees": list(entry.attendees)})
        answer = await self._post_authorised("/calendar/events", body, {"Idempotency-Key": key})
        if not 200 <= answer.status < 300:
            raise refusal(answer, "the calendar entry")
        return created(answer)

    async def aclose(self) -> None:
        await self._tokens.aclose()
        await self._client.aclose()

    async def _post_authorised(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """With an access token; a token that the platform does not accept is renewed and the call repeated, once."""
        token = await self._token()
        answer = await self._post(path, body, {**headers, "Authorization": f"Bearer {token}"})
        if answer.status != 401:
            return answer
        self._tokens.invalidate(token)
        answer = await self._post(path, body, {**headers, "Authorization": f"Bearer {await self._token()}"})
        if answer.status == 401:
            # As with a refused client: somebody has to mend it, and it is not this event's fault.
            raise Retryable("the platform answered 401 to a token that it has just issued")
        return answer

    async def _token(self) -> str:
        try:
            return await self._tokens.get_access_token()
        except AccessTokenUnavailable as error:
            raise Retryable(str(error), error.retry_after, counted=False) from None
        except AccessTokenRefused as error:
            # Not the event's fault, but somebody has to mend it: after the usual attempts it is a dead letter, to be replayed.
            raise Retryable(str(error)) from None

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            return await post(
                self._client, self._url + path, body, {"Content-Type": "application/json", **headers}, self._call_seconds
            )
        except CallFailed as error:
            raise Retryable(f"the platform did not take the call: {error}", counted=error.sent) from None


def _addressed(event: Event) -> dict[str, str]:
    return {"event": event.reply_to.get("event", event.id), "conversation": event.conversation}


def refusal(answer: Answer, what: str) -> Retryable | GivenUp:
    """What a status that is no success means for the event."""
    message = f"the platform answered {answer.status} to {what}"
    if answer.status in BUSY:
        return Retryable(message, answer.retry_after, counted=False)
    if answer.status in REPEATABLE or answer.status >= 500:
        return Retryable(message, answer.retry_after)
    if 300 <= answer.status < 400:
        return GivenUp(f"{message}: redirects are not followed, correct GENERIC_URL")
    return GivenUp(message)


def created(answer: Answer) -> CalendarEvent:
    """Raises :class:`Retryable` when the answer names no entry: asked again with the same key, the platform may do better."""
    try:
        values: Any = json.loads(answer.body.decode("utf-8"))
    except (ValueError, RecursionError):
        values = None
    number = values.get("id") if isinstance(values, dict) else None
    if not isinstance(number, str) or not 0 < len(number) <= 256 or not number.isprintable():
        raise Retryable(f"the platform answered {answer.status} to the calendar entry without an id")
    url = values.get("url", "")
    # It is shown to people as a link: nothing but a web address.
    usable = isinstance(url, str) and url.startswith(("https://", "http://")) and url.isprintable() and len(url) <= 2048
    return CalendarEvent(id=number, url=url if usable else "")


def start_text(start: date | datetime) -> str:
    """``YYYY-MM-DD`` for a whole day, RFC 3339 in UTC for a moment."""
    if isinstance(start, datetime):
        return start.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return start.isoformat()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
