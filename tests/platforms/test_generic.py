"""The generic platform's module against the emulated platform, on real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from generic.emulator import Emulator
from generic.sender import event_body, signed_headers

from app.http.errors import ApiError
from app.pipeline.event import Event
from app.pipeline.responses import Response
from app.platforms.generic import GenericEvents, GenericPlatform, start_text
from app.platforms.inbound import Ignored, RawRequest, SignatureRefused
from app.platforms.platform import CalendarEntry, GivenUp, Platform, Retryable
from app.platforms.standard_webhooks import parse_secrets
from app.settings import SettingsError, WorkerSettings

CLIENT_SECRET = "client-secret-canary"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
KEY = "k" * 37
ENTRY = CalendarEntry(summary="周会", start=date(2026, 12, 1), attendees=("ada",))
EVENT = Event(
    id="msg_1",
    platform="generic",
    tenant="default",
    conversation="conversation-1",
    sender="ada",
    text="hello",
    received_at=datetime.now(UTC),
    reply_to={"event": "their-name"},
)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(client_secret=CLIENT_SECRET, webhook_secret=WEBHOOK_SECRET) as running:
        yield running


def worker_settings(emulator: Emulator, **changes: Any) -> WorkerSettings:
    values = {
        "generic_url": emulator.url,
        "generic_client_secret": CLIENT_SECRET,
        "generic_webhook_secret": WEBHOOK_SECRET,
        "inference_api_key": "unused-key-0123456789",
    }
    return WorkerSettings.model_validate({**values, **changes})


@pytest.fixture
async def platform(emulator: Emulator) -> AsyncIterator[GenericPlatform]:
    made = GenericPlatform.from_settings(worker_settings(emulator))
    yield made
    await made.aclose()


async def test_it_is_a_platform(platform: GenericPlatform) -> None:
    as_platform: Platform = platform
    assert (as_platform.name, as_platform.idempotent) == ("generic", True)


async def test_an_answer_arrives_signed_and_names_its_event(emulator: Emulator, platform: GenericPlatform) -> None:
    await platform.send(EVENT, *platform.render(Response("巴黎 🗼\nsecond line")), KEY)
    assert emulator.messages == [
        {"id": KEY, "event": "their-name", "conversation": "conversation-1", "text": "巴黎 🗼\nsecond line"}
    ]


async def test_a_repeated_answer_has_one_effect(emulator: Emulator, platform: GenericPlatform) -> None:
    emulator.fail("/messages", "reset", after_effect=True)
    with pytest.raises(Retryable) as lost:
        await platform.send(EVENT, *platform.render(Response("once")), KEY)
    assert lost.value.counted
    await platform.send(EVENT, *platform.render(Response("once")), KEY)
    assert len(emulator.messages) == 1
    assert emulator.repeated == [{"path": "/messages", "key": KEY}]


async def test_an_answer_carries_no_access_token(emulator: Emulator, platform: GenericPlatform) -> None:
    await platform.send(EVENT, *platform.render(Response("hello")), KEY)
    assert emulator.tokens_issued == 0


async def test_a_calendar_entry_is_created_once(emulator: Emulator, platform: GenericPlatform) -> None:
    first = await platform.create_calendar_event(EVENT, ENTRY, KEY)
    again = await platform.create_calendar_event(EVENT, ENTRY, KEY)
    assert first == again
    assert first.id == "cal-1" and first.url.startswith(emulator.url)
    assert emulator.calendar == [{"summary": "周会", "start": "2026-12-01", "attendees": ["ada"]}]
    assert emulator.tokens_issued == 1


def test_moments_are_sent_in_utc() -> None:
    shanghai = timezone(timedelta(hours=8))
    assert start_text(datetime(2026, 12, 1, 2, 30, tzinfo=shanghai)) == "2026-11-30T18:30:00Z"
    assert start_text(date(2026, 12, 1)) == "2026-12-01"


async def test_an_expired_token_is_renewed_and_the_call_repeated_once(emulator: Emulator, platform: GenericPlatform) -> None:
    await platform.create_calendar_event(EVENT, ENTRY, "a" * 37)
    emulator.expire_tokens()
    await platform.create_calendar_event(EVENT, ENTRY, "b" * 37)
    assert len(emulator.calendar) == 2
    assert emulator.tokens_issued == 2


async def test_a_token_that_is_never_accepted_is_renewed_once_and_the_event_kept(
    emulator: Emulator, platform: GenericPlatform
) -> None:
    emulator.fail("/calendar/events", status=401, times=100)
    with pytest.raises(Retryable, match="401") as raised:
        await platform.create_calendar_event(EVENT, ENTRY, KEY)
    assert raised.value.counted  # nobody mends it: after the usual attempts it is a dead letter, to be replayed
    assert emulator.tokens_issued == 2


async def test_a_hundred_calls_with_an_expired_token_renew_it_once(emulator: Emulator, platform: GenericPlatform) -> None:
    await platform.create_calendar_event(EVENT, ENTRY, KEY)
    emulator.expire_tokens()
    await asyncio.gather(*(platform.create_calendar_event(EVENT, ENTRY, f"{n:037}") for n in range(100)))
    assert emulator.tokens_issued == 2
    assert len(emulator.calendar) == 101


@pytest.mark.parametrize(
    ("fault", "retry_after", "counted"),
    [
        ({"status": 429, "retry_after": "17"}, 17.0, False),
        ({"status": 503, "retry_after": "2"}, 2.0, False),
        ({"status": 503, "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, False),
        ({"status": 503, "retry_after": "99999999999"}, 3600.0, False),
        ({"status": 500}, None, True),
        ({"status": 408}, None, True),
        ({"status": 409}, None, True),
        ({"kind": "reset"}, None, True),
        ({"kind": "slow", "seconds": 0.8}, None, True),
    ],
)
async def test_what_may_pass_is_retried(
    emulator: Emulator, fault: dict[str, Any], retry_after: float | None, counted: bool
) -> None:
    platform = GenericPlatform.from_settings(worker_settings(emulator))
    platform._call_seconds = 0.5
    emulator.fail("/messages", **fault)
    with pytest.raises(Retryable) as refused:
        await platform.send(EVENT, *platform.render(Response("a text that stays out of errors")), KEY)
    assert (refused.value.retry_after, refused.value.counted) == (retry_after, counted)
    assert "text" not in str(refused.value)
    await platform.aclose()


@pytest.mark.parametrize("fault", [{"status": 400}, {"status": 403}, {"status": 404}, {"status": 413}, {"status": 422}])
async def test_what_is_refused_for_good_is_given_up_with_the_code(
    emulator: Emulator, platform: GenericPlatform, fault: dict[str, Any]
) -> None:
    emulator.fail("/messages", **fault)
    with pytest.raises(GivenUp, match=str(fault["status"])):
        await platform.send(EVENT, *platform.render(Response("x")), KEY)


async def test_redirects_are_not_followed(emulator: Emulator, platform: GenericPlatform) -> None:
    with Emulator(client_secret=CLIENT_SECRET, webhook_secret=WEBHOOK_SECRET) as elsewhere:
        emulator.fail("/messages", "redirect", location=elsewhere.url + "/messages")
        with pytest.raises(GivenUp, match="redirects are not followed"):
            await platform.send(EVENT, *platform.render(Response("x")), KEY)
        assert elsewhere.record()["messages"] == elsewhere.record()["refused"] == []


async def test_a_platform_that_is_away_costs_the_event_no_attempt(emulator: Emulator) -> None:
    platform = GenericPlatform.from_settings(worker_settings(emulator, generic_url="http://127.0.0.1:9"))
    for call in (platform.send(EVENT, *platform.render(Response("x")), KEY), platform.create_calendar_event(EVENT, ENTRY, KEY)):
        with pytest.raises(Retryable) as away:
            await call
        assert not away.value.counted
    await platform.aclose()


async def test_a_wrong_client_secret_names_the_cause_and_not_the_secret(emulator: Emulator) -> None:
    platform = GenericPlatform.from_settings(worker_settings(emulator, generic_client_secret="wrong-canary"))
    with pytest.raises(Retryable, match="invalid_client") as refused:
        await platform.create_calendar_event(EVENT, ENTRY, KEY)
    assert "canary" not in str(refused.value)
    await platform.aclose()


@pytest.mark.parametrize("body", ["not json", "[]", "{}", '{"id": 5}', '{"id": ""}', '{"id": "' + "x" * 100_000 + '"}'])
async def test_a_success_that_names_no_entry_is_asked_again(emulator: Emulator, platform: GenericPlatform, body: str) -> None:
    emulator.fail("/calendar/events", "garbage", body=body)
    with pytest.raises(Retryable):
        await platform.create_calendar_event(EVENT, ENTRY, KEY)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "https://a/\nb", 5, None])
async def test_a_link_that_is_no_web_address_is_dropped(emulator: Emulator, platform: GenericPlatform, url: object) -> None:
    emulator.fail("/calendar/events", "garbage", body=json.dumps({"id": "1", "url": url}))
    made = await platform.create_calendar_event(EVENT, ENTRY, KEY)
    assert (made.id, made.url) == ("1", "")


@pytest.mark.parametrize("missing", ["generic_url", "generic_client_secret", "generic_webhook_secret"])
def test_settings_are_required_together(emulator: Emulator, missing: str) -> None:
    with pytest.raises(SettingsError, match=missing.upper()):
        GenericPlatform.from_settings(worker_settings(emulator, **{missing: None}))


# --- inbound ------------------------------------------------------------------------------------------------------------------

EVENTS = GenericEvents(parse_secrets(WEBHOOK_SECRET))


def request(body: bytes, message_id: str = "msg_1", **headers: str) -> RawRequest:
    signed = {**signed_headers(WEBHOOK_SECRET, message_id, body), **headers}
    return RawRequest([(name.encode(), value.encode()) for name, value in signed.items()], b"", body)


def test_a_signed_message_becomes_an_event() -> None:
    body = event_body("创建一个周会的日程", event_id="their-1", conversation="c", sender="s", tenant="acme", new_field=[1])
    event = EVENTS.receive(request(body, "msg_9"))
    assert isinstance(event, Event)
    assert event.key == "generic:acme:msg_9"
    assert (event.conversation, event.sender, event.text) == ("c", "s", "创建一个周会的日程")
    assert event.reply_to == {"event": "their-1"}
    assert event.received_at.utcoffset() == timedelta(0)
    assert Event.from_json(event.to_json()) == event


def test_a_retry_under_the_same_webhook_id_is_the_same_event_whatever_its_body_says() -> None:
    first, second = (EVENTS.receive(request(event_body("hi", event_id=name), "msg_9")) for name in ("a", "b"))
    assert isinstance(first, Event) and isinstance(second, Event)
    assert first.key == second.key


def test_other_types_of_event_are_ignored_not_refused() -> None:
    assert EVENTS.receive(request(b'{"type": "reaction.added", "emoji": "x"}')) == Ignored("generic:default:msg_1")


def test_nothing_is_parsed_before_the_signature_is_verified() -> None:
    for body in (b"not json", b"\xff\xfe", b"[" * 100_000, b""):
        with pytest.raises(SignatureRefused):
            EVENTS.receive(request(body.decode("latin-1").encode(), **{"webhook-signature": "v1,AAAA"}))


def fields(**changes: object) -> bytes:
    event = {"id": "1", "type": "message", "conversation": "c", "sender": "s", "text": "t", **changes}
    return json.dumps({name: value for name, value in event.items() if value is not ...}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"[" * 100_000,
        b'{"type": "message", "type": "message"}',
        b'{"type": NaN}',
        b'{"type": 1e999}',
        fields(text=...),
        fields(text=""),
        fields(text=" \n"),
        fields(text=5),
        fields(text="a\x00"),
        fields(text="\ud800"),
        fields(text="x" * 32_769),
        fields(conversation=""),
        fields(conversation="a\nb"),
        fields(conversation="\x1b[31m"),
        fields(conversation="x" * 201),
        fields(sender=None),
        fields(id=5),
        fields(type=5),
        fields(type=...),
        fields(tenant="a:b"),
        fields(tenant=""),
    ],
)
def test_a_signed_but_malformed_event_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        EVENTS.receive(request(body))
    assert refused.value.status == 400
