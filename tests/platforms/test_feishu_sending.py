"""The worker's half of Feishu against the emulated Feishu, on real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from feishu.emulator import Emulator
from hypothesis import given, settings
from written_answers import ANSWERS

from app.auth.grants import TenantAccessToken
from app.auth.token_manager import TokenManager
from app.http.outbound import client_for
from app.pipeline.document import (
    Code,
    CodeBlock,
    Document,
    Emphasis,
    Heading,
    Items,
    Link,
    Paragraph,
    Quote,
    Strike,
    Strong,
    Table,
    Text,
    parse,
)
from app.pipeline.event import Event
from app.pipeline.responses import Attachment, Response
from app.platforms.feishu.client import FeishuPlatform, multipart
from app.platforms.feishu.markdown import markdown
from app.platforms.feishu.messages import LIMIT_BYTES, render
from app.platforms.feishu.payload import parse_payload
from app.platforms.platform import GivenUp, Platform, Retryable

KEY = "evt_" + "k" * 33
SECRET = "app-secret-canary"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(app_secret=SECRET) as running:
        yield running


def platform_at(emulator: Emulator, **options: Any) -> FeishuPlatform:
    url = options.pop("url", emulator.url)
    tokens = TokenManager(
        emulator.app_id,
        options.pop("secret", SECRET),
        token_url=f"{url}/open-apis/auth/v3/tenant_access_token/internal",
        grant=TenantAccessToken(),
    )
    return FeishuPlatform(url, tokens=tokens, client=client_for(url), **options)


@pytest.fixture
async def platform(emulator: Emulator) -> AsyncIterator[FeishuPlatform]:
    made = platform_at(emulator)
    yield made
    await made.aclose()


def asked(emulator: Emulator, text: str = "hi", **fields: Any) -> Event:
    event = parse_payload(emulator.event(text, **fields), datetime.now(UTC).timestamp())
    assert isinstance(event, Event)
    return event


def part(text: str) -> str:
    (only,) = render(Response(text))
    return only


async def test_it_is_a_platform(platform: FeishuPlatform) -> None:
    as_platform: Platform = platform
    assert (as_platform.name, as_platform.idempotent) == ("feishu", True)


async def test_an_answer_is_a_reply_to_its_question(emulator: Emulator, platform: FeishuPlatform) -> None:
    event = asked(emulator)
    number = await platform.send(event, part("你好 🗼\nsecond line"), KEY)
    (message,) = emulator.messages.sent
    assert number == message["message_id"]
    assert (message["parent_id"], message["chat_id"], message["thread_id"]) == (event.id, "oc_1", "")
    assert (message["msg_type"], message["content"]) == ("text", {"text": "你好 🗼\nsecond line"})


async def test_a_question_in_a_thread_is_answered_there(emulator: Emulator, platform: FeishuPlatform) -> None:
    await platform.send(asked(emulator, thread_id="omt_1"), part("x"), KEY)
    assert emulator.messages.sent[0]["thread_id"] == "omt_1"


async def test_a_lost_answer_is_repeated_without_a_second_message(emulator: Emulator, platform: FeishuPlatform) -> None:
    event = asked(emulator)
    emulator.fail("/reply$", kind="reset", after_effect=True)
    with pytest.raises(Retryable) as lost:
        await platform.send(event, part("once"), KEY)
    assert lost.value.counted
    assert await platform.send(event, part("once"), KEY) == emulator.messages.sent[0]["message_id"]
    assert len(emulator.messages.sent) == len(emulator.messages.repeated) == 1


async def test_the_key_is_worth_an_hour(emulator: Emulator, platform: FeishuPlatform) -> None:
    event = asked(emulator)
    await platform.send(event, part("once"), KEY)
    emulator.advance(3590)
    await platform.send(event, part("once"), KEY)
    assert len(emulator.messages.sent) == 1
    emulator.advance(20)
    await platform.send(event, part("once"), KEY)
    assert len(emulator.messages.sent) == 2


async def test_an_expired_token_is_renewed_and_the_call_repeated_once(emulator: Emulator, platform: FeishuPlatform) -> None:
    await platform.send(asked(emulator), part("a"), "evt_a")
    emulator.expire_tokens()
    await platform.send(asked(emulator), part("b"), "evt_b")
    assert [message["text"] for message in emulator.messages.sent] == ["a", "b"]
    assert emulator.tokens_issued == 2


async def test_a_hundred_answers_with_an_expired_token_renew_it_once(emulator: Emulator, platform: FeishuPlatform) -> None:
    events = [asked(emulator, chat=f"oc_{number}") for number in range(101)]
    await platform.send(events[0], part("a"), "evt_0")
    emulator.expire_tokens()
    await asyncio.gather(*(platform.send(event, part("b"), f"evt_{number}") for number, event in enumerate(events[1:], 1)))
    assert len(emulator.messages.sent) == 101
    assert emulator.tokens_issued == 2


@pytest.mark.parametrize("code", [99991661, 99991663, 99991668, 99991671])
async def test_a_token_that_is_never_accepted_keeps_the_event(emulator: Emulator, platform: FeishuPlatform, code: int) -> None:
    emulator.fail("/reply$", code, times=100)
    with pytest.raises(Retryable, match=str(code)) as raised:
        await platform.send(asked(emulator), part("x"), KEY)
    assert raised.value.counted
    assert sum("/reply" in call for call in emulator.calls) == 2


@pytest.mark.parametrize(
    ("fault", "retry_after", "counted"),
    [
        ({"code": 230020, "headers": {"x-ogw-ratelimit-reset": "3"}}, 3.0, False),
        ({"code": 99991400, "status": 429, "headers": {"x-ogw-ratelimit-reset": "7"}}, 7.0, False),
        ({"code": 99991400, "status": 400, "headers": {"x-ogw-ratelimit-reset": "soon"}}, None, False),
        ({"code": 11232, "status": 200}, None, False),
        ({"code": 230049}, None, True),
        ({"status": 429, "retry_after": "17"}, 17.0, False),
        ({"status": 503, "retry_after": "2"}, 2.0, False),
        ({"status": 500}, None, True),
        ({"kind": "reset"}, None, True),
        ({"kind": "slow", "seconds": 0.8}, None, True),
        ({"kind": "garbage", "body": "<html>"}, None, True),
        ({"kind": "garbage", "body": '{"ok": true}'}, None, True),
    ],
)
async def test_what_may_pass_is_retried(
    emulator: Emulator, fault: dict[str, Any], retry_after: float | None, counted: bool
) -> None:
    platform = platform_at(emulator, call_seconds=0.5)
    emulator.fail("/reply$", **fault)
    with pytest.raises(Retryable) as refused:
        await platform.send(asked(emulator), part("a text that stays out of errors"), KEY)
    assert (refused.value.retry_after, refused.value.counted) == (retry_after, counted)
    assert "text that stays" not in str(refused.value)
    await platform.aclose()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (230002, "not in the group"),
        (230025, "too long"),
        (230011, "withdrawn"),
        (230006, "enable it in the console"),
        (230013, "availability"),
        (230001, "not valid"),
        (4242, "code 4242"),
    ],
)
async def test_what_is_refused_for_good_is_given_up_in_plain_words(
    emulator: Emulator, platform: FeishuPlatform, code: int, words: str
) -> None:
    emulator.fail("/reply$", code, msg="a message that may quote what was said")
    with pytest.raises(GivenUp, match=words) as refused:
        await platform.send(asked(emulator), part("x"), KEY)
    assert "may quote" not in str(refused.value)


async def test_a_missing_permission_is_named(emulator: Emulator, platform: FeishuPlatform) -> None:
    message = (
        "Access denied. One of the following scopes is required: [im:message, im:message:send_as_bot].应用尚未开通所需的权限"
    )
    emulator.fail("/reply$", 99991672, msg=message)
    with pytest.raises(GivenUp, match="add im:message or im:message:send_as_bot in the console, and publish"):
        await platform.send(asked(emulator), part("x"), KEY)


async def test_chats_that_the_bot_left_and_messages_that_are_gone_are_given_up(
    emulator: Emulator, platform: FeishuPlatform
) -> None:
    gone, left = asked(emulator), asked(emulator, chat="oc_2")
    emulator.messages.withdrawn.add(gone.id)
    emulator.messages.left.add("oc_2")
    for event, words in ((gone, "withdrawn"), (left, "not in the group")):
        with pytest.raises(GivenUp, match=words):
            await platform.send(event, part("x"), KEY)


async def test_more_than_five_a_second_are_asked_to_wait_and_the_pace_stays_below(
    emulator: Emulator, platform: FeishuPlatform
) -> None:
    event = asked(emulator)
    for number in range(5):
        await platform.send(event, part("x"), f"evt_{number}")
    with pytest.raises(Retryable) as busy:
        await platform.send(event, part("x"), "evt_6")
    assert (busy.value.retry_after, busy.value.counted) == (1.0, False)
    pace = platform.pace(event)
    assert pace is not None and 5 * pace.seconds > 1.0
    assert platform.pace(asked(emulator)) == pace != platform.pace(asked(emulator, chat="oc_2"))


async def test_a_platform_that_is_away_costs_the_event_no_attempt(emulator: Emulator) -> None:
    platform = platform_at(emulator, url="http://127.0.0.1:9")
    with pytest.raises(Retryable) as away:
        await platform.send(asked(emulator), part("x"), KEY)
    assert not away.value.counted
    await platform.aclose()


async def test_a_wrong_secret_names_the_cause_and_not_the_secret(emulator: Emulator) -> None:
    platform = platform_at(emulator, secret="wrong-canary")
    with pytest.raises(Retryable, match="10014") as refused:
        await platform.send(asked(emulator), part("x"), KEY)
    assert "canary" not in str(refused.value)
    await platform.aclose()


async def test_redirects_are_not_followed(emulator: Emulator, platform: FeishuPlatform) -> None:
    with Emulator() as elsewhere:
        emulator.fail("/reply$", kind="redirect", location=elsewhere.url)
        with pytest.raises(GivenUp, match="redirects are not followed"):
            await platform.send(asked(emulator), part("x"), KEY)
        assert elsewhere.calls == []


async def test_a_name_that_would_leave_its_place_in_the_address_does_not(emulator: Emulator, platform: FeishuPlatform) -> None:
    event = Event(
        id="om_1",
        platform="feishu",
        tenant="tenant1",
        conversation="oc_1",
        sender="ou_ada",
        text="x",
        received_at=datetime.now(UTC),
        reply_to={"message_id": "../../../../record?x=", "chat_id": "oc_1"},
    )
    with pytest.raises(GivenUp):
        await platform.send(event, part("x"), KEY)
    assert [call for call in emulator.calls if call.startswith("GET") or call.endswith("/record")] == []


# --- rendering ----------------------------------------------------------------------------------------------------------------


def card_text(rendered: str) -> str:
    return str(json.loads(json.loads(rendered)["content"])["body"]["elements"][0]["content"])


def test_plain_text_is_text_and_what_has_form_is_a_card() -> None:
    assert json.loads(part("one\n\ntwo https://e.x"))["msg_type"] == "text"
    for text in ("**bold**", "# head", "- item", "`code`", "|a|\n|-|\n|1|", "> q", "[a](https://e.x)", "a < b", "5 * 3"):
        assert json.loads(part(text))["msg_type"] == "interactive", text
    assert render(Response("")) == ()


@pytest.mark.parametrize(
    "text", ["<at id=all></at> hi", '<at user_id="all">x</at>', "<font color='red'>x</font>", "# <at id=all>"]
)
def test_nothing_that_a_model_says_mentions_anybody(text: str) -> None:
    rendered = part(text)
    assert json.loads(rendered)["msg_type"] == "interactive"
    assert "<" not in card_text(rendered)


def test_a_mention_in_code_is_none_either() -> None:
    assert card_text(part("`<at id=all></at>` and\n\n```\nif a <at or b < c:\n```")) == (
        "`<\u200bat id=all><\u200b/at>` and\n\n```\nif a <\u200bat or b < c:\n```"
    )


def test_a_card_keeps_lists_code_tables_and_quotes() -> None:
    text = "# Title\n\n1. one\n2. two\n    - deep\n\n> said\n\n```python\nif a < b: print('*')\n```\n\n"
    text += "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert card_text(part(text)) == text


def test_characters_that_are_meant_literally_are_no_markup() -> None:
    assert card_text(part("**x** 5 \\* 3 \\[a\\] snake_case \\_x\\_")) == "**x** 5 &#42; 3 &#91;a&#93; snake_case &#95;x&#95;"
    assert card_text(part("**x**\n\\# no head\n1\\. no list")) == "**x**\n&#35; no head\n1&#46; no list"


def test_what_begins_an_item_without_being_text_begins_below_its_mark() -> None:
    assert card_text(part("- - deep\n- ```python\n  x\n  ```\n- text\n  1. one")) == (
        "-\n    - deep\n-\n    ```python\n    x\n    ```\n- text\n    1. one"
    )


def test_a_fence_is_longer_than_what_it_encloses() -> None:
    assert card_text(part("````\n```\n````")) == "````\n```\n````"


def said(document: Document) -> str:
    """Every letter and digit that a document shows, in order."""
    return "".join(character for part in walk(document.blocks) for character in part if character.isalnum())


def walk(node: object) -> Iterator[str]:
    match node:
        case Text(text=text) | Code(text=text):
            yield text
        case CodeBlock(text=text, caption=caption):
            yield caption + text
        case Link(children=children, title=title):
            yield from walk(children)
            yield title
        case Items(items=items):
            yield from walk(items)
        case Table(header=header, rows=rows):
            yield from walk((header, rows))
        case Paragraph(content=inner) | Heading(content=inner) | Strong(children=inner) | Emphasis(children=inner):
            yield from walk(inner)
        case Strike(children=inner) | Quote(blocks=inner):
            yield from walk(inner)
        case tuple():
            for one in node:
                yield from walk(one)


@settings(deadline=None, max_examples=60)
@given(ANSWERS)
def test_a_cards_markdown_says_what_the_answer_says(text: str) -> None:
    document = parse(text)
    shown = markdown(document)
    assert said(parse(shown)) == said(document)


@settings(deadline=None, max_examples=60)
@given(ANSWERS)
def test_every_part_of_any_answer_is_one_that_feishu_takes(text: str) -> None:
    for one in render(Response(text)):
        made = json.loads(one)
        content = json.loads(made["content"])
        assert made["msg_type"] == ("text" if "text" in content else "interactive")
        assert content.get("text", "x").strip()
        assert "<at" not in one


async def test_a_long_answer_arrives_whole_in_parts_that_feishu_takes(emulator: Emulator, platform: FeishuPlatform) -> None:
    words = [f"词{number}🗼" for number in range(12_000)]
    code = "\n".join(f"line_{number} = {number}" for number in range(3000))
    parts = platform.render(Response("**start**\n\n" + " ".join(words) + f"\n\n```python\n{code}\n```\n\nend"))
    assert len(parts) > 3
    assert all(len(one.encode()) <= LIMIT_BYTES for one in parts)
    for number, one in enumerate(parts):
        await platform.send(asked(emulator, chat=f"oc_{number}"), one, f"evt_{number}")
    assert len(emulator.messages.sent) == len(parts)
    shown = "\n".join(
        message["content"].get("text") or message["content"]["body"]["elements"][0]["content"]
        for message in emulator.messages.sent
    )
    found = shown.replace("\n", " ").split()
    assert [word for word in found if word.startswith("词")] == words
    assert all(f"line_{number} = {number}" in shown for number in (0, 1500, 2999))
    assert shown.count("```") % 2 == 0


async def test_a_card_holds_no_more_tables_than_feishu_takes(emulator: Emulator, platform: FeishuPlatform) -> None:
    parts = platform.render(Response("\n\n".join(f"| t{number} |\n| --- |\n| {number} |" for number in range(11))))
    assert len(parts) == 3
    for number, one in enumerate(parts):
        await platform.send(asked(emulator, chat=f"oc_{number}"), one, f"evt_{number}")


async def test_a_card_that_feishu_refuses_is_sent_as_text_under_the_same_key(
    emulator: Emulator, platform: FeishuPlatform
) -> None:
    emulator.fail("/reply$", 230099)
    await platform.send(asked(emulator), part("**bold** 5 \\* 3 <at id=all>"), KEY)
    (message,) = emulator.messages.sent
    assert (message["msg_type"], message["uuid"]) == ("text", KEY)
    assert message["content"]["text"] == "**bold** 5 * 3 &#60;at id=all>"


async def test_a_file_goes_along_once(emulator: Emulator, platform: FeishuPlatform) -> None:
    event = asked(emulator)
    text, file = platform.render(
        Response("see", (Attachment("会议.ics", "text/calendar", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"),))
    )
    await platform.send(event, text, "evt_1")
    emulator.fail("/reply$", kind="reset", after_effect=True)
    with pytest.raises(Retryable):
        await platform.send(event, file, "evt_2")
    await platform.send(event, file, "evt_2")
    assert [message["text"] for message in emulator.messages.sent] == ["see", "[会议.ics]"]
    assert emulator.messages.files["file_v3_0001"]["content"] == b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


def test_a_files_name_cannot_add_to_the_form() -> None:
    body, _ = multipart(Attachment('a"\r\nX-Evil: 1', "text/plain", "x"))
    assert b"\r\nX-Evil" not in body


async def test_an_answer_can_be_changed(emulator: Emulator, platform: FeishuPlatform) -> None:
    event = asked(emulator)
    card = await platform.send(event, part("**a**"), "evt_1")
    text = await platform.send(event, part("a"), "evt_2")
    await platform.update(event, card, part("**b**"), "evt_3")
    await platform.update(event, text, part("b"), "evt_4")
    assert [(message["text"], message["changed"]) for message in emulator.messages.sent] == [("**b**", 1), ("b", 1)]
    file = platform.render(Response("", (Attachment("a.ics", "text/calendar", "x"),)))[0]
    with pytest.raises(GivenUp, match="file"):
        await platform.update(event, text, file, "evt_5")
