"""What Feishu delivers: proved, decrypted, read. The other side's bytes are made by the emulator's own code."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from feishu.wire import enclosed, encrypt, mention, message_event, signed
from structlog.testing import capture_logs

from app.http.errors import ApiError
from app.pipeline.event import Event
from app.platforms.feishu.events import FeishuEvents
from app.platforms.feishu.payload import parse_payload
from app.platforms.feishu.signature import TOLERANCE_SECONDS
from app.platforms.inbound import Challenge, Ignored, PlatformEvents, RawRequest, Received, SignatureRefused
from app.platforms.secret_set import SecretSet
from app.settings import FeishuSettings, SettingsError

KEY, OLD_KEY, TOKEN, OLD_TOKEN = "the-encrypt-key", "the-old-key", "the-token", "the-old-token"
BOT = "ou_bot"


class Gateway:
    def __init__(self, *, key: bool = True, bot_open_id: str | None = None) -> None:
        self.previous = 0
        keys = SecretSet(KEY, (OLD_KEY,)) if key else None
        self.events: PlatformEvents = FeishuEvents(
            keys, SecretSet(TOKEN, (OLD_TOKEN,)), bot_open_id=bot_open_id, previous_used=self._used
        )

    def _used(self) -> None:
        self.previous += 1

    def take(self, body: bytes, headers: dict[str, str] | None = None) -> Received:
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        self.events.admit(raw)
        return self.events.receive(RawRequest(raw, b"", body))

    def signed(self, payload: dict[str, Any], key: str = KEY) -> Received:
        body = enclosed(payload, key)
        return self.take(body, signed(key, body))

    def refusal(self, body: bytes, headers: dict[str, str] | None = None) -> SignatureRefused:
        with pytest.raises(SignatureRefused) as refused:
            self.take(body, headers)
        return refused.value


def parse(payload: dict[str, Any], bot_open_id: str | None = None) -> Event:
    event = parse_payload(payload, time.time(), bot_open_id)
    assert isinstance(event, Event)
    return event


def in_group(text: str, *mentions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return message_event(text, chat="oc_g", chat_type="group", mentions=list(mentions), **more)


# --- proof ------------------------------------------------------------------------------------------------------------------


def test_a_signed_encrypted_message_becomes_an_event() -> None:
    payload = message_event("今天天气如何？ 🗼", message_id="om_1")
    event = Gateway().signed(payload)
    assert isinstance(event, Event)
    assert (event.key, event.sender, event.text) == ("feishu:tenant1:om_1", "ou_ada", "今天天气如何？ 🗼")
    assert event.conversation == "oc_1"
    assert dict(event.reply_to) == {"message_id": "om_1", "chat_id": "oc_1", "chat_type": "p2p", "thread": ""}


def test_a_signed_message_may_be_plain() -> None:
    body = json.dumps(message_event("hi")).encode()
    assert isinstance(Gateway().take(body, signed(KEY, body)), Event)


@pytest.mark.parametrize("position", [0, 11, 40, -2])
def test_a_change_of_any_byte_is_refused(position: int) -> None:
    body = enclosed(message_event("hi"), KEY)
    changed = bytearray(body)
    changed[position] ^= 1
    assert Gateway().refusal(bytes(changed), signed(KEY, body)).code == "invalid_signature"


@pytest.mark.parametrize("name", ["X-Lark-Request-Timestamp", "X-Lark-Request-Nonce"])
def test_what_is_signed_beside_the_body_cannot_be_changed(name: str) -> None:
    body = enclosed(message_event("hi"), KEY)
    headers = signed(KEY, body)
    assert Gateway().refusal(body, {**headers, name: str(int(headers[name]) + 1)}).code == "invalid_signature"


@pytest.mark.parametrize("offset", [-TOLERANCE_SECONDS - 2, TOLERANCE_SECONDS + 2, 10**8])
def test_a_time_stamp_outside_the_tolerance_is_refused_before_the_body_is_read(offset: int) -> None:
    headers = signed(KEY, b"", time.time() + offset)
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    with pytest.raises(SignatureRefused) as refused:
        Gateway().events.admit(raw)
    assert refused.value.code == "stale_timestamp"


@pytest.mark.parametrize(
    "changes",
    [
        {"X-Lark-Request-Timestamp": "Monday, 14-Nov-22 15:53:37 CST"},
        {"X-Lark-Request-Timestamp": ""},
        {"X-Lark-Request-Timestamp": "1" * 13},
        {"X-Lark-Request-Nonce": ""},
        {"X-Lark-Request-Nonce": "a b"},
        {"X-Lark-Signature": "ABC"},
        {"X-Lark-Signature": "é" * 64},
    ],
)
def test_a_malformed_signature_is_refused(changes: dict[str, str]) -> None:
    body = enclosed(message_event("hi"), KEY)
    assert Gateway().refusal(body, {**signed(KEY, body), **changes}).code == "malformed_signature"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"encrypt": 5}', b'{"encrypt": "!"}', b"{" * 50_000, b"null"])
@pytest.mark.parametrize("key", [True, False])
def test_what_is_not_proved_is_refused_however_malformed(body: bytes, key: bool) -> None:
    assert Gateway(key=key).refusal(body).code in ("missing_signature", "invalid_signature", "missing_key")


def test_an_event_without_a_signature_is_refused_though_its_token_is_right() -> None:
    body = enclosed(message_event("hi", token=TOKEN), KEY)
    assert Gateway().refusal(body).code == "missing_signature"


def test_without_an_encrypt_key_the_token_proves_an_event() -> None:
    gateway = Gateway(key=False)
    assert isinstance(gateway.take(json.dumps(message_event("hi", token=TOKEN)).encode()), Event)
    assert gateway.refusal(json.dumps(message_event("hi", token="other")).encode()).code == "invalid_signature"
    assert gateway.refusal(json.dumps(message_event("hi")).encode()).code == "invalid_signature"


def test_an_encrypted_body_without_a_key_to_it_names_the_setting() -> None:
    assert "FEISHU_ENCRYPT_KEY" in str(Gateway(key=False).refusal(enclosed(message_event("hi"), KEY)))


def test_the_previous_secrets_are_taken_and_their_use_is_told() -> None:
    gateway = Gateway()
    assert isinstance(gateway.signed(message_event("hi")), Event)
    assert gateway.previous == 0
    assert isinstance(gateway.signed(message_event("hi"), OLD_KEY), Event)
    assert gateway.previous == 1
    weak = Gateway(key=False)
    assert isinstance(weak.take(json.dumps(message_event("hi", token=OLD_TOKEN)).encode()), Event)
    assert weak.previous == 1


# --- challenge --------------------------------------------------------------------------------------------------------------


def challenge(token: str = TOKEN, text: Any = "c-1") -> dict[str, Any]:
    return {"type": "url_verification", "challenge": text, "token": token}


def test_a_challenge_is_answered_unsigned_and_encrypted() -> None:
    gateway = Gateway()
    answer = gateway.take(enclosed(challenge(), KEY))
    assert isinstance(answer, Challenge) and dict(answer.body) == {"challenge": "c-1"}
    assert isinstance(gateway.take(enclosed(challenge(), OLD_KEY)), Challenge)
    assert gateway.previous == 1


def test_a_challenge_is_answered_plain_where_the_console_has_no_key() -> None:
    assert isinstance(Gateway(key=False).take(json.dumps(challenge()).encode()), Challenge)


def test_a_signed_challenge_needs_the_token_too() -> None:
    assert isinstance(Gateway().signed(challenge()), Challenge)
    with pytest.raises(SignatureRefused):
        Gateway().signed(challenge("other"))


def test_every_challenge_that_is_not_ours_is_refused_in_the_same_words() -> None:
    damaged = bytearray(enclosed(challenge(), KEY))
    damaged[-10] = ord("A") if damaged[-10] != ord("A") else ord("B")
    bodies = [
        enclosed(challenge("other"), KEY),
        enclosed(challenge(), "another key"),
        bytes(damaged),
        json.dumps({"encrypt": encrypt(KEY, b"not json")}).encode(),
        enclosed(challenge(text=5), KEY),
        enclosed(challenge(text="x" * 2000), KEY),
        enclosed({**challenge(), "more": "x" * 20_000}, KEY),
    ]
    assert len({str(Gateway().refusal(body)) for body in bodies}) == 1


# --- what is read -----------------------------------------------------------------------------------------------------------


def test_a_group_message_that_mentions_the_bot_is_read_without_that_mention() -> None:
    payload = in_group("@_user_1 ask @_user_2 and @_user_10", mention("@_user_1", BOT, "Bot", "bot"),
                       mention("@_user_2", "ou_b", "Bob"), mention("@_user_10", "ou_j", "Jo"))  # fmt: skip
    for known in (BOT, None):
        assert parse(payload, known).text == "ask @Bob and @Jo"


def test_what_is_said_keeps_its_blanks() -> None:
    payload = in_group("@_user_1 fix\n    if a:  # x\n        b()", mention("@_user_1", BOT, "Bot", "bot"))
    assert parse(payload, BOT).text == "fix\n    if a:  # x\n        b()"


def test_a_group_message_to_somebody_else_is_ignored() -> None:
    for payload in (
        in_group("@_user_1 hi", mention("@_user_1", "ou_b", "Bob")),
        in_group("hi"),
        in_group("@_all hi"),
    ):
        assert isinstance(parse_payload(payload, time.time(), BOT), Ignored)
        assert isinstance(parse_payload(payload, time.time()), Ignored)


def test_another_bot_is_told_from_ours_by_its_open_id() -> None:
    payload = in_group("@_user_1 hi", mention("@_user_1", "ou_other", "Other", "bot"))
    assert isinstance(parse_payload(payload, time.time(), BOT), Ignored)


def test_where_the_platform_does_not_tell_bots_the_first_mention_is_ours() -> None:
    first, second = mention("@_user_1", BOT, "Bot"), mention("@_user_2", "ou_b", "Bob")
    for one in (first, second):
        del one["mentioned_type"]
    assert parse(in_group("@_user_1 ask @_user_2", first, second)).text == "ask @Bob"
    assert isinstance(parse_payload(in_group("ask @_user_2", second), time.time()), Ignored)


def test_a_name_that_looks_like_a_key_is_not_replaced_again() -> None:
    payload = in_group("@_user_1 x @_user_2", mention("@_user_1", BOT, "Bot", "bot"), mention("@_user_2", "ou_b", "@_user_1"))
    assert parse(payload, BOT).text == "x @@_user_1"


def test_rich_text_is_read_as_text() -> None:
    content = {
        "title": "Title",
        "content": [
            [{"tag": "at", "user_id": "@_user_1"}, {"tag": "text", "text": " see "},
             {"tag": "a", "text": "this", "href": "https://e.x"}, {"tag": "img", "image_key": "img_1"}],
            [{"tag": "code_block", "language": "PYTHON", "text": "print(1)\n"}],
            [{"tag": "emotion", "emoji_type": "SMILE"}],
        ],
    }  # fmt: skip
    payload = in_group("", mention("@_user_1", BOT, "Bot", "bot"), kind="post", content=content)
    assert parse(payload, BOT).text == "Title\nsee this (https://e.x)\n```python\nprint(1)\n```"
    wrapped = message_event("", kind="post", content={"zh_cn": {"title": "", "content": [[{"tag": "text", "text": "嗨"}]]}})
    assert parse(wrapped).text == "嗨"


@pytest.mark.parametrize("kind", ["image", "file", "audio", "sticker", "interactive", "share_chat", "system"])
def test_what_is_no_text_is_ignored(kind: str) -> None:
    assert isinstance(parse_payload(message_event("", kind=kind, content={"file_key": "f"}), time.time()), Ignored)


@pytest.mark.parametrize("sender", ["app", "anonymous", "unknown"])
def test_what_no_person_wrote_is_ignored(sender: str) -> None:
    assert isinstance(parse_payload(message_event("hi", sender_type=sender), time.time()), Ignored)


def test_other_events_are_ignored_whatever_they_hold() -> None:
    payload = {"schema": "2.0", "header": {"event_id": "e1", "event_type": "im.chat.updated_v1"}, "event": 5}
    assert parse_payload(payload, time.time()) == Ignored("feishu:-:e1")
    old = {"uuid": "u1", "ts": "1", "token": TOKEN, "type": "event_callback", "event": {"type": "message"}}
    assert parse_payload(old, time.time()) == Ignored("feishu:v1:u1")
    assert isinstance(Gateway(key=False).take(json.dumps(old).encode()), Ignored)


def test_a_mention_alone_is_an_empty_text() -> None:
    assert parse(in_group("@_user_1", mention("@_user_1", BOT, "Bot", "bot"))).text == ""


def test_a_question_and_the_replies_to_its_answer_are_one_conversation() -> None:
    bot = mention("@_user_1", BOT, "Bot", "bot")
    question = parse(in_group("@_user_1 a", bot, message_id="om_root"))
    reply = parse(in_group("@_user_1 b", bot, message_id="om_2", root_id="om_root", parent_id="om_answer"))
    thread = parse(in_group("@_user_1 c", bot, message_id="om_3", root_id="om_root", thread_id="omt_1"))
    other = parse(in_group("@_user_1 d", bot, message_id="om_4"))
    assert question.conversation == reply.conversation == thread.conversation != other.conversation
    assert (reply.reply_to["thread"], thread.reply_to["thread"]) == ("", "omt_1")


def test_a_chat_of_two_is_one_conversation_save_for_its_threads() -> None:
    first, quoting = message_event("a", message_id="om_1"), message_event("b", root_id="om_1", parent_id="om_1")
    assert parse(first).conversation == parse(quoting).conversation == "oc_1"
    assert parse(message_event("c", root_id="om_1", thread_id="omt_1")).conversation == "oc_1:om_1"


def test_a_retry_is_the_same_event_and_teams_do_not_share_identities() -> None:
    payload = message_event("hi", message_id="om_1")
    again = copy.deepcopy(payload)
    again["header"]["event_id"] = "another"
    assert parse(payload).key == parse(again).key
    assert parse(message_event("hi", message_id="om_1", tenant="tenant2")).key != parse(payload).key


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("header", "event_id"), None, "header.event_id"),
        (("header", "tenant_key"), "a:b", "header.tenant_key"),
        (("header",), 5, "header"),
        (("event",), None, "event"),
        (("event", "message", "message_id"), "a/../b", "event.message.message_id"),
        (("event", "message", "chat_id"), 5, "event.message.chat_id"),
        (("event", "message", "content"), "not json", "event.message.content"),
        (("event", "message", "content"), "[]", "event.message.content"),
        (("event", "message", "content"), "{}", "event.message.content"),
        (("event", "message", "content"), '{"text": "\\u0000"}', "event.message.content"),
        (("event", "message", "mentions"), {"a": 1}, "event.message.mentions"),
        (("event", "sender", "sender_id"), {}, "event.sender.sender_id"),
        (("event", "sender", "sender_id"), None, "event.sender.sender_id"),
    ],
)
def test_a_genuine_event_that_is_malformed_is_refused_with_the_field(path: tuple[str, ...], value: Any, field: str) -> None:
    payload = message_event("a secret")
    place: Any = payload
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(ApiError) as refused:
        Gateway().signed(payload)
    assert (refused.value.status, refused.value.param) == (400, field)
    assert "secret" not in refused.value.message


def test_the_settings_ask_for_the_token_and_take_lists() -> None:
    with pytest.raises(SettingsError, match="FEISHU_VERIFICATION_TOKEN"):
        FeishuEvents.from_settings(FeishuSettings.model_validate({"feishu_encrypt_key": KEY}))
    made = FeishuEvents.from_settings(
        FeishuSettings.model_validate({"feishu_encrypt_key": f"{KEY} {OLD_KEY}", "feishu_verification_token": TOKEN})
    )
    body = enclosed(message_event("hi"), OLD_KEY)
    raw = [(name.lower().encode(), value.encode()) for name, value in signed(OLD_KEY, body).items()]
    assert isinstance(made.receive(RawRequest(raw, b"", body)), Event)


def test_events_without_signatures_are_warned_of_at_the_start() -> None:
    with capture_logs() as logs:
        FeishuEvents.from_settings(
            FeishuSettings.model_validate({"feishu_verification_token": TOKEN, "feishu_encrypt_key": KEY})
        )
        assert logs == []
        FeishuEvents.from_settings(FeishuSettings.model_validate({"feishu_verification_token": TOKEN}))
    assert [(log["event"], log["log_level"]) for log in logs] == [("feishu_unsigned", "warning")]
