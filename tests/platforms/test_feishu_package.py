"""The emulated Feishu, driven by the vendor's own package: so that the application and the emulator share no misreading.

What the package verifies, decrypts, sends and understands is what Feishu does.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import lark_oapi as lark
import pytest
from feishu.calendars import PRIMARY
from feishu.emulator import BOT_OPEN_ID, SCOPES, Emulator
from feishu.wire import enclosed, mention, signed
from lark_oapi.api.application.v6 import ListScopeRequest
from lark_oapi.api.calendar.v4 import (
    CalendarEvent,
    CalendarEventAttendee,
    CreateCalendarEventAttendeeRequest,
    CreateCalendarEventAttendeeRequestBody,
    CreateCalendarEventRequest,
    DeleteCalendarEventRequest,
    PrimaryCalendarRequest,
    TimeInfo,
)
from lark_oapi.api.im.v1 import (
    CreateFileRequest,
    CreateFileRequestBody,
    PatchMessageRequest,
    PatchMessageRequestBody,
    ReplyMessageRequest,
    ReplyMessageRequestBody,
    UpdateMessageRequest,
    UpdateMessageRequestBody,
)
from lark_oapi.core.model import RawRequest

from app.pipeline.document import parse
from app.pipeline.event import Event
from app.platforms.feishu.messages import message as rendered
from app.platforms.feishu.payload import parse_payload

SECRET = "app-secret"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(app_secret=SECRET) as running:
        yield running


@pytest.fixture
def client(emulator: Emulator) -> lark.Client:
    return client_of(emulator)


def client_of(emulator: Emulator, secret: str = SECRET, app_id: str = "") -> lark.Client:
    # The package keeps tokens by application for the whole process: each emulator's is another one's.
    emulator.app_id = app_id or f"cli_{id(emulator)}"
    return lark.Client.builder().app_id(emulator.app_id).app_secret(secret).domain(emulator.url).build()


def reply(to: str, text: str, key: str) -> ReplyMessageRequest:
    made = json.loads(rendered(parse(text)))
    body = ReplyMessageRequestBody.builder().msg_type(made["msg_type"]).content(made["content"]).uuid(key).build()
    return ReplyMessageRequest.builder().message_id(to).request_body(body).build()


def handler(emulator: Emulator, seen: list[Any], key: str | None = None) -> Any:
    build = lark.EventDispatcherHandler.builder(key or emulator.encrypt_key or "", emulator.verification_token)
    return build.register_p2_im_message_receive_v1(seen.append).build()


def delivered(handler: Any, body: bytes, headers: dict[str, str]) -> Any:
    request = RawRequest()
    request.uri, request.body, request.headers = "/events/feishu", body, headers
    return handler.do(request)


def test_the_package_verifies_and_decrypts_what_the_emulator_delivers(emulator: Emulator) -> None:
    seen: list[Any] = []
    event = emulator.event("@_user_1 嗨", chat_type="group", mentions=[mention("@_user_1", BOT_OPEN_ID, "Bot", "bot")])
    body = enclosed(event, emulator.encrypt_key)
    response = delivered(handler(emulator, seen), body, signed(emulator.encrypt_key or "", body))
    assert response.status_code == 200
    (received,) = seen
    ours = parse_payload(event, 0.0)
    assert isinstance(ours, Event)
    message = received.event.message
    assert (message.message_id, message.chat_id, received.header.tenant_key) == (ours.id, ours.reply_to["chat_id"], ours.tenant)
    assert received.event.sender.sender_id.open_id == ours.sender
    assert (message.mentions[0].key, message.mentions[0].mentioned_type) == ("@_user_1", "bot")
    assert ours.text == "嗨"


def test_the_package_refuses_what_the_emulator_signs_with_another_key(emulator: Emulator) -> None:
    seen: list[Any] = []
    body = enclosed(emulator.event("hi"), emulator.encrypt_key)
    assert delivered(handler(emulator, seen), body, signed("another", body)).status_code == 500
    assert seen == []


def test_the_package_answers_the_emulators_challenge(emulator: Emulator) -> None:
    payload = {"type": "url_verification", "challenge": "c-1", "token": emulator.verification_token}
    response = delivered(handler(emulator, []), enclosed(payload, emulator.encrypt_key), {})
    assert json.loads(response.content) == {"challenge": "c-1"}


def test_the_package_replies_with_what_the_application_renders(emulator: Emulator, client: lark.Client) -> None:
    question = emulator.event("hi")["event"]["message"]["message_id"]
    for number, text in enumerate(("plain", "**bold** `code`")):
        for _ in range(2):
            answer = client.im.v1.message.reply(reply(question, text, f"key-{number}"))
            assert answer.success(), answer.msg
    assert [message["msg_type"] for message in emulator.messages.sent] == ["text", "interactive"]
    assert len(emulator.messages.repeated) == 2
    assert emulator.tokens_issued == 1


def test_the_package_changes_a_card_and_a_text(emulator: Emulator, client: lark.Client) -> None:
    question = emulator.event("hi")["event"]["message"]["message_id"]
    text = client.im.v1.message.reply(reply(question, "a", "key-1")).data.message_id
    card = client.im.v1.message.reply(reply(question, "**a**", "key-2")).data.message_id
    content = json.loads(rendered(parse("**b**")))["content"]
    patched = PatchMessageRequestBody.builder().content(content).build()
    assert client.im.v1.message.patch(PatchMessageRequest.builder().message_id(card).request_body(patched).build()).success()
    edited = UpdateMessageRequestBody.builder().msg_type("text").content(json.dumps({"text": "b"})).build()
    assert client.im.v1.message.update(UpdateMessageRequest.builder().message_id(text).request_body(edited).build()).success()
    assert [message["text"] for message in emulator.messages.sent] == ["b", "**b**"]


def test_the_package_uploads_a_file(emulator: Emulator, client: lark.Client) -> None:
    body = CreateFileRequestBody.builder().file_type("stream").file_name("a.ics").file(io.BytesIO(b"BEGIN")).build()
    answer = client.im.v1.file.create(CreateFileRequest.builder().request_body(body).build())
    assert answer.success(), answer.msg
    assert emulator.messages.files[answer.data.file_key] == {"name": "a.ics", "content": b"BEGIN"}


def test_the_package_reads_the_emulators_refusals(emulator: Emulator, client: lark.Client) -> None:
    question = emulator.event("hi")["event"]["message"]["message_id"]
    emulator.messages.left.add("oc_1")
    assert client.im.v1.message.reply(reply(question, "x", "key-1")).code == 230002
    emulator.fail("/reply$", 99991672, msg="scopes")
    assert client.im.v1.message.reply(reply(question, "x", "key-1")).code == 99991672


def test_the_package_cannot_sign_in_with_a_wrong_secret(emulator: Emulator) -> None:
    client = client_of(emulator, "wrong", f"cli_wrong{id(emulator)}")
    with pytest.raises(Exception, match="10014"):
        client.application.v6.scope.list(ListScopeRequest.builder().build())


def test_the_package_lists_the_permissions(emulator: Emulator, client: lark.Client) -> None:
    answer = client.application.v6.scope.list(ListScopeRequest.builder().build())
    assert [scope.scope_name for scope in answer.data.scopes] == list(SCOPES)


def test_the_package_creates_invites_and_deletes_in_the_calendar(emulator: Emulator, client: lark.Client) -> None:
    calendars = client.calendar.v4
    primary = calendars.calendar.primary(PrimaryCalendarRequest.builder().build())
    assert primary.data.calendars[0].calendar.calendar_id == PRIMARY
    day = TimeInfo.builder().date("2026-12-01").build()
    entry = CalendarEvent.builder().summary("周会").start_time(day).end_time(day).build()
    create = CreateCalendarEventRequest.builder().calendar_id(PRIMARY).idempotency_key("25fdf41b-8c80-2ce1-e94c-de8b5e7aa7e6")
    made = [calendars.calendar_event.create(create.request_body(entry).build()) for _ in range(2)]
    assert made[0].success() and made[0].data.event.event_id == made[1].data.event.event_id
    number = made[0].data.event.event_id
    people = [CalendarEventAttendee.builder().type("user").user_id("ou_ada").build()]
    body = CreateCalendarEventAttendeeRequestBody.builder().attendees(people).build()
    invite = CreateCalendarEventAttendeeRequest.builder().calendar_id(PRIMARY).event_id(number).user_id_type("open_id")
    assert calendars.calendar_event_attendee.create(invite.request_body(body).build()).success()
    assert emulator.calendars.entries[0]["attendees"] == ["ou_ada"]
    delete = DeleteCalendarEventRequest.builder().calendar_id(PRIMARY).event_id(number).build()
    assert calendars.calendar_event.delete(delete).success()
    assert emulator.calendars.entries == []
